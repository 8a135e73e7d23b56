"""What a search finds, best first, as much as fits an answer: the header Link leads to the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request

from obsku_checkpoint import conf
from obsku_checkpoint.api import pagination
from obsku_checkpoint.api.row_budget import Row, in_order
from obsku_checkpoint.api.turns import turn_of
from obsku_checkpoint.models import Entity, Fact
from obsku_checkpoint.store import DjangoCheckpointStore

Nearest = list[tuple[str, float]]


class FoundPage:
    """``asked`` is what `DjangoCheckpointStore.nearest` takes. ``found`` are rows and scores, ``next`` is a cursor."""

    def __init__(
        self, store: DjangoCheckpointStore, model: type[Entity | Fact], asked: Mapping[str, Any], request: Request
    ) -> None:
        name = f"found {model._meta.db_table}"
        cursor = request.query_params.get(pagination.CURSOR)
        last = None if cursor is None else pagination.position(cursor, name, (str,), (float, int))
        nearest: Nearest = store.nearest(model, **asked)
        if last is not None:
            nearest = _behind(nearest, *last)
        ids = [id for id, _ in nearest]
        limit = conf.current().MAX_PAGE_BYTES
        rows, given = in_order(store.using, model, ids, limit, before_heavy=turn_of(request))
        scores = dict(nearest)
        self.found: list[tuple[Row, float]] = [(row, scores[row[0]]) for row in rows]
        self.next = pagination.encoded([name, *nearest[given - 1]]) if 0 < given < len(nearest) else None


def _behind(nearest: Nearest, id: str, score: float) -> Nearest:
    """What stands behind one of them, which may be gone meanwhile."""
    for place, (one, _) in enumerate(nearest):
        if one == id:
            return nearest[place + 1 :]
    return [one for one in nearest if one[1] < score]
