"""How large the tables are, how they grow, and which sessions are the largest: by a bounded sample of their rows.

A table of up to `BLOCKS` pages (PostgreSQL) or `ROWS` rows (SQLite) is read as a whole, and what is said of it is
exact. Of a larger one that much is read, chosen at random, and its figures are estimates, which say so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import connections

from obsku_checkpoint.fields import EPOCH
from obsku_checkpoint.maintenance.tables import quoted, tables
from obsku_checkpoint.records import STATE

BLOCKS, ROWS = 500, 5_000
#: rows of a session that are counted, and of which the bytes are added up
COUNTED, WEIGHED = 100_000, 200
#: sessions that are named as the largest
LARGEST = 10
#: milliseconds
DAY = 86_400_000

#: tables whose rows have a time, with the columns that may be large
LARGE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "sessions": ("metadata",),
    "messages": ("content", "tool_calls", "tool_results"),
    "checkpoints": STATE,
    "entities": ("attributes", "relationships", "embedding"),
    "facts": ("content", "embedding"),
}
#: bytes of a row beside these columns, about
ROW = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    table: str
    rows: int
    #: ``rows`` is the planner's estimate, not a count
    estimated: bool
    #: with indexes and all; None on SQLite, which knows it of the whole database only
    bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The rows of one table that were written on a day, and are still there."""

    table: str
    #: in UTC
    day: date
    rows: int
    estimated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeSession:
    id: str
    title: str | None
    workspace_id: str | None
    #: `COUNTED` at most
    messages: int
    checkpoints: int
    #: of its messages and checkpoints as they are stored, without indexes
    bytes: int
    estimated: bool


