"""The entities that an entity leads to, nearest first, in pages."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rest_framework.request import Request

from obsku_checkpoint import conf
from obsku_checkpoint.api import pagination
from obsku_checkpoint.api.row_budget import Keys, Row, within_bytes
from obsku_checkpoint.api.turns import turn_of
from obsku_checkpoint.memory_validation import MAX_DEPTH
from obsku_checkpoint.models import Entity
from obsku_checkpoint.store import DjangoCheckpointStore

NAME = "related"
BEYOND = """WHERE nearest.distance > %(distance)s OR (nearest.distance = %(distance)s
    AND (e.created_at < %(moment)s OR (e.created_at = %(moment)s AND e.id < %(id)s)))"""
SQL = """{reached}
SELECT nearest.distance, e.created_at, e.id FROM nearest JOIN entities e ON e.id = nearest.id {beyond}
ORDER BY nearest.distance, e.created_at DESC, e.id DESC LIMIT {count:d}"""


class RelatedPage:
    """``id`` is the entity that leads to those of the page, by ``depth`` relationships at most."""

    def __init__(
        self,
        store: DjangoCheckpointStore,
        id: str,
        *,
        depth: int,
        workspaces: Collection[str] | None,
        request: Request,
    ) -> None:
        cursor, size = request.query_params.get(pagination.CURSOR), pagination.size(request)
        reached, parameters = store.reached(id, depth, workspaces)
        beyond = {} if cursor is None else _decoded(cursor)
        sql = SQL.format(reached=reached, beyond=BEYOND if beyond else "", count=size + 1)
        order = ("distance", "-created_at", "-id")
        keys = Keys(sql, {**parameters, **beyond}, ("distance", "created_at", "id"), order)
        limit = conf.current().MAX_PAGE_BYTES
        found = within_bytes(store.using, Entity, keys, limit, before_heavy=turn_of(request))
        self.rows: list[Row] = found.rows[:size]
        more = found.counted > len(self.rows) > 0
        self.next = pagination.encoded([NAME, *found.positions[len(self.rows) - 1]]) if more else None


def _decoded(cursor: str) -> dict[str, Any]:
    """The position behind which a page begins."""
    match pagination.decoded(cursor):
        case [name, int(distance), int(moment), str(id)] if (
            name == NAME and 0 < distance <= MAX_DEPTH and abs(moment) <= pagination.INT64
        ):
            return {"distance": distance, "moment": moment, "id": id}
    raise pagination.not_of_this_list()
