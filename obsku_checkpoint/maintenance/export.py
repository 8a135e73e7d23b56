"""Sessions and memories as JSON lines, and whatever hangs on them: the format, and how it is written.

The first line is ``{"format": "obsku-checkpoint", "version": 1}``. Then each item of an adapter's memory has a line,
and below it one for each of its vectors. Each session, in the order of ids (by code point), has a line ``{"table":
"sessions", "id": …}`` and below it, in the order of their primary keys, a line for each of its rows in ``messages``,
``checkpoints``, ``entities`` and the tables of adapters. The rows of ``facts`` come last, since a fact outlives its
session. (Memories come first, so that where the adapter is not installed they are not taken for rows of a session.) The
other keys of a line are the table's columns:

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
#: sessions, facts or items of which the rows that belong to them are read by one statement a table
ROOTS_AT_ONCE = 200
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
    those made since; also the items of adapters' memories in the workspace, put since that time, unless sessions are
    named. All is read in one transaction, and on PostgreSQL as it was when that began.
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
        roots = [table for table in self._tables.values() if table.name == table.root]
        for root in sorted(roots, key=lambda table: (table.name in (SESSIONS, FACTS), table.name == FACTS)):
            rows = self._roots(root)
            while some := list(islice(rows, ROOTS_AT_ONCE)):
                yield from self._with_children(root, some)

    def _roots(self, table: Table) -> Iterator[Sequence[Any]]:
        condition, parameters = self._chosen(table)
        columns = ", ".join(f"t.{quoted(self._using, name)}" for name in _names(table))
        source = quoted(self._using, table.name)
        return self._rows(
            f"SELECT {columns} FROM {source} t WHERE {condition} ORDER BY {self._order(table)}", parameters
        )

    def _chosen(self, table: Table) -> tuple[str, list[Any]]:
        """A condition on rows ``t``, and its parameters."""
        if table.name == SESSIONS:
            return self._chosen_sessions("t")
        time = "created_at" if table.name == FACTS else "updated_at"
        condition, parameters = self._own("t", time) if self._ids is None else ("false", [])
        if table.name == FACTS:
            sessions, of_sessions = self._chosen_sessions("s")
            condition += f" OR t.source_session_id IN (SELECT s.id FROM sessions s WHERE {sessions})"
            parameters += of_sessions
        return condition, parameters

    def _chosen_sessions(self, alias: str) -> tuple[str, list[Any]]:
        condition, parameters = self._own(alias, "updated_at")
        if self._ids is None:
            return condition, parameters
        return f"{condition} AND {alias}.id IN (SELECT value FROM {self._list()})", [*parameters, json.dumps(self._ids)]

    def _own(self, alias: str, time: str) -> tuple[str, list[Any]]:
        """Rows of the workspace, and since the time."""
        asked = [(f"{alias}.workspace_id =", self._workspace_id), (f"{alias}.{time} >=", self._since)]
        given = [(f"{condition} %s", value) for condition, value in asked if value is not None]
        return " AND ".join(["true", *(condition for condition, _ in given)]), [value for _, value in given]

    def _list(self) -> str:
        """A table of a JSON array's elements: one parameter, however many there are."""
        if self._connection.vendor == "postgresql":
            return "json_array_elements_text(%s::json)"
        return "json_each(%s)"

    def _with_children(self, root: Table, rows: list[Sequence[Any]]) -> Iterator[bytes]:
        (place,) = root.positions([root.owner])
        ids = json.dumps([row[place] for row in rows])
        tables = [table for table in self._tables.values() if table.root == root.name and table is not root]
        children = {table: _Groups(self._children(table, root, ids)) for table in tables}
        for row in rows:
            yield row_line(root, row)
            for table, groups in children.items():
                for child in groups.of(row[place]):
                    yield row_line(table, child)

    def _children(self, table: Table, root: Table, ids: str) -> Iterator[Sequence[Any]]:
        """(id of the root's row, columns …) of what belongs to some."""
        columns = ", ".join(f"t.{quoted(self._using, name)}" for name in _names(table))
        source = f"{quoted(self._using, table.name)} t"
        owner = f"t.{quoted(self._using, table.owner)}" if table.owner else "m.session_id"
        if not table.owner and table.reference:
            source += f" JOIN messages m ON m.id = t.{quoted(self._using, table.reference.name)}"
        value, order = (
            ("CAST(value AS bigint)", owner) if root.number else ("value", f"{owner} COLLATE {self._collation}")
        )
        return self._rows(
            f"SELECT {owner}, {columns} FROM {source} WHERE {owner} IN (SELECT {value} FROM {self._list()})"
            f" ORDER BY {order}, {self._order(table)}",
            [ids],
        )

    def _order(self, table: Table) -> str:
        """By the primary key of rows ``t``, text by code points."""
        texts = {column.name for column in table.columns if column.kind == "text"}
        return ", ".join(
            f"t.{quoted(self._using, name)}" + (f" COLLATE {self._collation}" if name in texts else "")
            for name in table.key
        )

    def _rows(self, sql: str, parameters: Sequence[Any]) -> Iterator[Sequence[Any]]:
        with self._connection.chunked_cursor() as cursor:
            cursor.execute(sql, parameters)
            while rows := cursor.fetchmany(ROWS):
                yield from rows


class _Groups:
    """Rows in the order of what they belong to, handed out one by one of these."""

    def __init__(self, rows: Iterator[Sequence[Any]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def of(self, id: Any) -> Iterator[Sequence[Any]]:
        while (row := self._next) is not None and row[0] == id:
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
