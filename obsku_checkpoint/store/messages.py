"""Messages: append to a session's transcript, and read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from obsku_checkpoint import signals, validation
from obsku_checkpoint.clock import clock
from obsku_checkpoint.errors import SessionNotFoundError
from obsku_checkpoint.fields import first_millisecond
from obsku_checkpoint.models import Message, Session
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import MessageRecord, Role, ToolCall, ToolResult
from obsku_checkpoint.store.calls import DatabaseStore
from obsku_checkpoint.store.rows import message_records
from obsku_checkpoint.store.selects import BY_ID, OF_SESSION

if TYPE_CHECKING:
    from obsku_checkpoint.querysets import MessageQuerySet

OLDEST_FIRST = "created_at, id"
NEWEST_FIRST = "created_at DESC, id DESC"


class Messages(DatabaseStore):
    def add_message(
        self,
        session_id: str,
        role: Role,
        content: str | None = None,
        *,
        tool_calls: Sequence[ToolCall] | None = None,
        tool_results: Sequence[ToolResult] | None = None,
        tokens_in: int | None = None,
        tokens_out: int | None = None,
    ) -> MessageRecord:
        message = validation.message("", role, content, tool_calls, tool_results, tokens_in, tokens_out)
        return self._append(session_id, [message])[0]

    def add_messages(self, session_id: str, messages: Iterable[Mapping[str, Any]]) -> list[MessageRecord]:
        return self._append(session_id, validation.messages(messages))

    def get_messages(
        self,
        session_id: str,
        *,
        before: datetime | None = None,
        before_id: int | None = None,
        after_id: int | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[MessageRecord]:
        validation.on_corrupt(on_corrupt)
        count = validation.limit(limit)
        if not validation.can_exist("session_id", session_id):
            return []
        conditions: list[Sequence[Any]] = [(OF_SESSION, session_id)]
        if (moment := validation.moment("before", before)) is not None:
            conditions.append(("created_at < %s", first_millisecond(moment)))
        with self._call():
            if before_id is not None:
                conditions.append(self._beside("before_id", before_id, "<", session_id))
            if after_id is not None:
                conditions.append(self._beside("after_id", after_id, ">", session_id))
            if count is None or after_id is not None:
                rows = self._select(Message, *conditions, order=OLDEST_FIRST, limit=count)
            else:
                rows = self._select(Message, *conditions, order=NEWEST_FIRST, limit=count)[::-1]
        return message_records(rows, on_corrupt)

    # -- rows

    @property
    def _messages(self) -> MessageQuerySet:
        return Message.objects.using(self.using).all()

    def _beside(self, field: str, id: int, side: str, session_id: str) -> Sequence[Any]:
        """The condition for what stands on one side of a message in the order of the transcript.

        By id alone where it is not of the session.
        """
        validation.integer(field, id, low=-(2**63), high=2**63 - 1)
        place = self._select(Message, (OF_SESSION, session_id), (BY_ID, id), column="created_at")
        return (f"(created_at, id) {side} (%s, %s)", *place[0], id) if place else (f"id {side} %s", id)

    def _append(self, session_id: str, rows: Sequence[Sequence[Any]]) -> list[MessageRecord]:
        if not validation.can_exist("session_id", session_id):
            raise SessionNotFoundError(session_id)
        if not rows:
            return self._nothing(session_id)
        created_at = clock.message(session_id)
        messages = [[session_id, *row, created_at] for row in rows]
        with self._call(session_id):
            ids = self._statements.insert_messages(session_id, messages, clock.activity(session_id, created_at))
        if ids is None:
            raise SessionNotFoundError(session_id)
        records = message_records([[id, *message] for id, message in zip(ids, messages, strict=True)])
        for record in records:
            signals.send_after_commit(signals.message_added, type(self), using=self.using, record=record)
        return records

    def _nothing(self, session_id: str) -> list[MessageRecord]:
        with self._call():
            if not self._select(Session, (BY_ID, session_id), column="id"):
                raise SessionNotFoundError(session_id)
        return []
