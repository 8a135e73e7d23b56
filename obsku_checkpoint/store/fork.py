"""Fork: a new session that goes on from a checkpoint, or from a message."""

from __future__ import annotations

from functools import partial
from typing import Any

from obsku_checkpoint import signals, validation
from obsku_checkpoint.async_twins import Steps, method
from obsku_checkpoint.errors import CheckpointNotFoundError, MessageNotFoundError
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.records import SessionRecord
from obsku_checkpoint.store import session_clock
from obsku_checkpoint.store.base import DatabaseStore
from obsku_checkpoint.store.calls import atomic
from obsku_checkpoint.store.extensions import Forked, on_fork
from obsku_checkpoint.store.rows import Row, session_record

#: before the title, or an id, where the caller gives no title
PREFIX = "Fork of "
NAMING = {"prefix": PREFIX, "longest": validation.MAX_TITLE}


class Fork(DatabaseStore):
    @method
    def fork(self, checkpoint_id: str, *, title: str | None = None) -> Steps[SessionRecord]:
        title = validation.title("title", title)
        if not validation.can_exist("checkpoint_id", checkpoint_id):
            raise CheckpointNotFoundError(checkpoint_id)
        new = {"session_id": new_id(), "new_checkpoint_id": new_id(), "title": title, **NAMING}
        fork = partial(self._forked, {"checkpoint_id": checkpoint_id, **new, **session_clock.now()})
        row = yield from (atomic(fork) if on_fork else fork())
        record = session_record(row, "keep")  # it is written: a corrupt column must not hide that
        yield from self._announce(signals.session_forked, record=record, checkpoint_id=checkpoint_id, message_id=None)
        return record

    def _forked(self, fork: dict[str, Any]) -> Steps[Row]:
        row = yield from self._sql.fork(fork)
        if row is None:
            raise CheckpointNotFoundError(fork["checkpoint_id"])
        for extension in on_fork:
            yield from extension(
                Forked(self.using, fork["checkpoint_id"], fork["new_checkpoint_id"], fork["session_id"])
            )
        return row

    @method
    def fork_at(self, message_id: int, *, title: str | None = None) -> Steps[SessionRecord]:
        title = validation.title("title", title)
        validation.message_id("message_id", message_id)
        new = {"session_id": new_id(), "title": title, **NAMING}
        row = yield from self._sql.fork_at({"message_id": message_id, **new, **session_clock.now()})
        if row is None:
            raise MessageNotFoundError(str(message_id))
        record = session_record(row, "keep")  # as above
        yield from self._announce(signals.session_forked, record=record, checkpoint_id=None, message_id=message_id)
        return record
