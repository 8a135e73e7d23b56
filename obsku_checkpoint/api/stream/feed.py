"""What is new in sessions: one question for any number of them, each from a cursor of its own on.

A cursor says which rows somebody has been given. It is not the newest id or time: writers commit in another order than
that of their ids, and their clocks differ. What a cursor is instead depends on the database (`postgres.py`,
`sqlite.py`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from obsku_checkpoint.models import Checkpoint, Message
from obsku_checkpoint.records import CheckpointRecord, MessageRecord
from obsku_checkpoint.store.base import DatabaseStore
from obsku_checkpoint.store.rows import Row, checkpoint_record, message_records

#: the cursor before everything, on every database
BEGINNING = "0"
#: events of one session and cursor that are read at once, and bytes of all that are (a single event may have more)
LIMIT, BATCH_BYTES = 500, 2 * 2**20

MESSAGE_COLUMNS = [str(field.column) for field in Message._meta.concrete_fields]
CHECKPOINT_COLUMNS = [str(field.column) for field in Checkpoint._meta.concrete_fields]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Event:
    """A row that is new, and the cursor of somebody who has been given it and all before it.

    All who ask from the same cursor get the same object.
    """

    record: MessageRecord | CheckpointRecord
    cursor: Any


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new in one session from one cursor on, in order, and the cursor after it."""

    exists: bool
    workspace_id: str | None
    events: Sequence[Event]
    cursor: Any
    #: whether there is more than ``events``, which did not fit
    more: bool = False


class Feed(DatabaseStore):
    """Asks one database. Cursors are immutable and hashable; ``str`` gives their text."""

    @abstractmethod
    def cursor(self, text: str) -> Any:
        """The cursor of a text that ``str`` gave, or of `BEGINNING`; ValueError for any other."""

    @abstractmethod
    def read(self, watched: Sequence[tuple[str, Any]]) -> list[Changes]:
        """What is new in each (session id, cursor), in one statement; without a cursor, the cursor after all there is.

        Of what does not fit `BATCH_BYTES` in sum each gets its first events in turn, the foremost at least one. Raises
        `StoreUnavailableError`.
        """


def record(message: bool, row: Row) -> MessageRecord | CheckpointRecord:
    """``row`` has a message's columns, then a checkpoint's."""
    width = len(MESSAGE_COLUMNS)
    return message_records([row[:width]], "keep")[0] if message else checkpoint_record(row[width:], "keep")


def columns(alias: str, names: Sequence[str]) -> str:
    return ", ".join(f"{alias}.{name}" for name in names)
