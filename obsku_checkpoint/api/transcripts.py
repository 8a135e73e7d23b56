"""Transcripts over HTTP as wholes: what dangles in one, its repair, and a fork of its beginning."""

from __future__ import annotations

from typing import cast

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from obsku_checkpoint import conf
from obsku_checkpoint.api import serializers
from obsku_checkpoint.api.etags import etag
from obsku_checkpoint.api.openapi import operations
from obsku_checkpoint.api.turns import HEAVY
from obsku_checkpoint.api.views import MESSAGE_ID, StoreView
from obsku_checkpoint.errors import MessageNotFoundError
from obsku_checkpoint.models import Message
from obsku_checkpoint.protocols import OnCorrupt


class Transcripts(StoreView):
    serializer_class = serializers.Dangling

    @operations.sessions_dangling
    def dangling(self, request: Request, id: str) -> Response:
        on_corrupt = cast("OnCorrupt", request.query_params.get("on_corrupt", "raise"))  # the store looks
        self.check_session(id)
        self._take_turn(request, id)
        dangling = self.store.find_dangling(id, on_corrupt=on_corrupt, most=conf.current().MAX_PAGE_BYTES)
        return Response(serializers.Dangling(dangling, many=True).data)

    @operations.sessions_repair
    def repair(self, request: Request, id: str) -> Response:
        body = self.body(serializers.NewRepair)
        self.check_session_in_scope(id)
        self._take_turn(request, id)
        return Response({"repaired": self.store.repair(id, **body, most=conf.current().MAX_PAGE_BYTES)})

    @operations.messages_fork
    def fork_at(self, request: Request, message_id: str) -> Response:
        body = self.body(serializers.NewFork)
        if not MESSAGE_ID.fullmatch(message_id):
            raise MessageNotFoundError(message_id)
        number = int(message_id)
        visible = self.scope.limit(Message.objects.using(self.store.using).filter(id=number))
        if not (self.scope.everything or visible.exists()):
            raise MessageNotFoundError(message_id)
        shown = serializers.Session(self.store.fork_at(number, **body)).data
        return Response(shown, status.HTTP_201_CREATED, headers={"ETag": etag(shown)})

    def _take_turn(self, request: Request, id: str) -> None:
        """All calls and results of the transcript are read: in turn, if they are many."""
        if self.store.octets_of_tools(id) > HEAVY:
            self.turn.take(request)
