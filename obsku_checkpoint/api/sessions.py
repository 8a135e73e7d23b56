"""Sessions over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.db import transaction
from django.db.models import F
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from obsku_checkpoint import conf
from obsku_checkpoint.api import serializers
from obsku_checkpoint.api.errors import PreconditionFailed
from obsku_checkpoint.api.etags import etag, matches
from obsku_checkpoint.api.filters import SessionFilters
from obsku_checkpoint.api.openapi import operations
from obsku_checkpoint.api.pagination import KeysetPage, link, requested, response
from obsku_checkpoint.api.row_budget import ROW_BYTES
from obsku_checkpoint.api.turns import turn_of
from obsku_checkpoint.api.views import StoreView
from obsku_checkpoint.errors import SessionNotFoundError
from obsku_checkpoint.models import Message, Session
from obsku_checkpoint.querysets import SessionQuerySet
from obsku_checkpoint.records import SessionRecord
from obsku_checkpoint.store.rows import message_records, session_record
from obsku_checkpoint.url_ids import IdConverter


class Sessions(StoreView):
    queryset = Session.objects.all()
    filterset_class = SessionFilters
    serializer_class = serializers.Session

    def rows(self) -> SessionQuerySet:
        return self.sessions().newest_first()

    @operations.sessions_list
    def list(self, request: Request) -> Response:
        page = requested(request, "sessions", self.filter_queryset(self.rows()))
        results = serializers.Session(self._permitted(page), many=True).data
        return response(request, results, next=page.next, previous=page.previous)

    @operations.sessions_create
    def create(self, request: Request) -> Response:
        body = self.body(serializers.NewSession)
        self.scope.check(body.get("workspace_id"))
        # Two that send the same at the same time may both be told that they made it.
        known = body.get("id") is not None and self.store.get_session(body["id"], on_corrupt="keep") is not None
        shown = serializers.Session(self.store.create_session(**body)).data
        return self._tagged(shown, status.HTTP_200_OK if known else status.HTTP_201_CREATED)

    @operations.sessions_retrieve
    def retrieve(self, request: Request, id: str) -> Response:
        return self._tagged(self._shown(id))

    @operations.sessions_update
    def partial_update(self, request: Request, id: str) -> Response:
        changes = self.body(serializers.SessionChanges)
        condition = request.headers.get("If-Match")
        if condition is None:
            self.check_session_in_scope(id)
            return self._changed(id, changes)
        with transaction.atomic(using=self.store.using):
            # Holds the row until the end of the transaction, on SQLite as well.
            self.session(id).update(updated_at=F("updated_at"))
            if not matches(condition, self._shown(id)):
                raise PreconditionFailed
            return self._changed(id, changes)

    @operations.sessions_delete
    def destroy(self, request: Request, id: str) -> Response:
        self.check_session_in_scope(id)
        if not self.store.delete_session(id):
            raise SessionNotFoundError(id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @operations.sessions_latest
    def latest(self, request: Request) -> Response:
        row = self.filter_queryset(self.rows()).values().first()
        if row is None:
            raise SessionNotFoundError("latest")
        self.check_object_permissions(request, Session(**row))
        session = SessionRecord(**row)
        # As many of the newest as fit, however short they are.
        size = conf.current().MAX_PAGE_BYTES // ROW_BYTES
        transcript = Message.objects.using(self.store.using).in_session(session.id).oldest_first()
        page = KeysetPage("messages", transcript, size=size, from_end=True, before_heavy=turn_of(request))
        messages = request.build_absolute_uri(f"../{quote(IdConverter().to_url(session.id), safe='')}/messages/")
        resumption = {
            "session": session,
            "messages": message_records(page.rows, "keep"),
            "messages_previous": link(messages, page.previous),
            "checkpoint": self.store.get_latest_checkpoint(session.id, on_corrupt="keep"),
        }
        return Response(serializers.Resumption(resumption).data)

    @operations.sessions_summaries
    def summaries(self, request: Request) -> Response:
        page = requested(request, "sessions", self.filter_queryset(self.rows()), last_message=True)
        summaries = self.store.summaries_of(self._permitted(page), "keep")
        results = serializers.SessionSummary(summaries, many=True).data
        return response(request, results, next=page.next, previous=page.previous)

    @operations.sessions_summary
    def summary(self, request: Request, id: str) -> Response:
        self.check_session_in_scope(id)
        summary = self.store.get_session_summary(id, on_corrupt="keep")
        if summary is None:
            raise SessionNotFoundError(id)
        return Response(serializers.SessionSummary(summary).data)

    # -- rows

    def _permitted(self, page: KeysetPage) -> Sequence[SessionRecord]:
        records = [session_record(row, "keep") for row in page.rows]
        return [one for one in records if self.permits(Session, one)]

    def _shown(self, id: str) -> dict[str, Any]:
        row = self.session(id).values().first()
        if row is None:
            raise SessionNotFoundError(id)
        return serializers.Session(SessionRecord(**row)).data

    def _changed(self, id: str, changes: dict[str, Any]) -> Response:
        if "workspace_id" in changes:
            self.scope.check(changes["workspace_id"])
        return self._tagged(serializers.Session(self.store.update_session(id, **changes)).data)

    def _tagged(self, shown: dict[str, Any], code: int = status.HTTP_200_OK) -> Response:
        return Response(shown, code, headers={"ETag": etag(shown)})
