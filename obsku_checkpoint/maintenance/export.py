"""Sessions as JSON lines, and whatever hangs on them: the format, and how it is written.

The first line is ``{"format": "obsku-checkpoint", "version": 1}``. Then each session, in the order of ids (by code
point), has a line ``{"table": "sessions", "id": …}`` and below it, in the order of their primary keys, a line for each
of its rows in ``messages``, ``checkpoints``, ``entities`` and the tables of adapters. The rows of ``facts`` come last,
since a fact outlives its session. The other keys of a line are the table's columns:

* times are milliseconds since 1970, as they are stored
* a column of JSON is JSON in the line, tags and all, where writing it again makes the text that is stored, byte for
  byte. Any other text (white space, ``1e5``, ``null``, what is not JSON at all) stands whole under ``<column>_text``,
  and so does a number that JSON has not (NaN).
* bytes are base64 under ``<column>_base64``

Nothing in it depends on when or where it was written: equal data are equal bytes.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

import orjson
from django.db import connections, transaction

from obsku_checkpoint import conf
from obsku_checkpoint.fields import first_millisecond
from obsku_checkpoint.maintenance.tables import FACTS, SESSIONS, Column, Table, quoted, tables
from obsku_checkpoint.store import failures

VERSION: Final = 1
HEADER: Final = {"format": "obsku-checkpoint", "version": VERSION}
TEXT, BASE64 = "_text", "_base64"
#: sessions whose rows are read by one statement a table
SESSIONS_AT_ONCE = 200
#: rows in memory, of each table
ROWS = 100


def export_lines(
    using: str | None = None,
    *,
    workspace_id: str | None = None,
    session_ids: Sequence[str] | None = None,
    since: datetime | None = None,
) -> Iterator[bytes]:
    """The lines of an export, each with its newline, in constant memory.

    Of one workspace, of the sessions named, of those written since a time (aware), or of what all of these allow; of
    everything by default. With them go facts of the workspace or of the sessions, and, of everything since a time,
    those made since. All is read in one transaction, and on PostgreSQL as it was when that began.
    """
    using = using or conf.current().DATABASE
    connection = connections[using]
    alone = not connection.in_atomic_block
    with failures.in_our_words(using), transaction.atomic(using=using):
        if connection.vendor == "postgresql" and alone:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield line(HEADER)
        yield from _Export(using, workspace_id, session_ids, since).lines()


class _Export:
    def __init__(
        self, using: str, workspace_id: str | None, session_ids: Sequence[str] | None, since: datetime | None
    ) -> None:
        self._using = using
        self._connection = connections[using]
        self._collation = '"C"' if self._connection.vendor == "postgresql" else "BINARY"
        self._workspace_id = workspace_id
        self._ids = None if session_ids is None else sorted(set(session_ids))
        self._since = None if since is None else first_millisecond(since)
        self._tables = tables(using)

    def lines(self) -> Iterator[bytes]:
        sessions = self._tables.pop(SESSIONS)
        facts = self._tables.pop(FACTS, None)
        rows = self._sessions(sessions)
        while some := list(islice(rows, SESSIONS_AT_ONCE)):
            yield from self._with_children(sessions, some)
        if facts:
            yield from self._facts(facts)

    def _sessions(self, table: Table) -> Iterator[Sequence[Any]]:
        conditions, parameters = self._chosen("")
        where = f" WHERE {conditions}" if conditions else ""
        sql = f"SELECT {quoted(self._using, *_names(table))} FROM sessions{where} ORDER BY id COLLATE {self._collation}"
        return self._rows(sql, parameters)

    def _chosen(self, prefix: str) -> tuple[str, list[Any]]:
        conditions: list[str] = []
        parameters: list[Any] = []
        if self._workspace_id is not None:
            conditions.append(f"{prefix}workspace_id = %s")
            parameters.append(self._workspace_id)
        if self._ids is not None:
            conditions.append(f"{prefix}id IN (SELECT value FROM {self._list()})")
            parameters.append(json.dumps(self._ids))
        if self._since is not None:
            conditions.append(f"{prefix}updated_at >= %s")
            parameters.append(self._since)
        return " AND ".join(conditions), parameters

    def _list(self) -> str:
        """A table of a JSON array's texts: one parameter, however many there are."""
        if self._connection.vendor == "postgresql":
            return "json_array_elements_text(%s::json)"
        return "json_each(%s)"

    def _with_children(self, table: Table, sessions: list[Sequence[Any]]) -> Iterator[bytes]:
        place = _names(table).index("id")
        ids = json.dumps([row[place] for row in sessions])
        children = {child: _Groups(self._children(child, ids)) for child in self._tables.values()}
        for session in sessions:
            yield row_line(table, session)
            for child, groups in children.items():
                for row in groups.of(session[place]):
                    yield row_line(child, row)

    def _children(self, table: Table, ids: str) -> Iterator[Sequence[Any]]:
        """(session, columns …) of the sessions' rows."""
        columns = ", ".join(f"t.{quoted(self._using, name)}" for name in _names(table))
        source = f"{quoted(self._using, table.name)} t"
        session = f"t.{quoted(self._using, table.session)}" if table.session else "m.session_id"
        if not table.session:
            source += f" JOIN messages m ON m.id = t.{quoted(self._using, table.message)}"
        texts = {column.name for column in table.columns if column.kind == "text"}
        order = [
            f"t.{quoted(self._using, name)}" + (f" COLLATE {self._collation}" if name in texts else "")
            for name in table.key
        ]
        sql = (
            f"SELECT {session}, {columns} FROM {source} WHERE {session} IN (SELECT value FROM {self._list()})"
            f" ORDER BY {session} COLLATE {self._collation}, {', '.join(order)}"
        )
        return self._rows(sql, [ids])

    def _facts(self, table: Table) -> Iterator[bytes]:
        chosen, parameters = self._chosen("s.")
        where = ""
        if chosen:
            among = f"f.source_session_id IN (SELECT s.id FROM sessions s WHERE {chosen})"
            where = f" WHERE {among}"
            if self._ids is None:  # facts without a session, too
                own = [("f.workspace_id = %s", self._workspace_id), ("f.created_at >= %s", self._since)]
                given = [(condition, value) for condition, value in own if value is not None]
                where = f" WHERE ({among} OR {' AND '.join(condition for condition, _ in given)})"
                parameters += [value for _, value in given]
        columns = ", ".join(f"f.{quoted(self._using, name)}" for name in _names(table))
        sql = f"SELECT {columns} FROM facts f{where} ORDER BY f.id COLLATE {self._collation}"
        for row in self._rows(sql, parameters):
            yield row_line(table, row)

    def _rows(self, sql: str, parameters: Sequence[Any]) -> Iterator[Sequence[Any]]:
        with self._connection.chunked_cursor() as cursor:
            cursor.execute(sql, parameters)
            while rows := cursor.fetchmany(ROWS):
                yield from rows


