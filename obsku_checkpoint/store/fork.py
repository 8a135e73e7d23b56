"""Fork: a new session that goes on from a checkpoint, or from a message."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from obsku_checkpoint import signals, validation
from obsku_checkpoint.async_twins import Steps, method
from obsku_checkpoint.errors import CheckpointNotFoundError, MessageNotFoundError
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.records import SessionRecord
from obsku_checkpoint.store import session_clock
from obsku_checkpoint.store.base import DatabaseStore
from obsku_checkpoint.store.calls import Rows, atomic
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
        forked = Forked(self.using, new_id(), checkpoint_id=checkpoint_id, new_checkpoint_id=new_id())
        row = yield from self._forked(self._sql.fork, forked, title)
        if row is None:
            raise CheckpointNotFoundError(checkpoint_id)
        record = session_record(row, "keep")  # it is written: a corrupt column must not hide that
        yield from self._announce(signals.session_forked, record=record, checkpoint_id=checkpoint_id, message_id=None)
        return record

    @method
    def fork_at(self, message_id: int, *, title: str | None = None) -> Steps[SessionRecord]:
        title = validation.title("title", title)
        validation.message_id("message_id", message_id)
        forked = Forked(self.using, new_id(), message_id=message_id)
        row = yield from self._forked(self._sql.fork_at, forked, title)
        if row is None:
            raise MessageNotFoundError(str(message_id))
        record = session_record(row, "keep")  # as above
        yield from self._announce(signals.session_forked, record=record, checkpoint_id=None, message_id=message_id)
        return record

    # -- rows

    def _forked(
        self, write: Callable[[dict[str, Any]], Steps[Row | None]], forked: Forked, title: str | None
    ) -> Steps[Row | None]:
        """The new session's row, after the adapters have copied what they keep; None where there is nothing to fork."""
        fork = partial(write, {**asdict(forked), "title": title, **NAMING, **session_clock.now()})
        extensions = [on_fork[table] for (table,) in (yield from self._tables(list(on_fork)))]
        if not extensions:
            return (yield from fork())

        def steps() -> Steps[Row | None]:
            row = yield from fork()
            if row is not None:
                for extension in extensions:
                    yield from extension(forked)
            return row

        return (yield from atomic(steps))

    def _tables(self, names: list[str]) -> Steps[Rows]:
        """Those of the tables that the database has."""
        if not names:
            return []
        tables: Rows = yield self._sql.tables, {"tables": json.dumps(names)}
        return tables
