"""A session's timeline: the runs of nodes that its checkpoints tell of.

Each checkpoint repeats the results of those before it, so a run is known by its node and start, and the newest
checkpoint that has it says how it ended. What is read is bounded in checkpoints and in bytes, the newest first.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.admin.drawings.timeline import Bar, waterfall
from obsku_checkpoint.admin.large_columns import BytesIn
from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.admin.node_results import each_result, shown_status
from obsku_checkpoint.models import Checkpoint, Session

CHECKPOINTS, BYTES, BARS = 300, 4_000_000, 300


class Timeline(Page):
    name = "timeline"
    title = "Timeline"
    template = "admin/obsku_checkpoint/session/timeline.html"

    def context(self, request: HttpRequest, subject: Session) -> dict[str, Any]:
        bars, earlier = runs(self.database, subject.pk, self.links, request.GET.get("before", "").replace("\x00", ""))
        return {"drawing": waterfall(bars), "bars": bars, "earlier": earlier}


def runs(database: str, session_id: str, links: Links, before: str | None = None) -> tuple[list[Bar], str | None]:
    """The runs in the order of their namespaces and starts, and the checkpoint before which there are earlier ones.

    ``before`` is a checkpoint's id: those that follow it are left out, as is it.
    """
    own = Checkpoint.objects.using(database).in_session(session_id)
    ids = list((own.below(before) if before else own.newest_first()).values_list("id", flat=True)[: CHECKPOINTS + 1])
    sizes = dict(own.filter(pk__in=ids).values_list("id", BytesIn("node_results")))
    chosen: list[str] = []
    total, rest = 0, None
    for id in ids:
        size = sizes.get(id, 0)
        if len(chosen) == CHECKPOINTS or (chosen and total + size > BYTES):
            rest = chosen[-1]
            break
        total += size
        if size <= BYTES:
            chosen.append(id)
    rows = Checkpoint.objects.using(database).only("id", "namespace", "step", "node_results").in_bulk(chosen)
    found: dict[tuple[str, str, float], Bar] = {}
    for row in (rows[id] for id in reversed(chosen) if id in rows):
        for node, result in each_result(row.node_results):
            _add(found, row, node, result, links)
    bars = sorted(found.values(), key=lambda bar: (bar.namespace, bar.start))
    return bars[-BARS:], rest


def _add(found: dict[tuple[str, str, float], Bar], row: Any, node: str, result: dict[str, Any], links: Links) -> None:
    start = format.milliseconds(result.get("startedAt"))
    if start is None:
        return
    status = shown_status(result)
    end = format.milliseconds(result.get("completedAt"))
    known = found.get((row.namespace, node, start))
    if known is None or (known.status, known.end) != (status, end):
        bar = Bar(row.namespace, row.step, node, status, start, end, links.checkpoint(row.pk))
        found[row.namespace, node, start] = bar