class _Groups:
    """Rows in the order of sessions, handed out session by session."""

    def __init__(self, rows: Iterator[Sequence[Any]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def of(self, session_id: str) -> Iterator[Sequence[Any]]:
        while (row := self._next) is not None and row[0] == session_id:
            yield row[1:]
            self._next = next(self._rows, None)


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def row_line(table: Table, row: Sequence[Any]) -> bytes:
    """The line of a row, whose columns are as they are stored."""
    entries: dict[str, Any] = {"table": table.name}
    for column, stored in zip(table.columns, row, strict=True):
        name, value = _entry(column, stored)
        entries[name] = value
    return line(entries)


def line(entries: Mapping[str, Any]) -> bytes:
    return orjson.dumps(entries, option=orjson.OPT_APPEND_NEWLINE)


def _entry(column: Column, stored: Any) -> tuple[str, Any]:
    """The key and the value of a column in a line."""
    name = column.name
    if isinstance(stored, memoryview | bytes | bytearray):
        stored = bytes(stored)
        if column.kind == "embedding" and is_exact(stored):
            return name, orjson.Fragment(stored)
        return name + BASE64, b64encode(stored).decode()
    if stored is None:
        return name, None
    if column.kind == "json":
        text = str(stored).encode()
        return (name, orjson.Fragment(text)) if is_exact(text) else (name + TEXT, str(stored))
    if column.kind == "boolean":
        return name, bool(stored)
    if isinstance(stored, float) and not math.isfinite(stored):
        return name + TEXT, str(stored)
    return name, stored


def is_exact(text: bytes) -> bool:
    """Whether the JSON text is the one that is written again for what it says, and is not taken for an absent value."""
    try:
        return orjson.dumps(orjson.loads(text)) == text != b"null"
    except ValueError:  # of both
        return False
