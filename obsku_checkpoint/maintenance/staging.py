"""Rows wait until a session is whole (or an item), and then become rows of the shared tables in few statements.

They wait in memory. If they fit there, and nothing of them is stored yet, they are written as they are. Otherwise they
go into temporary tables first, where the database compares them with what is there, however large a session is.

Each temporary table has the columns of its own, and ``unit``: the number of the session, fact or item, that stands or
falls as a whole.
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

    def __init__(self, using: str, renumbered: set[str]) -> None:
        """``renumbered``: tables whose items got new numbers before, and are added to."""
        self._using = using
        self._renumbered = renumbered
        self._connection = connections[using]
        self._tables = tables(using)
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
            for root in [table for table in self._tables.values() if table.name == table.root]:
                if root.name == FACTS:
                    self._forget_sessions(cursor)
                group = [table for table in self._tables.values() if table.root == root.name]
                self._leave_out_what_is_there(cursor, root, group)
                for table in group:
                    if table.number:
                        self._number(cursor, table)
                    self._insert(cursor, table)
            for table in self._tables.values():
                cursor.execute(f"DROP TABLE {self._staged(table)}")
        return self._merged

    # -- rows of which nothing is stored yet

    def _is_new(self, cursor: Any) -> bool:
        if any(self._tables[name].root != SESSIONS for name in self._buffer):
            return False
        messages = self._ids(self._tables[MESSAGES])
        return (
            min(messages, default=1) >= 1  # ids below are nobody's
            and len(set(messages)) == len(messages)
            and not self._is_there(cursor, SESSIONS, "value", self._ids(self._tables[SESSIONS]))
            and not self._is_there(cursor, MESSAGES, "CAST(value AS bigint)", messages)
        )

    def _ids(self, table: Table) -> list[Any]:
        (place,) = table.positions(["id"])
        return [row[place] for row in self._buffer.get(table.name, ())]

    def _is_there(self, cursor: Any, table: str, value: str, ids: list[Any]) -> bool:
        given = "json_array_elements_text(%s::json)" if self._connection.vendor == "postgresql" else "json_each(%s)"
        cursor.execute(f"SELECT 1 FROM {table} WHERE id IN (SELECT {value} FROM {given}) LIMIT 1", [json.dumps(ids)])
        return bool(cursor.fetchall())

    def _write(self, cursor: Any) -> None:
        messages = self._ids(self._tables[MESSAGES])
        if messages and self._connection.vendor == "postgresql":
            self._raise_sequence(cursor, self._tables[MESSAGES], max(messages))
        for table in self._tables.values():
            if rows := self._buffer.get(table.name):
                self._copy(cursor, f"{self._name(table)} ({self._columns(table)})", (row[:-1] for row in rows))
                self._merged.rows[table.name] = len(rows)

    # -- temporary tables

    def _open(self, cursor: Any) -> None:
        for table in self._tables.values():
            extra = ["unit", "new_id"] if table.number else ["unit"]
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

    def _name(self, table: Table) -> str:
        return quoted(self._using, table.name)

    def _staged(self, table: Table) -> str:
        return quoted(self._using, f"import_{table.name}")

    def _columns(self, table: Table, prefix: str = "", *, without: Collection[str] = ()) -> str:
        return ", ".join(
            prefix + quoted(self._using, column.name) for column in table.columns if column.name not in without
        )

    def _flush(self) -> None:
        with self._connection.cursor() as cursor:
            if not self._in_tables:
                self._open(cursor)
                self._in_tables = True
            for table in self._tables.values():
                if rows := self._buffer.pop(table.name, None):
                    ids = table.positions([table.number] if table.number else [])
                    self._copy(cursor, self._staged(table), ([*row, *(row[id] for id in ids)] for row in rows))
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
            for table in self._tables.values():
                cursor.execute(f"DELETE FROM {self._staged(table)} WHERE unit IN ({among})")

    def _units(self, cursor: Any, sql: str) -> set[int]:
        cursor.execute(sql)
        return {unit for (unit,) in cursor.fetchall()}

    # -- what is there already

    def _leave_out_what_is_there(self, cursor: Any, root: Table, group: Sequence[Table]) -> None:
        staged = f"SELECT i.unit FROM {self._staged(root)} i"
        there = self._units(cursor, f"{staged} JOIN {self._name(root)} h ON {self._is_same(root, 'i')}")
        if there:
            differing = {unit for table in group for unit in self._units(cursor, self._differing(root, table))}
            self._merged.differing |= differing
            self._merged.unchanged |= there - differing
            self._drop(cursor, there)

    def _is_same(self, root: Table, alias: str) -> str:
        """Whether a row of the root's that is there, ``h``, is the one of the alias."""
        names = [quoted(self._using, name) for name in root.place]
        return " AND ".join(f"h.{name} = {alias}.{name}" for name in names)

    def _differing(self, root: Table, table: Table) -> str:
        """The units of roots that are there, but not with the same rows of this table."""
        imported, stored = self._imported_rows(root, table), self._stored_rows(root, table)
        return f"SELECT unit FROM ({imported} EXCEPT {stored}) a UNION SELECT unit FROM ({stored} EXCEPT {imported}) b"

    def _imported_rows(self, root: Table, table: Table) -> str:
        there = f"SELECT p.unit FROM {self._staged(root)} p JOIN {self._name(root)} h ON {self._is_same(root, 'p')}"
        numbered = (
            "(SELECT unit, id, row_number() OVER (PARTITION BY unit ORDER BY id) AS position"
            f" FROM {self._staged(self._tables[MESSAGES])})"
        )
        return (
            f"SELECT i.unit, {self._compared(table, 'i')}"
            f" FROM {self._staged(table)} i{self._join(table, 'i', numbered, 'n.unit = i.unit')}"
            f" WHERE i.unit IN ({there})"
        )

    def _stored_rows(self, root: Table, table: Table) -> str:
        there = f"{self._staged(root)} p JOIN {self._name(root)} h ON {self._is_same(root, 'p')}"
        numbered = (
            "(SELECT p.unit, m.id, row_number() OVER (PARTITION BY p.unit ORDER BY m.id) AS position"
            f" FROM {self._staged(self._tables[SESSIONS])} p JOIN messages m ON m.session_id = p.id)"
        )
        if table.owner:
            source = f"{there} JOIN {self._name(table)} t ON t.{quoted(self._using, table.owner)} = h.id"
        else:
            source = f"{there} JOIN messages o ON o.session_id = h.id JOIN {self._name(table)} t"
            source += f" ON t.{quoted(self._using, _message(table))} = o.id"
        return (
            f"SELECT p.unit, {self._compared(table, 't')}"
            f" FROM {source}{self._join(table, 't', numbered, 'n.unit = p.unit')}"
        )

    def _compared(self, table: Table, alias: str) -> str:
        """All but numbers, which need not be the same. Of a message, its position in the transcript is."""
        numbers = [table.number, *(column.name for column in table.columns if column.refers_to)]
        return ("n.position, " if _message(table) else "") + self._columns(table, f"{alias}.", without=numbers)

    def _join(self, table: Table, alias: str, numbered: str, same_unit: str) -> str:
        if not (column := _message(table)):
            return ""
        return f" LEFT JOIN {numbered} n ON n.id = {alias}.{quoted(self._using, column)} AND {same_unit}"

    # -- numbers

    def _number(self, cursor: Any, table: Table) -> None:
        """Numbers stay where they are free; where one is not, all rows of its unit get new ones, in their order.
        Items, which are listed by it, get new ones from there on. Those below 1 never stay.
        """
        staged, name = self._staged(table), self._name(table)
        taken = f"SELECT unit FROM {staged} i WHERE EXISTS (SELECT 1 FROM {name} m WHERE m.id = i.id)"
        twice = f"SELECT unit FROM {staged} WHERE id IN (SELECT id FROM {staged} GROUP BY id HAVING count(*) > 1)"
        nobodys = self._units(cursor, f"SELECT DISTINCT unit FROM {staged} WHERE id < 1")
        renumbered = self._units(cursor, f"{taken} UNION {twice}") - nobodys
        if table.name == MESSAGES:
            self._merged.renumbered = renumbered
        elif table.name == table.root and (renumbered or table.name in self._renumbered):
            self._renumbered.add(table.name)
            renumbered = self._units(cursor, f"SELECT unit FROM {staged}")
        among = ", ".join(map(str, nobodys | renumbered))
        if self._connection.vendor == "postgresql":
            kept = f"WHERE unit NOT IN ({among})" if among else ""
            cursor.execute(f"SELECT max(id) FROM {staged} {kept}")
            ((highest,),) = cursor.fetchall()
            if highest is not None:
                self._raise_sequence(cursor, table, highest)
            new = f"nextval(pg_get_serial_sequence('{table.name}', 'id'))"
        else:
            new = (
                f"max((SELECT coalesce(max(id), 0) FROM {name}), (SELECT coalesce(max(id), 0) FROM"
                f" {staged}), coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{table.name}'), 0))"
                " + row_number() OVER (ORDER BY unit, id)"
            )
        if among:
            cursor.execute(
                f"UPDATE {staged} AS i SET new_id = n.new_id FROM (SELECT unit, id, {new} AS new_id FROM"
                f" (SELECT unit, id FROM {staged} WHERE unit IN ({among}) ORDER BY unit, id) o) n"
                " WHERE n.unit = i.unit AND n.id = i.id"
            )

    def _raise_sequence(self, cursor: Any, table: Table, highest: int) -> None:
        """Set the sequence behind the numbers that are kept.

        Nobody may draw a number meanwhile, or setting the sequence would take it back: who inserts holds a lock on
        the table that this one waits for.
        """
        cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table.name])
        ((sequence,),) = cursor.fetchall()
        cursor.execute(f"SELECT last_value FROM {sequence}")
        ((last,),) = cursor.fetchall()
        if highest > last:
            cursor.execute(f"LOCK TABLE {self._name(table)} IN SHARE ROW EXCLUSIVE MODE")
            cursor.execute(
                f"SELECT setval(%s::regclass, greatest(%s, last_value)) FROM {sequence}", [sequence, highest]
            )

    # -- the rows

    def _insert(self, cursor: Any, table: Table) -> None:
        values = ", ".join(
            "i.new_id"
            if column.name == table.number
            else "r.new_id"
            if column.refers_to
            else f"i.{quoted(self._using, column.name)}"
            for column in table.columns
        )
        source = f"{self._staged(table)} i"
        if column := table.reference:
            source += f" LEFT JOIN {self._staged(self._tables[column.refers_to])} r ON r.unit = i.unit"
            source += f" AND r.id = i.{quoted(self._using, column.name)}"
        cursor.execute(f"INSERT INTO {self._name(table)} ({self._columns(table)}) SELECT {values} FROM {source}")
        if cursor.rowcount:
            self._merged.rows[table.name] = cursor.rowcount

    def _forget_sessions(self, cursor: Any) -> None:
        """A fact whose session is not there has none, as if that had been deleted."""
        staged = self._staged(self._tables[FACTS])
        cursor.execute(
            f"UPDATE {staged} SET source_session_id = NULL WHERE NOT EXISTS"
            f" (SELECT 1 FROM sessions s WHERE s.id = {staged}.source_session_id)"
        )


def _message(table: Table) -> str:
    """The column with the id of a message, "" where there is none."""
    if table.name == MESSAGES:
        return table.number
    return table.reference.name if table.reference and table.reference.refers_to == MESSAGES else ""
