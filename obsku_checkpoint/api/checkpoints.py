"""Checkpoints over HTTP: those of a session, single ones, where they come from, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from obsku_checkpoint import validation
from obsku_checkpoint.api import serializers
from obsku_checkpoint.api.etags import etag
from obsku_checkpoint.api.filters import CheckpointFilters
from obsku_checkpoint.api.openapi import operations
from obsku_checkpoint.api.pagination import KeysetPage
from obsku_checkpoint.api.views import StoreView
from obsku_checkpoint.errors import CheckpointNotFoundError
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.querysets import CheckpointQuerySet
from obsku_checkpoint.records import CheckpointRecord


class SessionCheckpoints(StoreView):
    queryset = Checkpoint.objects.all()
    filterset_class = CheckpointFilters
    operations = operations.SESSION_CHECKPOINTS
    serializer_class = serializers.Checkpoint

    def rows(self) -> CheckpointQuerySet:
        """Those of the session, newest first."""
        found = self.of_session(Checkpoint.objects.using(self.store.using).all())
        one_namespace = "namespace" in self.request.query_params
        return found.newest_version_first() if one_namespace else found.newest_first()

    def list(self, request: Request, id: str) -> Response:
        page = KeysetPage(request, self.filter_queryset(self.rows()))
        if not page.rows:
            self.check_session(id)
        return page.response(serializers.Checkpoint([_record(row) for row in page.rows], many=True).data)

    def create(self, request: Request, id: str) -> Response:
        body = self.body(serializers.NewCheckpoint)
        self.check_session_in_scope(id)
        # Two that send the same at the same time may both be told that they made it.
        known = body.get("id") is not None and self.store.get_checkpoint(body["id"], on_corrupt="keep") is not None
        shown = serializers.Checkpoint(self.store.save_checkpoint(id, **body)).data
        return Response(shown, status.HTTP_200_OK if known else status.HTTP_201_CREATED)

    def latest(self, request: Request, id: str) -> Response:
        self.check_session_in_scope(id)
        namespace = request.query_params.get("namespace")
        checkpoint = self.store.get_latest_checkpoint(id, namespace, on_corrupt="keep")
        if checkpoint is None:
            raise CheckpointNotFoundError("latest")
        return Response(serializers.Checkpoint(checkpoint).data)


class Checkpoints(StoreView):
    queryset = Checkpoint.objects.all()
    operations = operations.CHECKPOINTS
    serializer_class = serializers.Checkpoint

    def retrieve(self, request: Request, id: str) -> Response:
        return Response(serializers.Checkpoint(self._found(id)).data)

    def lineage(self, request: Request, id: str) -> Response:
        """The checkpoint, its parent, … as far as the request may see."""
        lineage = self._visible(self.store.get_lineage(id, on_corrupt="keep"))
        if not lineage:
            raise CheckpointNotFoundError(id)
        return Response(serializers.Checkpoint(lineage, many=True).data)

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
        return _record(row)

    def _visible(self, lineage: list[CheckpointRecord]) -> list[CheckpointRecord]:
        """Up to the first one of a session that the request may not see: what is beyond it hangs on it."""
        if self.scope.everything:
            return lineage
        sessions = self.sessions().filter(id__in={one.session_id for one in lineage})
        seen = set(sessions.values_list("id", flat=True))
        hidden = next((index for index, one in enumerate(lineage) if one.session_id not in seen), len(lineage))
        return lineage[:hidden]


def _record(row: Mapping[str, Any]) -> CheckpointRecord:
    values = {name: row[name] for name in CheckpointRecord.__slots__}
    return CheckpointRecord(**{**values, "pending_nodes": [] if row["pending_nodes"] is None else row["pending_nodes"]})
