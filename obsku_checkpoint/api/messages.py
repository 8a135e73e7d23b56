"""The messages of a session over HTTP."""

from __future__ import annotations

from typing import Any

from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from obsku_checkpoint import conf
from obsku_checkpoint.api import serializers
from obsku_checkpoint.api.filters import MessageFilters
from obsku_checkpoint.api.openapi import operations
from obsku_checkpoint.api.pagination import LIMIT, requested, response
from obsku_checkpoint.api.row_budget import ROW_BYTES
from obsku_checkpoint.api.views import StoreView
from obsku_checkpoint.models import Message
from obsku_checkpoint.querysets import MessageQuerySet
from obsku_checkpoint.store.rows import message_records


class Messages(StoreView):
    queryset = Message.objects.all()
    filterset_class = MessageFilters
    serializer_class = serializers.Message

    def rows(self) -> MessageQuerySet:
        """Those of the session, oldest first."""
        return self.of_session(Message.objects.using(self.store.using).all()).oldest_first()

    @operations.messages_list
    def list(self, request: Request, id: str) -> Response:
        parameters = request.query_params
        # As in the store: a limit keeps the newest, or with after_id the next ones.
        from_end = LIMIT in parameters and "after_id" not in parameters
        page = requested(request, "messages", self.filter_queryset(self.rows()), from_end=from_end)
        if not page.rows:
            self.check_session(id)
        records = message_records(page.rows, "keep")
        results = serializers.Message(records, many=True).data
        return response(request, results, next=page.next, previous=page.previous)

    @operations.messages_create
    def create(self, request: Request, id: str) -> Response:
        """One message, or a list of which all are added or none."""
        self.check_session_in_scope(id)
        shown: Any
        if isinstance(request.data, list):
            if len(request.data) > (most := conf.current().MAX_PAGE_BYTES // ROW_BYTES):  # the answer has them all
                raise ValidationError({"messages": [f"has more than {most} messages"]})
            shown = serializers.Message(self.store.add_messages(id, request.data), many=True).data
        else:
            shown = serializers.Message(self.store.add_message(id, **self.body(serializers.NewMessage))).data
        return Response(shown, status.HTTP_201_CREATED)
