"""The lines of an export become rows again; `obsku_checkpoint.maintenance.export` describes the format."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import orjson

from obsku_checkpoint import validation
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance.export import BASE64, HEADER, TEXT
from obsku_checkpoint.maintenance.tables import Column, Table, tables

#: the key of a line that says why those below it were left out
REJECTED = "rejected"
#: the key of a line that stands for a row which could not be made of what another program has: why
FAULT = "fault"


class StoredRow(NamedTuple):
    table: Table
    #: in the order of the table's columns
    values: list[Any]
    #: what the line says that it belongs to, the id of a session or of an item; "" where it says nothing
    owner: Any
    #: the primary key, by which lines of a type are sorted
    key: tuple[Any, ...]


class Line(NamedTuple):
    #: "" where it is not known, or the line is not meant to be a row
    table: str
    row: StoredRow | None = None
    #: why it is not a row, though it should be one; its field names line and column
    fault: InvalidRecordError | None = None


class RowReader:
    """Reads lines for one database."""

    def __init__(self, using: str) -> None:
        found = tables(using).values()
        self._tables = {table.name: _TableReader(table) for table in found}
        #: the tables of lines that others stand below
        self.roots = {table.root for table in found}

    def read(self, text: bytes, number: int) -> Line:
        name = ""
        try:
            entries = orjson.loads(text)
            if not isinstance(entries, dict):
                return Line("", fault=InvalidRecordError(f"line {number}", "is not a JSON object"))
            if REJECTED in entries or entries == HEADER:
                return Line("")
            name = entries.pop("table", "")
            table = self._tables.get(name) if isinstance(name, str) else None
            if table is None:
                known = ", ".join(self._tables)
                reason = f"is not one of {known}: install and migrate the app that it comes from"
                return Line(
                    "", fault=InvalidRecordError(f"line {number}: table", f"{reason}; the first line is {HEADER}")
                )
            return Line(name, table.row(entries))
        except InvalidRecordError as error:
            return Line(name, fault=InvalidRecordError(f"line {number}: {error.field}", error.reason))
        except ValueError as error:
            return Line("", fault=InvalidRecordError(f"line {number}", f"is not JSON: {error}"))


class _TableReader:
    def __init__(self, table: Table) -> None:
        self._table = table
        self._columns = [(column, _reader(f"{table.name}.{column.name}", column)) for column in table.columns]
        self._owner = table.positions([table.owner])[0] if table.owner else None
        self._key = table.positions(table.key)

    def row(self, entries: dict[str, Any]) -> StoredRow:
        if FAULT in entries:
            raise InvalidRecordError(str(entries.get("field")), str(entries[FAULT]))
        values: list[Any] = []
        for column, read in self._columns:
            value = entries.pop(column.name, _MISSING)
            if value is None and column.null:
                values.append(None)
            elif value is _MISSING:
                values.append(_other_form(f"{self._table.name}.{column.name}", column, entries))
            elif value is None:
                raise InvalidRecordError(f"{self._table.name}.{column.name}", "cannot be null")
            else:
                values.append(read(value))
        if entries:
            raise InvalidRecordError(f"{self._table.name}.{next(iter(entries))}", "is not a column of the table")
        owner = "" if self._owner is None else values[self._owner]
        return StoredRow(self._table, values, owner, tuple([values[place] for place in self._key]))


_MISSING = object()
_INTEGERS = {32: validation.INT32, 64: 2**63 - 1}


def _reader(field: str, column: Column) -> Callable[[Any], Any]:
    """Reads a value of the column. What the database alone can judge, as the length of a key, it is left to judge."""
    match column.kind:
        case "text":
            return partial(validation.text, field)
        case "integer":
            high = _INTEGERS[column.bits]
            return partial(validation.integer, field, low=-high - 1, high=high)
        case "json":
            return lambda value: orjson.dumps(value).decode()
        case "embedding":
            return orjson.dumps
        case "boolean":
            return partial(_of_type, field, bool)
        case "real":
            return partial(_of_type, field, int | float)
        case "bytes":
            return partial(_of_type, field, _Nothing)


class _Nothing:
    """The type of no value: bytes have a key of their own."""


def _of_type(field: str, type: Any, value: Any) -> Any:
    if not isinstance(value, type) or (type is not bool and isinstance(value, bool)):
        raise InvalidRecordError(field, f"cannot be {value.__class__.__name__}")
    return value


def _other_form(field: str, column: Column, entries: dict[str, Any]) -> Any:
    """The value under one of the keys that a column has beside its name."""
    if column.name + BASE64 in entries and column.kind in ("bytes", "embedding"):
        try:
            return b64decode(validation.text(field, entries.pop(column.name + BASE64)), validate=True)
        except binascii.Error as error:
            raise InvalidRecordError(field, "is not base64") from error
    if column.name + TEXT in entries and column.kind in ("json", "real"):
        text = validation.text(field, entries.pop(column.name + TEXT))
        try:
            return text if column.kind == "json" else float(text)
        except ValueError as error:
            raise InvalidRecordError(field, "is not a number") from error
    raise InvalidRecordError(field, "is missing")


def line_of_rejection(number: int, reason: str) -> bytes:
    return orjson.dumps({REJECTED: reason, "line": number}, option=orjson.OPT_APPEND_NEWLINE)
