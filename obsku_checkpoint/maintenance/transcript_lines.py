"""Transcripts of other programs as the lines of an export, which `import_lines` writes: each session as a whole, or not
at all, and those that are there already not again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obsku_checkpoint import codec, message_validation, validation
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance.export import line, row_line
from obsku_checkpoint.maintenance.rows import FAULT
from obsku_checkpoint.maintenance.tables import MESSAGES, SESSIONS, tables
from obsku_checkpoint.messages.said import NewMessage

ORIGINALS = "originals"
#: ids below 1 are nobody's: the database gives the messages new ones, in this order
FIRST_ID = -(2**31)


class TranscriptLines:
    """The lines of some sessions, for one database."""

    def __init__(self, using: str, *, workspace_id: str | None, directory: str) -> None:
        self._tables = tables(using)
        self.workspace_id = validation.optional_key("workspace_id", workspace_id)
        self._directory = validation.text("directory", directory)
        self._messages = 0

    @property
    def keeps_originals(self) -> bool:
        return ORIGINALS in self._tables

    def session(
        self, id: str, *, title: Any = None, metadata: Mapping[str, Any] | None = None, created_at: int, updated_at: int
    ) -> bytes:
        """Times are milliseconds since 1970. What cannot be a session is an `InvalidRecordError`."""
        self._messages = 0
        return self._row(
            SESSIONS,
            id=validation.key("session_id", id),
            title=None if title is None else validation.text("title", title),
            metadata=codec.dumps(metadata) if metadata else None,
            created_at=created_at,
            updated_at=updated_at,
            workspace_id=self.workspace_id,
            directory=self._directory,
        )

    def message(self, session_id: str, path: str, message: NewMessage, created_at: int) -> bytes:
        """``path`` leads to it, in errors."""
        columns = dict(zip(message_validation.MESSAGE, message_validation.one_message(path, message), strict=True))
        id = FIRST_ID + self._messages
        self._messages += 1
        return self._row(MESSAGES, id=id, session_id=session_id, created_at=created_at, **columns)

    def original(self, format: str, data: str) -> bytes:
        """Of the last message, as its framework wrote it."""
        return self._row(ORIGINALS, row_id=FIRST_ID + self._messages - 1, format=format, data=data)

    def fault(self, table: str, error: InvalidRecordError, given: str) -> bytes:
        """Stands for a row that cannot be made of what was given; `import_lines` leaves out the session."""
        fields = {"table": table, FAULT: error.reason, "field": error.field, "given": given}
        return line({name: text.encode("utf-8", "replace").decode() for name, text in fields.items()})

    def _row(self, table: str, **values: Any) -> bytes:
        columns = self._tables[table].columns
        return row_line(self._tables[table], [values[column.name] for column in columns])
