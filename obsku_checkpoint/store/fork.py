"""Fork: a new session that goes on from a checkpoint."""

from __future__ import annotations

from obsku_checkpoint import signals, validation
from obsku_checkpoint.clock import clock
from obsku_checkpoint.errors import CheckpointNotFoundError
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.records import SessionRecord
from obsku_checkpoint.store.calls import DatabaseStore
from obsku_checkpoint.store.rows import session_record


class Fork(DatabaseStore):
    def fork(self, checkpoint_id: str, *, title: str | None = None) -> SessionRecord:
        title = validation.optional_text("title", title)
        if not validation.can_exist("checkpoint_id", checkpoint_id):
            raise CheckpointNotFoundError(checkpoint_id)
        session_id = new_id()
        now = clock.checkpoint(session_id, clock.activity(session_id))
        with self._call(session_id):
            row = self._statements.fork(
                checkpoint_id,
                session_id=session_id,
                new_checkpoint_id=new_id(),
                title=title,
                now=now,
            )
        if row is None:
            raise CheckpointNotFoundError(checkpoint_id)
        record = session_record(row, "keep")  # it is written: a corrupt column must not hide that
        signals.send_after_commit(
            signals.session_forked, type(self), using=self.using, record=record, checkpoint_id=checkpoint_id
        )
        return record
