"""Messages over HTTP: append to a session's transcript, and read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from obsku_checkpoint import message_validation, validation, windows
from obsku_checkpoint.async_twins import method, steps_of
from obsku_checkpoint.client.base import HTTPStore
from obsku_checkpoint.client.request import body, path
from obsku_checkpoint.client.response import record, records
from obsku_checkpoint.client.retries import Steps
from obsku_checkpoint.errors import SessionNotFoundError
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import MessageRecord, Role, ToolCall, ToolResult


class Messages(HTTPStore):
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
        columns = message_validation.message("", role, content, tool_calls, tool_results, tokens_in, tokens_out)
        shown = yield from self._append(session_id, body(_named(columns)))
        return record(MessageRecord, shown, "raise")

    @method
    def add_messages(self, session_id: str, messages: Iterable[Mapping[str, Any]]) -> Steps[list[MessageRecord]]:
        columns = [_named(message) for message in message_validation.messages(messages)]
        shown = yield from self._append(session_id, body(columns))
        return records(MessageRecord, shown, "raise")

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
        params = {
            "before": validation.iso("before", before),
            "before_id": _id("before_id", before_id),
            "after_id": _id("after_id", after_id),
        }
        if not validation.can_exist("session_id", session_id):
            return []
        shown = yield from self._list(
            path("sessions", session_id, "messages/"), params, count, "previous" if after_id is None else "next"
        )
        return records(MessageRecord, shown, on_corrupt)

    def _append(self, session_id: str, body: bytes) -> Steps[Any]:
        """Not repeated where it may have been carried out: the server numbers messages, so each would be a new one."""
        absent = SessionNotFoundError(session_id)
        if not validation.can_exist("session_id", session_id):
            raise absent
        return (
            yield from self._ask(
                "POST",
                path("sessions", session_id, "messages/"),
                body=body,
                repeatable=False,
                errors={"session_not_found": absent},
            )
        )


def _named(columns: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(message_validation.MESSAGE, columns, strict=True))


def _id(field: str, value: int | None) -> str | None:
    return None if value is None else str(validation.message_id(field, value))
