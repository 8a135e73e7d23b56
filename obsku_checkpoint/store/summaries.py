"""Sessions in figures, by a number of queries that does not grow with the list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from obsku_checkpoint.async_twins import Steps, method, steps_of
from obsku_checkpoint.models import Checkpoint, Message
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import SessionRecord, SessionSummary, duration
from obsku_checkpoint.store.rows import message_records
from obsku_checkpoint.store.sessions import Sessions


class Summaries(Sessions):
    @method
    def get_session_summary(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[SessionSummary | None]:
        session = yield from steps_of(Sessions.get_session)(self, session_id, on_corrupt=on_corrupt)
        if session is None:
            return None
        return (yield from steps_of(Summaries.summaries_of)(self, [session], on_corrupt))[0]

    @method
    def list_session_summaries(
        self,
        workspace_id: str | None = None,
        *,
        before: datetime | SessionRecord | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> Steps[list[SessionSummary]]:
        listed = steps_of(Sessions.list_sessions)
        sessions = yield from listed(self, workspace_id, before=before, limit=limit, on_corrupt=on_corrupt)
        return (yield from steps_of(Summaries.summaries_of)(self, sessions, on_corrupt))

    @method
    def summaries_of(self, sessions: Sequence[SessionRecord], on_corrupt: OnCorrupt) -> Steps[list[SessionSummary]]:
        """The figures of sessions that have been read, in their order."""
        ids = [session.id for session in sessions]
        if not ids:
            return []
        of_messages, of_checkpoints = (
            Message.objects.using(self.using).all(),
            Checkpoint.objects.using(self.using).all(),
        )
        figures = {id: numbers for id, *numbers in (yield self._query(of_messages.figures(ids)))}
        checkpoints = {row[0]: row[1] for row in (yield self._query(of_checkpoints.counts(ids)))}
        found = yield self._query(self._sessions.filter(id__in=ids).last_message_ids(of_messages))
        last_ids = [id for (id,) in found if id is not None]
        rows = (yield self._query(of_messages.filter(id__in=last_ids))) if last_ids else []
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
