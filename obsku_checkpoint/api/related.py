"""The entities that an entity leads to, nearest first, in pages.

What a page costs is bounded as well: so many bytes of relationships are followed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.db import connections
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from obsku_checkpoint import conf
from obsku_checkpoint.api import pagination
from obsku_checkpoint.api.row_budget import Row, in_order
from obsku_checkpoint.api.turns import HEAVY, turn_of
from obsku_checkpoint.memory_validation import MAX_DEPTH
from obsku_checkpoint.models import Entity
from obsku_checkpoint.store import DjangoCheckpointStore

NAME = "related"
BEYOND = """WHERE nearest.distance > %(distance)s OR (nearest.distance = %(distance)s
    AND (e.created_at < %(moment)s OR (e.created_at = %(moment)s AND e.id < %(id)s)))"""
#: at least one row, of nulls where the page has no entity
SQL = """{reached}, page (distance, created_at, id) AS (
    SELECT nearest.distance, e.created_at, e.id FROM nearest JOIN entities e ON e.id = nearest.id {beyond}
    ORDER BY nearest.distance, e.created_at DESC, e.id DESC LIMIT {count:d}
)
SELECT page.distance, page.created_at, page.id, followed.octets
FROM (SELECT coalesce(max(octets), 0) AS octets FROM walk WHERE distance > 1) followed LEFT JOIN page ON true
ORDER BY page.distance, page.created_at DESC, page.id DESC"""


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
        position = {} if cursor is None else _decoded(cursor)
        before_heavy = turn_of(request)

        def keys(octets: int) -> tuple[Sequence[Row], bool]:
            """One more than the page has, and whether there are more relationships than may be followed."""
            reached, parameters = store.reached(id, depth, workspaces, octets)
            sql = SQL.format(reached=reached, beyond=BEYOND if position else "", count=size + 1)
            with connections[store.using].cursor() as cursor:
                cursor.execute(sql, {**parameters, **position})
                rows = cursor.fetchall()
            return [row[:3] for row in rows if row[2] is not None], rows[0][3] > octets

        limit = conf.current().MAX_PAGE_BYTES
        light = min(limit, HEAVY)
        found, too_far = keys(light)
        if too_far and light < limit:
            before_heavy()
            found, too_far = keys(limit)
        if too_far:
            reason = f"leads through more than {limit} bytes of relationships: take fewer steps"
            raise ValidationError({"depth": [reason]})
        self.rows, given = in_order(
            store.using, Entity, [key[2] for key in found[:size]], limit, before_heavy=before_heavy
        )
        self.next = pagination.encoded([NAME, *found[given - 1]]) if 0 < given < len(found) else None


def _decoded(cursor: str) -> dict[str, Any]:
    """The position behind which a page begins."""
    distance, moment, id = pagination.position(cursor, NAME, (int,), (int,), (str,))
    if not 0 < distance <= MAX_DEPTH:
        raise pagination.not_of_this_list()
    return {"distance": distance, "moment": moment, "id": id}
