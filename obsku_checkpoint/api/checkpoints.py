"""Checkpoints over HTTP: those of a session, single ones, where they come from, and what is made of them."""

from __future__ import annotations

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from obsku_checkpoint import validation
from obsku_checkpoint.api import serializers
from obsku_checkpoint.api.etags import etag
from obsku_checkpoint.api.filters import CheckpointFilters
from obsku_checkpoint.api.lineage import LineagePage
from obsku_checkpoint.api.openapi import operations
from obsku_checkpoint.api.pagination import CURSOR, requested, response
from obsku_checkpoint.api.views import StoreView
from obsku_checkpoint.errors import CheckpointNotFoundError
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.querysets import CheckpointQuerySet
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.store.rows import checkpoint_record


class SessionCheckpoints(StoreView):
    queryset = Checkpoint.objects.all()
    filterset_class = CheckpointFilters
    serializer_class = serializers.Checkpoint

    def rows(self) -> CheckpointQuerySet:
        """Those of the session, newest first."""
        checkpoints = self.of_session(Checkpoint.objects.using(self.store.using).all())
        return checkpoints.newest_version_first() if self._of_one_namespace else checkpoints.newest_first()

    @property
    def _of_one_namespace(self) -> bool:
        return "namespace" in self.request.query_params

    @operations.session_checkpoints_list
    def list(self, request: Request, id: str) -> Response:
        name = "versions" if self._of_one_namespace else "checkpoints"
        page = requested(request, name, self.filter_queryset(self.rows()))
        if not page.rows:
            self.check_session(id)
        results = serializers.Checkpoint([checkpoint_record(row, "keep") for row in page.rows], many=True).data
        return response(request, results, next=page.next, previous=page.previous)

    @operations.session_checkpoints_create
    def create(self, request: Request, id: str) -> Response:
        body = self.body(serializers.NewCheckpoint)
        self.check_session_in_scope(id)
        # Two that send the same at the same time may both be told that they made it.
        known = body.get("id") is not None and self.store.get_checkpoint(body["id"], on_corrupt="keep") is not None
        shown = serializers.Checkpoint(self.store.save_checkpoint(id, **body)).data
        return Response(shown, status.HTTP_200_OK if known else status.HTTP_201_CREATED)

    @operations.session_checkpoints_latest
    def latest(self, request: Request, id: str) -> Response:
        self.check_session_in_scope(id)
        namespace = request.query_params.get("namespace")
        checkpoint = self.store.get_latest_checkpoint(id, namespace, on_corrupt="keep")
        if checkpoint is None:
            raise CheckpointNotFoundError("latest")
        return Response(serializers.Checkpoint(checkpoint).data)


class Checkpoints(StoreView):
    queryset = Checkpoint.objects.all()
    subject = Checkpoint
    serializer_class = serializers.Checkpoint

    @operations.checkpoints_retrieve
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(serializers.Checkpoint(self._found(id)).data)

    @operations.checkpoints_lineage
    def lineage(self, request: Request, id: str) -> Response:
        """The checkpoint, its parent, … as far as the request may see."""
        page = LineagePage(self.sessions(), id, request)
        if not page.rows and CURSOR not in request.query_params:
            self._found(id)
        results = serializers.Checkpoint([checkpoint_record(row, "keep") for row in page.rows], many=True).data
        return response(request, results, next=page.next)

    @operations.checkpoints_fork
    def fork(self, request: Request, id: str) -> Response:
        body = self.body(serializers.NewFork)
        if not self.scope.everything:
            self._found(id)
        shown = serializers.Session(self.store.fork(id, **body)).data
        return Response(shown, status.HTTP_201_CREATED, headers={"ETag": etag(shown)})

    # -- rows

    def _found(self, id: str) -> CheckpointRecord:
        checkpoints = self.scope.limit(Checkpoint.objects.using(self.store.using).filter(id=id))
        row = checkpoints.values().first() if validation.can_exist("checkpoint_id", id) else None
        if row is None:
            raise CheckpointNotFoundError(id)
        return CheckpointRecord(
            **{**row, "pending_nodes": [] if row["pending_nodes"] is None else row["pending_nodes"]}
        )
