"""The sessions of OpenAI's agents SDK: of its `SQLiteSession`, and of its `SQLAlchemySession`, also in PostgreSQL.

Its packages are not needed to read them.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from obsku_checkpoint import conf
from obsku_checkpoint.contrib.openai_agents.items import message_of
from obsku_checkpoint.contrib.transcripts.originals import original_text
from obsku_checkpoint.errors import ConfigurationError, InvalidRecordError
from obsku_checkpoint.extras import require
from obsku_checkpoint.fields import to_milliseconds
from obsku_checkpoint.foreign_databases import is_postgres, postgres_database, sqlite_file
from obsku_checkpoint.maintenance.tables import MESSAGES, SESSIONS
from obsku_checkpoint.maintenance.transcript_lines import TranscriptLines

FORMAT = "openai-agents"
#: rows in memory
ROWS = 500

_SESSIONS = """
SELECT s.session_id, s.created_at, s.updated_at,
       (SELECT max(m.created_at) FROM agent_messages m WHERE m.session_id = s.session_id)
FROM agent_sessions s ORDER BY s.session_id
"""
# Each in the order in which its own class reads it.
_ITEMS = "SELECT id, message_data, created_at FROM agent_messages WHERE session_id = {} ORDER BY {}"
_ITEMS_SQLITE = _ITEMS.format("?", "id")
_ITEMS_POSTGRES = _ITEMS.format("%s", "created_at, id")
#: `AdvancedSQLiteSession` has a table more, which says of what branch each message is
_STRUCTURE = "SELECT 1 FROM sqlite_master WHERE name = 'message_structure'"
_BRANCHES = "SELECT 1 FROM message_structure WHERE session_id = ? AND branch_id <> 'main' LIMIT 1"


class _Source(Protocol):
    def sessions(self) -> Iterator[tuple[str, Any, Any, Any]]:
        """(id, created, updated, newest message) of each."""

    def items(self, session_id: str) -> Iterator[tuple[int, str, Any]]:
        """(id, JSON, created)"""

    def has_branches(self, session_id: str) -> bool: ...


def agents_lines(
    source: str,
    using: str | None = None,
    *,
    schema: str | None = None,
    session_ids: Sequence[str] | None = None,
    workspace_id: str | None = None,
    directory: str = FORMAT,
) -> Iterator[bytes]:
    """The lines of an export, for `import_lines`, of the path of an SQLite file, or a PostgreSQL connection string.

    Sessions keep their ids and times (without a zone: UTC), and `DjangoSession` reads their items exactly. A session
    with an item that is not JSON, or with several branches, has a line that `import_lines` leaves it out for.
    Raises `ConfigurationError` for what is no such database, and where the app of the originals is not installed.
    """
    lines = TranscriptLines(using or conf.current().DATABASE, workspace_id=workspace_id, directory=directory)
    if not lines.keeps_originals:
        raise ConfigurationError("add 'obsku_checkpoint.contrib.transcripts' to INSTALLED_APPS")
    with _opened(source, schema) as opened:
        for session in opened.sessions():
            if session_ids is None or session[0] in session_ids:
                yield from _session(lines, opened, *session)


def _session(
    lines: TranscriptLines, source: _Source, id: str, created: Any, updated: Any, newest: Any
) -> Iterator[bytes]:
    path = f"session {id}"
    try:
        begun = _milliseconds(f"{path}.created_at", created)
        last = max(
            begun, *(_milliseconds(f"{path}.updated_at", time) for time in (updated, newest) if time is not None)
        )
        yield lines.session(id, created_at=begun, updated_at=last)
    except InvalidRecordError as error:
        yield lines.fault(SESSIONS, error, str(id))
        return
    if source.has_branches(id):
        yield lines.fault(MESSAGES, InvalidRecordError(path, "has branches, and a transcript has none"), "")
        return
    moment = begun
    for number, data, time in source.items(id):
        place = f"{path}, item {number}"
        try:
            moment = max(moment, _milliseconds(f"{place}.created_at", time))
            item = _item(place, data)
            yield lines.message(id, place, message_of(item), moment)
            yield lines.original(FORMAT, original_text(place, item))
        except InvalidRecordError as error:
            yield lines.fault(MESSAGES, error, str(data))
            return


def _item(path: str, data: Any) -> dict[str, Any]:
    try:
        item = json.loads(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRecordError(path, f"is not JSON: {error}") from None
    if not isinstance(item, dict):
        raise InvalidRecordError(path, f"is not an object, but {type(item).__name__}")
    return item


def _milliseconds(path: str, time: Any) -> int:
    try:
        value = time if isinstance(time, datetime) else datetime.fromisoformat(time)
    except (TypeError, ValueError):
        raise InvalidRecordError(path, f"is not a time: {time!r}") from None
    return to_milliseconds(value if value.tzinfo else value.replace(tzinfo=UTC), path)


def _opened(source: str, schema: str | None) -> AbstractContextManager[_Source]:
    if is_postgres(source, schema):
        require("postgres", "psycopg")
        # A URL of SQLAlchemy's names its driver.
        return _postgres(re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", source), schema)
    return _sqlite(source)


class _Sqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._structured = bool(connection.execute(_STRUCTURE).fetchone())

    def sessions(self) -> Iterator[tuple[str, Any, Any, Any]]:
        yield from self._connection.execute(_SESSIONS)

    def items(self, session_id: str) -> Iterator[tuple[int, str, Any]]:
        yield from self._connection.execute(_ITEMS_SQLITE, [session_id])

    def has_branches(self, session_id: str) -> bool:
        return self._structured and bool(self._connection.execute(_BRANCHES, [session_id]).fetchone())


@contextmanager
def _sqlite(source: str) -> Iterator[_Source]:
    with sqlite_file(source, "sessions") as connection:
        connection.execute("BEGIN")  # all of it is of one moment
        yield _Sqlite(connection)


class _Postgres:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def sessions(self) -> Iterator[tuple[str, Any, Any, Any]]:
        return self._rows("obsku_sessions", _SESSIONS, [])

    def items(self, session_id: str) -> Iterator[tuple[int, str, Any]]:
        return self._rows("obsku_items", _ITEMS_POSTGRES, [session_id])

    def has_branches(self, session_id: str) -> bool:
        return False

    def _rows(self, name: str, sql: str, parameters: Sequence[Any]) -> Iterator[Any]:
        with self._connection.cursor(name) as cursor:
            cursor.itersize = ROWS
            yield from cursor.execute(sql, parameters)


@contextmanager
def _postgres(source: str, schema: str | None) -> Iterator[_Source]:
    with postgres_database(source, schema, "sessions") as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield _Postgres(connection)
