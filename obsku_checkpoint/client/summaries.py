"""Over HTTP: resume the last active session, and sessions in figures."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from obsku_checkpoint import validation
from obsku_checkpoint.async_twins import method
from obsku_checkpoint.client.base import cursor_of
from obsku_checkpoint.client.request import path
from obsku_checkpoint.client.response import items, members, record, records
from obsku_checkpoint.client.retries import Steps
from obsku_checkpoint.client.sessions import Sessions
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import (
    CheckpointRecord,
    MessageRecord,
    Resumption,
    SessionRecord,
    SessionSummary,
    duration,
)


class Summaries(Sessions):
    @method
    def continue_latest(
        self, workspace_id: str | None = None, *, on_corrupt: OnCorrupt = "raise"
    ) -> Steps[Resumption | None]:
        validation.on_corrupt(on_corrupt)
        if workspace_id is not None and not validation.can_exist("workspace_id", workspace_id):
            return None
        shown = yield from self._ask("GET", "sessions/latest/", params={"workspace_id": workspace_id})
        if shown is None:
            return None
        names = ("session", "messages", "messages_previous", "checkpoint")
        session, messages, earlier, checkpoint = members(shown, *names)
        latest = record(SessionRecord, session, on_corrupt)
        if earlier is not None:
            before = self._list(path("sessions", latest.id, "messages/"), {}, None, "previous", cursor_of(earlier))
            messages = (yield from before) + items(messages)
        return Resumption(
            session=latest,
            messages=records(MessageRecord, messages, on_corrupt),
            checkpoint=None if checkpoint is None else record(CheckpointRecord, checkpoint, on_corrupt),
        )

    @method
    def get_session_summary(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[SessionSummary | None]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("session_id", session_id):
            return None
        shown = yield from self._ask("GET", path("sessions", session_id, "summary/"))
        return None if shown is None else _summary(shown, on_corrupt)

    @method
    def list_session_summaries(
        self,
        workspace_id: str | None = None,
        *,
        before: datetime | SessionRecord | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> Steps[list[SessionSummary]]:
        shown = yield from self._list_of_sessions("sessions/summaries/", workspace_id, before, None, limit, on_corrupt)
        return [_summary(summary, on_corrupt) for summary in shown]


def _summary(shown: Any, on_corrupt: OnCorrupt) -> SessionSummary:
    names = ("session", "message_count", "checkpoint_count", "tokens_in", "tokens_out", "last_message")
    values = dict(zip(names, members(shown, *names), strict=True))
    session, last = record(SessionRecord, values["session"], on_corrupt), values["last_message"]
    message = None if last is None else record(MessageRecord, last, on_corrupt)
    return SessionSummary(**{**values, "session": session, "last_message": message}, duration=duration(session))
