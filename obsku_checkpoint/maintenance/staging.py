"""Rows wait until a session is whole, and then become rows of the shared tables in few statements.

They wait in memory. If they fit there, and nothing of them is stored yet, they are written as they are. Otherwise they
go into temporary tables first, where the database compares them with what is there, however large a session is.

Each temporary table has the columns of its own, and ``unit``: the number of the session, or fact, that stands or falls
as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections

from obsku_checkpoint.maintenance.tables import FACTS, MESSAGES, SESSIONS, Table, quoted, tables

#: bytes of lines whose rows are in memory
BUFFER = 16 * 2**20


@dataclass(slots=True)
class Merged:
    """What a merge has done."""

    #: table -> rows that were written
    rows: dict[str, int] = field(default_factory=dict)
    #: units whose rows were there already, all equal
    unchanged: set[int] = field(default_factory=set)
    #: units that are there with other rows, and so were left alone
    differing: set[int] = field(default_factory=set)
    #: units whose messages got other ids
    renumbered: set[int] = field(default_factory=set)


class Staging:
    """The rows of one transaction, in which it must be filled and merged."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._connection = connections[using]
        self._tables = tables(using)
        self._facts = self._tables.pop(FACTS, None)
        self._buffer: dict[str, list[list[Any]]] = {}
        self._bytes = 0
        self._in_tables = False
        self._merged = Merged()

    def add(self, table: Table, values: Sequence[Any], unit: int, size: int) -> None:
        """``size``: bytes, about."""
        self._buffer.setdefault(table.name, []).append([*values, unit])
        self._bytes += size
        if self._bytes > BUFFER:
            self._flush()

    def merge(self, without: Collection[int]) -> Merged:
        """Write the rows of all units but ``without``. An `IntegrityError` says that a unit cannot be written."""
        with self._connection.cursor() as cursor:
            self._lock(cursor)
            if not self._in_tables:
                for name, rows in self._buffer.items():
                    self._buffer[name] = [row for row in rows if row[-1] not in without]
                if self._is_new(cursor):
                    self._write(cursor)
                    return self._merged
            self._flush()
            self._drop(cursor, without)
            self._leave_out_what_is_there(cursor)
            self._number_messages(cursor)
            for table in self._tables.values():
                self._insert(cursor, table)
            if self._facts:
                self._merge_facts(cursor, self._facts)
            for table in reversed(self._all()):
                cursor.execute(f"DROP TABLE {self._staged(table)}")
        return self._merged

    # -- rows of which nothing is stored yet

    def _is_new(self, cursor: Any) -> bool:
        if FACTS in self._buffer:  # whose session is still to be looked for
            return False
        messages = self._ids(self._tables[MESSAGES])
        return (
            min(messages, default=1) >= 1  # ids below are nobody's
            and len(set(messages)) == len(messages)
            and not self._is_there(cursor, SESSIONS, "value", self._ids(self._tables[SESSIONS]))
            and not self._is_there(cursor, MESSAGES, "CAST(value AS bigint)", messages)
        )

    def _ids(self, table: Table) -> list[Any]:
        place = _place_of_id(table)
        return [row[place] for row in self._buffer.get(table.name, ())]

    def _is_there(self, cursor: Any, table: str, value: str, ids: list[Any]) -> bool:
        given = "json_array_elements_text(%s::json)" if self._connection.vendor == "postgresql" else "json_each(%s)"
        cursor.execute(f"SELECT 1 FROM {table} WHERE id IN (SELECT {value} FROM {given}) LIMIT 1", [json.dumps(ids)])
        return bool(cursor.fetchall())

    def _write(self, cursor: Any) -> None:
        messages = self._ids(self._tables[MESSAGES])
        if messages and self._connection.vendor == "postgresql":
            self._raise_sequence(cursor, max(messages))
        for table in self._tables.values():
            if rows := self._buffer.get(table.name):
                self._copy(cursor, f"{self._name(table)} ({self._columns(table)})", (row[:-1] for row in rows))
                self._merged.rows[table.name] = len(rows)

    # -- temporary tables

    def _open(self, cursor: Any) -> None:
        for table in self._all():
            extra = ["unit", "new_id"] if table.name == MESSAGES else ["unit"]
            if self._connection.vendor == "postgresql":
                added = ", ".join(f"0 AS {name}" for name in extra)
                cursor.execute(
                    f"CREATE TEMPORARY TABLE {self._staged(table)} AS"
                    f" SELECT {self._columns(table)}, {added} FROM {self._name(table)} WITH NO DATA"
                )
            else:
                cursor.execute(
                    f"CREATE TEMPORARY TABLE {self._staged(table)} ({self._columns(table)}, {', '.join(extra)})"
                )

    def _all(self) -> list[Table]:
        return [*self._tables.values(), *([self._facts] if self._facts else [])]

    def _name(self, table: Table) -> str:
        return quoted(self._using, table.name)

    def _staged(self, table: Table) -> str:
        return quoted(self._using, f"import_{table.name}")

    def _columns(self, table: Table, prefix: str = "", *, without: str = "") -> str:
        return ", ".join(
            prefix + quoted(self._using, column.name) for column in table.columns if column.name != without
        )

    def _flush(self) -> None:
        with self._connection.cursor() as cursor:
            if not self._in_tables:
                self._open(cursor)
                self._in_tables = True
            for table in self._all():
                if rows := self._buffer.pop(table.name, None):
                    id = _place_of_id(table) if table.name == MESSAGES else None
                    staged = rows if id is None else ([*row, row[id]] for row in rows)
                    self._copy(cursor, self._staged(table), staged)
        self._bytes = 0

    def _copy(self, cursor: Any, table: str, rows: Iterable[list[Any]]) -> None:
        if self._connection.vendor == "postgresql":
            with self._connection.wrap_database_errors, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            rows = list(rows)
            places = ", ".join(["%s"] * len(rows[0]))
            cursor.executemany(f"INSERT INTO {table} VALUES ({places})", rows)

    def _lock(self, cursor: Any) -> None:
        """SQLite gives the right to write only to a transaction that has read nothing older."""
        if self._connection.vendor == "sqlite":
            cursor.execute("UPDATE sessions SET id = id WHERE false")

    def _drop(self, cursor: Any, units: Collection[int]) -> None:
        if units:
            among = ", ".join(map(str, units))
            for table in self._all():
                cursor.execute(f"DELETE FROM {self._staged(table)} WHERE unit IN ({among})")

    def _units(self, cursor: Any, sql: str) -> set[int]:
        cursor.execute(sql)
        return {unit for (unit,) in cursor.fetchall()}

    # -- what is there already

    def _leave_out_what_is_there(self, cursor: Any) -> None:
        staged = self._staged(self._tables[SESSIONS])
        there = self._units(cursor, f"SELECT i.unit FROM {staged} i JOIN sessions s ON s.id = i.id")
        if there:
            for table in self._tables.values():
                self._merged.differing |= self._units(cursor, self._differing(table))
            self._merged.unchanged |= there - self._merged.differing
            self._drop(cursor, there)

    def _differing(self, table: Table) -> str:
        """The units of sessions that are there, but not with the same rows of this table."""
        imported, stored = self._imported_rows(table), self._stored_rows(table)
        return f"SELECT unit FROM ({imported} EXCEPT {stored}) a UNION SELECT unit FROM ({stored} EXCEPT {imported}) b"

    def _imported_rows(self, table: Table) -> str:
        sessions, messages = self._staged(self._tables[SESSIONS]), self._staged(self._tables[MESSAGES])
        among = f"i.unit IN (SELECT p.unit FROM {sessions} p JOIN sessions s ON s.id = p.id)"
        position = self._position(table)
        numbered = f"(SELECT unit, id, row_number() OVER (PARTITION BY unit ORDER BY id) AS position FROM {messages})"
        return (
            f"SELECT i.unit, {position}{self._columns(table, 'i.', without=self._numbered(table))}"
            f" FROM {self._staged(table)} i{self._join(table, 'i', numbered, 'n.unit = i.unit')} WHERE {among}"
        )

    def _stored_rows(self, table: Table) -> str:
        sessions = self._staged(self._tables[SESSIONS])
        position = self._position(table)
        numbered = (
            "(SELECT p.unit, m.id, row_number() OVER (PARTITION BY p.unit ORDER BY m.id) AS position"
            f" FROM {sessions} p JOIN messages m ON m.session_id = p.id)"
        )
        if table.session:
            source = f"{sessions} p JOIN {self._name(table)} t ON t.{quoted(self._using, table.session)} = p.id"
        else:
            source = f"{sessions} p JOIN messages o ON o.session_id = p.id JOIN {self._name(table)} t"
            source += f" ON t.{quoted(self._using, table.message)} = o.id"
        return (
            f"SELECT p.unit, {position}{self._columns(table, 't.', without=self._numbered(table))}"
            f" FROM {source}{self._join(table, 't', numbered, 'n.unit = p.unit')}"
        )

    def _numbered(self, table: Table) -> str:
        """The column with the id of a message, which need not be the same: its position in the transcript is."""
        return "id" if table.name == MESSAGES else table.message

    def _position(self, table: Table) -> str:
        return "n.position, " if self._numbered(table) else ""

    def _join(self, table: Table, alias: str, numbered: str, same_unit: str) -> str:
        if not (column := self._numbered(table)):
            return ""
        return f" LEFT JOIN {numbered} n ON n.id = {alias}.{quoted(self._using, column)} AND {same_unit}"

    # -- ids of messages

    def _number_messages(self, cursor: Any) -> None:
        """Ids stay where they are free; where one is not, its whole transcript gets new ones, in its order.
        Those below 1 never stay.
        """
        staged = self._staged(self._tables[MESSAGES])
        taken = f"SELECT unit FROM {staged} i WHERE EXISTS (SELECT 1 FROM messages m WHERE m.id = i.id)"
        twice = f"SELECT unit FROM {staged} WHERE id IN (SELECT id FROM {staged} GROUP BY id HAVING count(*) > 1)"
        nobodys = self._units(cursor, f"SELECT DISTINCT unit FROM {staged} WHERE id < 1")
        self._merged.renumbered = self._units(cursor, f"{taken} UNION {twice}") - nobodys
        among = ", ".join(map(str, nobodys | self._merged.renumbered))
        if self._connection.vendor == "postgresql":
            kept = f"WHERE unit NOT IN ({among})" if among else ""
            cursor.execute(f"SELECT max(id) FROM {staged} {kept}")
            ((highest,),) = cursor.fetchall()
            if highest is not None:
                self._raise_sequence(cursor, highest)
            new = "nextval(pg_get_serial_sequence('messages', 'id'))"
        else:
            new = (
                "max((SELECT coalesce(max(id), 0) FROM messages), (SELECT coalesce(max(id), 0) FROM"
                f" {staged}), coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0))"
                " + row_number() OVER (ORDER BY unit, id)"
            )
        if among:
            cursor.execute(
                f"UPDATE {staged} AS i SET new_id = n.new_id FROM (SELECT unit, id, {new} AS new_id FROM"
                f" (SELECT unit, id FROM {staged} WHERE unit IN ({among}) ORDER BY unit, id) o) n"
                " WHERE n.unit = i.unit AND n.id = i.id"
            )

    def _raise_sequence(self, cursor: Any, highest: int) -> None:
        """Set the sequence behind the ids that are kept.

        Nobody may draw a number meanwhile, or setting the sequence would take it back: who inserts holds a lock on
        the table that this one waits for.
        """
        cursor.execute(f"SELECT last_value FROM {self._sequence(cursor)}")
        ((last,),) = cursor.fetchall()
        if highest > last:
            cursor.execute("LOCK TABLE messages IN SHARE ROW EXCLUSIVE MODE")
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence('messages', 'id'), greatest(%s, last_value))"
                f" FROM {self._sequence(cursor)}",
                [highest],
            )

    def _sequence(self, cursor: Any) -> str:
        cursor.execute("SELECT pg_get_serial_sequence('messages', 'id')")
        return str(cursor.fetchone()[0])

    # -- the rows

    def _insert(self, cursor: Any, table: Table) -> None:
        columns = self._columns(table)
        values = ", ".join(self._inserted(table, column.name) for column in table.columns)
        cursor.execute(f"INSERT INTO {self._name(table)} ({columns}) SELECT {values} FROM {self._staged(table)} i")
        if cursor.rowcount:
            self._merged.rows[table.name] = cursor.rowcount

    def _inserted(self, table: Table, column: str) -> str:
        if table.name == MESSAGES and column == "id":
            return "i.new_id"
        if column == table.message:
            messages = self._staged(self._tables[MESSAGES])
            name = quoted(self._using, column)
            return f"(SELECT m.new_id FROM {messages} m WHERE m.unit = i.unit AND m.id = i.{name})"
        return f"i.{quoted(self._using, column)}"

    def _merge_facts(self, cursor: Any, table: Table) -> None:
        """A fact whose session is not there has none, as if that had been deleted."""
        staged = self._staged(table)
        cursor.execute(
            f"UPDATE {staged} SET source_session_id = NULL WHERE NOT EXISTS"
            f" (SELECT 1 FROM sessions s WHERE s.id = {staged}.source_session_id)"
        )
        there = self._units(cursor, f"SELECT i.unit FROM {staged} i JOIN facts f ON f.id = i.id")
        if there:
            columns = self._columns(table)
            differing = f"SELECT unit FROM {staged} WHERE id IN (SELECT id FROM (SELECT {columns} FROM {staged}"
            differing += f" WHERE id IN (SELECT id FROM facts) EXCEPT SELECT {columns} FROM facts) d)"
            self._merged.differing |= (changed := self._units(cursor, differing))
            self._merged.unchanged |= there - changed
            self._drop(cursor, there)
        self._insert(cursor, table)


def _place_of_id(table: Table) -> int:
    return [column.name for column in table.columns].index("id")
