"""Pages that stay right while rows are being added: a cursor holds the place of a row, never a number of rows.

The place is the row's values in the columns that order the list, the last of which is unique, so that rows of the
same millisecond neither repeat nor vanish at a page's border.
"""

from __future__ import annotations

import base64
from typing import Any

import orjson
from django.db import connections
from django.db.models import Field, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from obsku_checkpoint import conf, validation
from obsku_checkpoint.fields import MillisecondsField, read_moment
from obsku_checkpoint.querysets import beyond

CURSOR, LIMIT = "cursor", "limit"
INT64 = 2**63 - 1


class KeysetPage:
    """One page of an ordered queryset, in one statement.

    ``from_end``: without a cursor the page is the list's last one instead of its first.
    """

    def __init__(self, request: Request, rows: QuerySet[Any, Any], *, from_end: bool = False) -> None:
        self.request = request
        self.size = _size(request)
        self._vendor = connections[rows.db].vendor
        self._names = [str(name).removeprefix("-") for name in rows.query.order_by]
        self._fields = [_field(rows, name) for name in self._names]
        cursor = request.query_params.get(CURSOR)
        self._backward, place = self._decoded(cursor) if cursor is not None else (from_end, None)
        if place is not None:
            rows = beyond(rows, place, backward=self._backward)
        if self._backward:
            rows = rows.reverse()
        found = list(rows.values()[: self.size + 1]) if self.size else []
        self._more = len(found) > self.size
        self._moved = place is not None
        self.rows: list[dict[str, Any]] = found[: self.size]
        if self._backward:
            self.rows.reverse()

    def response(self, results: Any) -> Response:
        forward = self._moved if self._backward else self._more
        backward = self._more if self._backward else self._moved
        return Response(
            {
                "next": self._link(False, -1) if forward else None,
                "previous": self._link(True, 0) if backward else None,
                "results": results,
            }
        )

    def _link(self, backward: bool, index: int) -> str | None:
        if not self.rows:
            return None
        place = [
            field.get_prep_value(self.rows[index][name]) for name, field in zip(self._names, self._fields, strict=True)
        ]
        token = base64.urlsafe_b64encode(orjson.dumps([backward, *place])).decode().rstrip("=")
        return replace_query_param(self.request.build_absolute_uri(), CURSOR, token)

    def _decoded(self, cursor: str) -> tuple[bool, list[Any]]:
        try:
            backward, *place = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
            if type(backward) is bool and len(place) == len(self._fields):
                return backward, [_value(*pair, self._vendor) for pair in zip(self._fields, place, strict=True)]
        except (TypeError, ValueError):
            pass
        raise ValidationError({CURSOR: ["is none that this list gave"]})


def _size(request: Request) -> int:
    settings = conf.current()
    given = request.query_params.get(LIMIT)
    if given is None:
        return min(settings.PAGE_SIZE, settings.MAX_PAGE_SIZE)
    if not (given.isascii() and given.isdecimal()):
        raise ValidationError({LIMIT: ["takes a number of records, 0 or more"]})
    return min(int(given[:20]), settings.MAX_PAGE_SIZE)


def _field(rows: QuerySet[Any, Any], name: str) -> Field[Any, Any]:
    annotation = rows.query.annotations.get(name)
    field: Field[Any, Any] = annotation.output_field if annotation else rows.model._meta.get_field(name)
    return field


def _value(field: Field[Any, Any], value: Any, vendor: str) -> Any:
    """The value of a row as a filter takes it; ValueError for one that no row has."""
    moment = isinstance(field, MillisecondsField)
    if type(value) is int and abs(value) <= INT64:
        return read_moment(value) if moment else value
    # SQLite takes text into columns of numbers, which other programs may have put there.
    if type(value) is str and validation.can_exist(CURSOR, value) and (not moment or vendor == "sqlite"):
        return read_moment(value) if moment else value  # type: ignore[arg-type]  # text is no time: it says so
    raise ValueError(value)
