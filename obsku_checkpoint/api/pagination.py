"""Pages that stay right while rows are being added: a cursor holds a row's position, never a number of rows.

The position is the row's values in the columns that order the list, the last of which is unique, so that rows of the
same millisecond neither repeat nor vanish at a page's border. A page ends after so many rows, or so many bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models import Field, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from obsku_checkpoint import conf, validation
from obsku_checkpoint.api.row_budget import Budgeted, Keys, within_bytes
from obsku_checkpoint.api.turns import turn_of
from obsku_checkpoint.fields import MillisecondsField, read_moment
from obsku_checkpoint.querysets import beyond

CURSOR, LIMIT = "cursor", "limit"


class KeysetPage:
    """One page of an ordered queryset, in one statement.

    ``rows`` are those of the database, with all columns; ``next`` and ``previous`` are the cursors of the pages beside
    this one, None where there is none. A cursor is one of the list called ``name``. Without one the page is the list's
    first, with ``from_end`` its last. ``last_message``: the sessions of the page are shown with their last messages.
    ``before_heavy`` is that of `within_bytes`.
    """

    def __init__(
        self,
        name: str,
        listed: QuerySet[Any, Any],
        *,
        size: int,
        cursor: str | None = None,
        from_end: bool = False,
        last_message: bool = False,
        before_heavy: Callable[[], None],
    ) -> None:
        self._name = name
        self._names = [str(column).removeprefix("-") for column in listed.query.order_by]
        self._options: Any = {"last_message": last_message, "before_heavy": before_heavy}
        backward, position = (from_end, None) if cursor is None else self._decoded(cursor, listed)
        if position is not None:
            listed = beyond(listed, position, backward=backward)
        counted, positions, rows = self._read(listed.reverse() if backward else listed, size)
        rows, positions = rows[:size], positions[:size]
        more, moved = counted > len(rows), position is not None
        if backward:
            rows.reverse()
            positions.reverse()
        self.rows = rows
        self.next = self._cursor(False, positions[-1:]) if (moved if backward else more) else None
        self.previous = self._cursor(True, positions[:1]) if (more if backward else moved) else None

    def _read(self, listed: QuerySet[Any, Any], size: int) -> Budgeted:
        """Up to ``size`` + 1 keys, which tell whether there are more, and the rows that fit."""
        if not size:
            return Budgeted(0, [], [])
        whole = connections[listed.db].vendor == "postgresql"
        columns = [field.attname for field in listed.model._meta.concrete_fields] if whole else ["id"]
        names = [*columns, *(name for name in self._names if name not in columns)]
        try:
            sql, parameters = listed.values_list(*names)[: size + 1].query.get_compiler(listed.db).as_sql()
        except EmptyResultSet:  # a condition that no row meets
            return Budgeted(0, [], [])
        forward = listed.query.standard_ordering
        order = [str(name) if forward else _reversed(str(name)) for name in listed.query.order_by]
        keys = Keys(sql, parameters, names, order)
        limit = conf.current().MAX_PAGE_BYTES
        return within_bytes(listed.db, listed.model, keys, limit, **self._options)

    def _cursor(self, backward: bool, position: list[Sequence[Any]]) -> str | None:
        return encoded([self._name, backward, *position[0]]) if position else None

    def _decoded(self, cursor: str, listed: QuerySet[Any, Any]) -> tuple[bool, list[Any]]:
        fields = [_field(listed, name) for name in self._names]
        vendor = connections[listed.db].vendor
        name, *rest = decoded(cursor)
        if name == self._name and len(rest) == 1 + len(fields) and type(rest[0]) is bool:
            try:
                return rest[0], [_value(*pair, vendor) for pair in zip(fields, rest[1:], strict=True)]
            except ValueError:
                pass
        raise not_of_this_list()


def requested(request: Request, name: str, listed: QuerySet[Any, Any], **options: Any) -> KeysetPage:
    """The page that a request asks for; ``options`` are those of `KeysetPage`."""
    cursor = request.query_params.get(CURSOR)
    return KeysetPage(name, listed, size=size(request), cursor=cursor, before_heavy=turn_of(request), **options)


def response(request: Request, results: Any, *, next: str | None, previous: str | None = None) -> Response:
    """A page, whose neighbours have these cursors."""
    address = request.build_absolute_uri()
    return Response({"next": link(address, next), "previous": link(address, previous), "results": results})


def begins(request: Request, shown: Any, *, next: str | None) -> Response:
    """An array, which goes on at this cursor: the header Link says so (RFC 8288)."""
    further = link(request.build_absolute_uri(), next)
    return Response(shown, headers={} if further is None else {"Link": f'<{further}>; rel="next"'})


def link(address: str, cursor: str | None) -> str | None:
    return None if cursor is None else replace_query_param(address, CURSOR, cursor)


def size(request: Request) -> int:
    """How many records a page has at most."""
    settings = conf.current()
    given = request.query_params.get(LIMIT)
    if given is None:
        return min(settings.PAGE_SIZE, settings.MAX_PAGE_SIZE)
    if not (given.isascii() and given.isdecimal()):
        raise ValidationError({LIMIT: ["takes a number of records, 0 or more"]})
    return min(int(given[:20]), settings.MAX_PAGE_SIZE)


def encoded(position: Sequence[Any]) -> str:
    """A cursor: the list's name, and a position in it."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def decoded(cursor: str) -> list[Any]:
    """What `encoded` was given; a 400 for any other text."""
    try:
        position = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except ValueError:
        raise not_of_this_list() from None
    if not isinstance(position, list) or not position:
        raise not_of_this_list()
    return position


def position(cursor: str, name: str, *kinds: tuple[type, ...]) -> list[Any]:
    """What `encoded` was given after the list's ``name``, each value of one of its types; a 400 for any other text."""
    first, *values = decoded(cursor)
    if first == name and len(values) == len(kinds) and all(map(_is_of, values, kinds)):
        return values
    raise not_of_this_list()


def _is_of(value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether it is of one of the types, to which booleans are no integers, and a column may hold it."""
    kind = type(value)
    if kind not in kinds:
        return False
    return validation.can_exist(CURSOR, value) if kind is str else kind is not int or abs(value) <= validation.INT64


def not_of_this_list() -> ValidationError:
    return ValidationError({CURSOR: ["is not a cursor of this list"]})


def _reversed(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _field(listed: QuerySet[Any, Any], name: str) -> Field[Any, Any]:
    annotation = listed.query.annotations.get(name)
    field: Field[Any, Any] = annotation.output_field if annotation else listed.model._meta.get_field(name)
    return field


def _value(field: Field[Any, Any], value: Any, vendor: str) -> Any:
    """The value of a row as a filter takes it; ValueError for one that no row has."""
    moment = isinstance(field, MillisecondsField)
    text = isinstance(field, models.TextField)
    # SQLite takes text into columns of numbers, where other programs may have put it.
    if type(value) is str and validation.can_exist(CURSOR, value) and (text or (vendor == "sqlite" and moment)):
        return read_moment(value) if moment else value  # type: ignore[arg-type]  # text is not a time: it says so
    if type(value) is int and abs(value) <= validation.INT64 and not text:
        return read_moment(value) if moment else value
    raise ValueError(value)
