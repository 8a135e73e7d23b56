"""A checkpoint, its parent, the parent's parent, … in pages.

A page begins at a checkpoint and follows the parents, so a page far back costs no more than the first. It ends before
the first one that is gone, or of a session that the request may not see: what is beyond is not even looked at.

Parents may form a ring, since a client names them. Within a page each checkpoint comes once; over pages, a cursor
remembers an earlier one, as Brent's algorithm does, and the list ends when it comes around to that.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType

from rest_framework.request import Request

from obsku_checkpoint import conf, validation
from obsku_checkpoint.api import pagination
from obsku_checkpoint.api.row_budget import Keys, Row, within_bytes
from obsku_checkpoint.api.turns import turn_of
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.querysets import SessionQuerySet
from obsku_checkpoint.store.lineage import lineage
from obsku_checkpoint.store.sql import columns

NAME = "lineage"
ID, PARENT = map(columns(Checkpoint).index, ("id", "parent_id"))


class LineagePage:
    """``visible`` are the sessions that may be seen, ``first`` is the id of the checkpoint that the lineage is of."""

    def __init__(self, visible: SessionQuerySet, first: str, request: Request) -> None:
        cursor, size = request.query_params.get(pagination.CURSOR), pagination.size(request)
        number, start, mark = (0, first, None) if cursor is None else _decoded(cursor)
        if number and number & (number - 1) == 0:  # a power of two
            mark = start
        counted, rows = (
            _read(visible, start, size, turn_of(request)) if size and validation.can_exist("id", start) else (0, [])
        )
        self.rows = _until_around(rows[:size], mark if mark != start else None)
        follows = self.rows[-1][PARENT] if self.rows else None
        around = follows is None or follows == mark or follows in {row[ID] for row in self.rows}
        more = counted > len(self.rows) and not around
        self.next = pagination.encoded([NAME, number + 1, follows, mark]) if more else None


def _read(visible: SessionQuerySet, start: str, size: int, before_heavy: Callable[[], None]) -> tuple[int, list[Row]]:
    statement = lineage(visible, start, size)
    if statement is None:
        return 0, []
    keys = Keys(*statement, ("id", "depth"), order=("depth",))
    limit = conf.current().MAX_PAGE_BYTES
    found = within_bytes(visible.db, Checkpoint, keys, limit, before_heavy=before_heavy)
    return found.counted, found.rows


def _until_around(rows: list[Row], mark: str | None) -> list[Row]:
    """The rows before the first that has been there."""
    seen = {mark}
    for index, row in enumerate(rows):
        if row[ID] in seen:
            return rows[:index]
        seen.add(row[ID])
    return rows


def _decoded(cursor: str) -> tuple[int, str, str | None]:
    """The number of a page, the checkpoint where it begins, and the one that says whether the lineage is a ring."""
    number, start, mark = pagination.position(cursor, NAME, (int,), (str,), (str, NoneType))
    if not 0 < number < 2**31:
        raise pagination.not_of_this_list()
    return number, start, mark