class Sizes:
    """The sizes of one database. ``workspaces`` are those that count, None for all."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._connection = connections[using]
        self._is_postgres = self._connection.vendor == "postgresql"
        self.tables = self._sizes()

    def database_bytes(self) -> int:
        if self._is_postgres:
            return int(self._all("SELECT pg_database_size(current_database())")[0][0])
        pages, size = (self._all(f"PRAGMA {name}")[0][0] for name in ("page_count", "page_size"))
        return int(pages * size)

    def growth(self, since: int, workspaces: Collection[str] | None) -> list[Growth]:
        """``since``: milliseconds, the beginning of a day."""
        found = []
        for table in self._with_rows(LARGE_COLUMNS):
            rows, scale = self._sample(table)
            condition, parameters = _in_workspaces(table, workspaces)
            counts = self._all(
                f"SELECT t.created_at / {DAY}, count(*) FROM {rows} t{condition} AND t.created_at >= %s"
                " GROUP BY 1 ORDER BY 1",
                [*parameters, since],
            )
            found += [
                Growth(table=table, day=day_of(day), rows=round(count * scale), estimated=scale > 1)
                for day, count in counts
            ]
        return found

    def largest(self, workspaces: Collection[str] | None) -> list[LargeSession]:
        """By bytes, the largest first, of those of which the sample has rows."""
        sizes: dict[str, float] = {}
        for table in self._with_rows(("messages", "checkpoints")):
            rows, scale = self._sample(table)
            condition, parameters = _in_workspaces(table, workspaces)
            found = self._all(
                f"SELECT t.session_id, sum({self._bytes(table, 't')}) FROM {rows} t{condition}"
                f" GROUP BY 1 ORDER BY 2 DESC LIMIT {2 * LARGEST}",
                parameters,
            )
            for id, size in found:
                sizes[id] = sizes.get(id, 0) + float(size) * scale
        ids = sorted(sizes, key=lambda id: (-sizes[id], id))[: 2 * LARGEST]
        sessions = [self._session(*row) for row in self._all(self._looked_at(len(ids)), ids)] if ids else []
        return sorted(sessions, key=lambda one: (-one.bytes, one.id))[:LARGEST]

    # -- of one table

    def _with_rows(self, names: Iterable[str]) -> list[str]:
        filled = {each.table for each in self.tables if each.rows}
        return [name for name in names if name in filled]

    def _sizes(self) -> list[TableSize]:
        known: dict[str, tuple[int | None, int | None]] = {}
        names = list(tables(self._using))
        if self._is_postgres:
            known = {name: (rows, bytes) for name, rows, bytes in self._all(_POSTGRES_SIZES, [names])}
        return [self._size(name, *known.get(name, (None, None))) for name in names]

    def _size(self, table: str, rows: int | None, bytes: int | None) -> TableSize:
        if rows is not None:
            return TableSize(table=table, rows=rows, estimated=rows > 0, bytes=bytes)
        [[count]] = self._all(f"SELECT count(*) FROM {quoted(self._using, table)}")
        return TableSize(table=table, rows=count, estimated=False, bytes=bytes)

    def _sample(self, table: str) -> tuple[str, float]:
        """What to read of it, as SQL, and how many rows each of those stands for."""
        if self._is_postgres:
            [[blocks]] = self._all(f"SELECT pg_relation_size(%s::regclass) / {_BLOCK}", [table])
            if blocks <= BLOCKS:
                return table, 1.0
            return f"(SELECT * FROM {table} TABLESAMPLE SYSTEM ({100 * BLOCKS / blocks}))", blocks / BLOCKS
        [[first, last]] = self._all(f"SELECT min(rowid), max(rowid) FROM {table}")
        if first is None or last - first < ROWS:
            return table, 1.0
        among = f"SELECT {first} + abs(random() % {last - first + 1}) FROM numbers"
        numbers = f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT {ROWS}) {among}"
        return f"(SELECT * FROM {table} WHERE rowid IN ({numbers}))", (last - first + 1) / ROWS

    def _bytes(self, table: str, alias: str) -> str:
        size = "pg_column_size({})" if self._is_postgres else "length(CAST({} AS BLOB))"
        columns = [f"coalesce({size.format(f'{alias}.{column}')}, 0)" for column in LARGE_COLUMNS[table]]
        return " + ".join([*columns, str(ROW)])

    # -- of one session

    def _looked_at(self, count: int) -> str:
        def rows(table: str) -> str:
            own = f"FROM {table} t WHERE t.session_id = s.id LIMIT"
            return (
                f"(SELECT count(*) FROM (SELECT 1 {own} {COUNTED}) counted),"
                f" (SELECT avg(size) FROM (SELECT {self._bytes(table, 't')} AS size {own} {WEIGHED}) weighed)"
            )

        places = ", ".join(["%s"] * count)
        return (
            f"SELECT s.id, s.title, s.workspace_id, {rows('messages')}, {rows('checkpoints')}"
            f" FROM sessions s WHERE s.id IN ({places})"
        )

    def _session(
        self, id: str, title: str | None, workspace_id: str | None, messages: int, of_message: Any, checkpoints: int,
        of_checkpoint: Any,
    ) -> LargeSession:  # fmt: skip
        return LargeSession(
            id=id,
            title=title,
            workspace_id=workspace_id,
            messages=messages,
            checkpoints=checkpoints,
            bytes=round(messages * float(of_message or 0) + checkpoints * float(of_checkpoint or 0)),
            estimated=max(messages, checkpoints) > WEIGHED,
        )

    def _all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, list(parameters))
            rows: list[Any] = cursor.fetchall()
            return rows


def day_of(number: int) -> date:
    """The day, counted from 1970 on; the last there is for what is beyond it."""
    return date.fromordinal(max(1, min(date.max.toordinal(), EPOCH.date().toordinal() + number)))


def _in_workspaces(table: str, workspaces: Collection[str] | None) -> tuple[str, list[str]]:
    """A join, if need be, and the beginning of a condition on rows ``t``, with its parameters."""
    if workspaces is None:
        return " WHERE true", []
    own = table not in ("messages", "checkpoints")
    join = "" if own else " JOIN sessions s ON s.id = t.session_id"
    if not workspaces:
        return f"{join} WHERE false", []
    return f"{join} WHERE {'t' if own else 's'}.workspace_id IN ({', '.join(['%s'] * len(workspaces))})", [*workspaces]


_BLOCK = 8192
#: rows as the planner estimates them, none of an empty table, NULL where it knows nothing yet; bytes
_POSTGRES_SIZES = f"""
SELECT name, CAST(CASE WHEN pg_relation_size(c.oid) = 0 THEN 0 WHEN relpages > 0 AND reltuples >= 0
                       THEN reltuples / relpages * (pg_relation_size(c.oid) / {_BLOCK}) END AS bigint),
       pg_total_relation_size(c.oid)
FROM unnest(%s::text[]) AS name JOIN pg_class c ON c.oid = CAST(quote_ident(name) AS regclass)
"""
