"""Messages: append to a session's transcript, and read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from obsku_checkpoint import message_validation, signals, validation, windows
from obsku_checkpoint.async_twins import Steps, method, steps_of
from obsku_checkpoint.errors import SessionNotFoundError
from obsku_checkpoint.fields import first_millisecond
from obsku_checkpoint.models import Message, Session
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import MessageRecord, Role, ToolCall, ToolResult
from obsku_checkpoint.store import session_clock
from obsku_checkpoint.store.base import DatabaseStore
from obsku_checkpoint.store.calls import BinaryRead
from obsku_checkpoint.store.rows import message_records
from obsku_checkpoint.store.sql import BY_ID, OF_SESSION

OLDEST_FIRST = "created_at, id"
NEWEST_FIRST = "created_at DESC, id DESC"


class Messages(DatabaseStore):
    @method
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
    ) -> Steps[MessageRecord]:
        message = message_validation.message("", role, content, tool_calls, tool_results, tokens_in, tokens_out)
        return (yield from self._append(session_id, [message]))[0]

    @method
    def add_messages(self, session_id: str, messages: Iterable[Mapping[str, Any]]) -> Steps[list[MessageRecord]]:
        return (yield from self._append(session_id, message_validation.messages(messages)))

    @method
    def get_messages(
        self,
        session_id: str,
        *,
        before: datetime | None = None,
        before_id: int | None = None,
        after_id: int | None = None,
        limit: int | None = None,
        last_turns: int | None = None,
        max_tokens: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> Steps[list[MessageRecord]]:
        validation.on_corrupt(on_corrupt)
        count = validation.limit(limit)
        if last_turns is not None or max_tokens is not None:
            validation.window(last_turns, max_tokens, after_id)
            window = windows.Window(limit=count, last_turns=last_turns, max_tokens=max_tokens)
            read = partial(steps_of(Messages.get_messages), self, session_id, before=before)
            return (yield from windows.newest(read, window, before_id, on_corrupt))
        if not validation.can_exist("session_id", session_id):
            return []
        conditions: list[Sequence[Any]] = [(OF_SESSION, session_id)]
        if (moment := validation.moment("before", before)) is not None:
            conditions.append(("created_at < %s", first_millisecond(moment)))
        if before_id is not None:
            conditions.append((yield from self._beside("before_id", before_id, "<", session_id)))
        if after_id is not None:
            conditions.append((yield from self._beside("after_id", after_id, ">", session_id)))
        if count is None or after_id is not None:
            rows = yield BinaryRead(*self._select(Message, *conditions, order=OLDEST_FIRST, limit=count))
        else:
            rows = (yield BinaryRead(*self._select(Message, *conditions, order=NEWEST_FIRST, limit=count)))[::-1]
        return message_records(rows, on_corrupt)

    # -- rows

    def _beside(self, field: str, id: int, side: str, session_id: str) -> Steps[Sequence[Any]]:
        """The condition for what stands on one side of a message in the order of the transcript.

        By id alone where it is not of the session.
        """
        validation.message_id(field, id)
        place = yield self._select(Message, (OF_SESSION, session_id), (BY_ID, id), column="created_at")
        return (f"(created_at, id) {side} (%s, %s)", *place[0], id) if place else (f"id {side} %s", id)

    def _append(self, session_id: str, rows: Sequence[Sequence[Any]]) -> Steps[list[MessageRecord]]:
        if not validation.can_exist("session_id", session_id):
            raise SessionNotFoundError(session_id)
        if not rows:
            if not (yield self._select(Session, (BY_ID, session_id), column="id")):
                raise SessionNotFoundError(session_id)
            return []
        inserted = yield from self._sql.insert_messages(session_id, rows, session_clock.now())
        if not inserted:
            raise SessionNotFoundError(session_id)
        records = message_records(
            [[id, session_id, *row, created_at] for (id, created_at), row in zip(inserted, rows, strict=True)]
        )
        for record in records:
            yield from self._announce(signals.message_added, record=record)
        return records
