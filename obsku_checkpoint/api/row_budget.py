"""Rows of a page, as many as fit a number of bytes: a row may hold megabytes, so rows alone bound nothing.

Sizes are read before values: PostgreSQL knows them without unpacking a value, and what does not fit leaves the
database in no case. The first row is read whatever its size, so that pages lead on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson
from django.db import connections, models

from obsku_checkpoint.api.turns import HEAVY
from obsku_checkpoint.models import Message
from obsku_checkpoint.store.calls import Parameters
from obsku_checkpoint.store.sql import octets

Row = Sequence[Any]

#: the columns that may be large
KINDS = (models.TextField, models.BinaryField)
#: bytes that a row counts besides its texts, about what its names and numbers take as JSON
ROW_BYTES = 256

# ``counted`` are the keys, whether their rows fit or not.
SQL = """
WITH keys ({names}) AS ({keys}),
sized AS (SELECT {octets} AS octets, keys.* FROM {sized}),
within AS (
    SELECT sized.*, row_number() OVER w AS number, sum(octets) OVER w AS total, count(*) OVER () AS counted
    FROM sized WINDOW w AS (ORDER BY {sort} ROWS UNBOUNDED PRECEDING)
)
SELECT within.counted, within.total, {values}, {columns}
FROM {within} WHERE within.total <= {most:d} OR within.number = 1 ORDER BY within.number
"""


class Keys(NamedTuple):
    """A statement that returns the columns ``names`` of a table's rows, the id among them.

    Where these are all of them, no row is looked up by its id: PostgreSQL hands values on unread, SQLite does not.
    """

    sql: str
    parameters: Parameters
    names: Sequence[str]
    #: those that sort the rows, as in Django's ``order_by``
    order: Sequence[str]


class Budgeted(NamedTuple):
    #: how many keys there are, whether their rows fit or not
    counted: int
    #: of each row that fits, the values that sort it
    positions: list[Row]
    #: the rows, with all columns of the model
    rows: list[Row]


def within_bytes(
    using: str,
    model: type[models.Model],
    keys: Keys,
    limit: int,
    *,
    before_heavy: Callable[[], None],
    last_message: bool = False,
) -> Budgeted:
    """The rows of ``keys``, in order, up to ``limit`` bytes in sum; with ``last_message`` sessions count with that.

    ``before_heavy`` is called before more than `HEAVY` bytes are read.
    """
    connection = connections[using]
    columns = [str(field.column) for field in model._meta.concrete_fields]
    whole = set(columns) <= set(keys.names)
    table = f"JOIN {model._meta.db_table} t ON t.id ="
    size = octets_of(model, connection.vendor, "keys" if whole else "t")
    if last_message:
        size += LAST_MESSAGE.format(octets=octets_of(Message, connection.vendor, "m"))
    sorting = [name.removeprefix("-") for name in keys.order]
    width = 2 + len(sorting)
    value = "within.{}" if whole else "t.{}"

    def read(most: int, value: str) -> Sequence[Row]:
        sql = SQL.format(
            keys=keys.sql,
            names=", ".join(keys.names),
            octets=size,
            sized="keys" if whole else f"keys {table} keys.id",
            sort=", ".join(f"{name[1:]} DESC" if name.startswith("-") else name for name in keys.order),
            values=", ".join(f"within.{name}" for name in sorting),
            columns=", ".join(value.format(column) for column in columns),
            within="within" if whole else f"within {table} within.id",
            most=most,
        )
        with connection.cursor() as cursor:
            cursor.execute(sql, keys.parameters)
            return cursor.fetchall()  # type: ignore[no-any-return]  # of Django's cursor

    light = min(limit, HEAVY)
    found = read(light, f"CASE WHEN within.total <= {light} THEN {value} END")
    if found and (found[0][1] > light or (len(found) < found[0][0] and limit > light)):
        before_heavy()
        found = read(limit, value)
    return Budgeted(found[0][0] if found else 0, [row[2:width] for row in found], [row[width:] for row in found])


def in_order(
    using: str, model: type[models.Model], ids: list[str], limit: int, *, before_heavy: Callable[[], None]
) -> tuple[list[Row], int]:
    """The rows of these ids in this order, up to ``limit`` bytes in sum, and how many of the ids these are.

    Rows that are gone are left out.
    """
    vendor = connections[using].vendor
    given = orjson.dumps(ids).decode() if vendor == "sqlite" else ids
    keys = Keys(IN_ORDER[vendor], [given], ("id", "place"), order=("place",))
    found = within_bytes(using, model, keys, limit, before_heavy=before_heavy)
    fits = len(found.rows) == found.counted
    return found.rows, len(ids) if fits else found.positions[-1][0]


IN_ORDER = {
    "postgresql": "SELECT id, place FROM unnest(%s::text[]) WITH ORDINALITY AS given (id, place)",
    "sqlite": "SELECT value, key + 1 FROM json_each(%s)",
}
LAST_MESSAGE = """ + coalesce((
    SELECT {octets} FROM messages m WHERE m.session_id = keys.id ORDER BY m.created_at DESC, m.id DESC LIMIT 1
), 0)"""


@cache
def octets_of(model: type[models.Model], vendor: str, alias: str) -> str:
    """SQL for the bytes of a row's texts, and `ROW_BYTES`."""
    texts = (field.column for field in model._meta.concrete_fields if isinstance(field, KINDS))
    return " + ".join([str(ROW_BYTES), *(octets(vendor, f"{alias}.{text}") for text in texts)])
