"""Sessions in figures, by a number of queries that does not grow with the list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import SessionRecord, SessionSummary, duration
from obsku_checkpoint.store.checkpoints import Checkpoints
from obsku_checkpoint.store.messages import Messages
from obsku_checkpoint.store.rows import message_records
from obsku_checkpoint.store.sessions import Sessions


class Summaries(Sessions, Messages, Checkpoints):
    def get_session_summary(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> SessionSummary | None:
        session = self.get_session(session_id, on_corrupt=on_corrupt)
        return self.summaries_of([session], on_corrupt)[0] if session else None

    def list_session_summaries(
        self,
        workspace_id: str | None = None,
        *,
        before: datetime | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[SessionSummary]:
        sessions = self.list_sessions(workspace_id, before=before, limit=limit, on_corrupt=on_corrupt)
        return self.summaries_of(sessions, on_corrupt)

    def summaries_of(self, sessions: Sequence[SessionRecord], on_corrupt: OnCorrupt) -> list[SessionSummary]:
        """The figures of sessions that have been read, in their order."""
        ids = [session.id for session in sessions]
        with self._call():
            figures = {id: numbers for id, *numbers in self._rows(self._messages.figures(ids))}
            checkpoints = {row[0]: row[1] for row in self._rows(self._checkpoints.counts(ids))}
            last_ids = self._sessions.filter(id__in=ids).last_message_ids(self._messages)
            rows = self._rows(self._messages.filter(id__in=[id for (id,) in self._rows(last_ids) if id is not None]))
        last_messages = {message.session_id: message for message in message_records(rows, on_corrupt)}
        summaries = []
        for session in sessions:
            messages, tokens_in, tokens_out = figures.get(session.id, (0, 0, 0))
            summary = SessionSummary(
                session=session,
                message_count=messages,
                checkpoint_count=checkpoints.get(session.id, 0),
                tokens_in=tokens_in,
                tokens_out=tokens_out,
                last_message=last_messages.get(session.id),
                duration=duration(session),
            )
            summaries.append(summary)
        return summaries
