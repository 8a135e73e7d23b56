"""A session's timeline: the runs of nodes that its checkpoints tell of, and the times in which it waited for a person.

Each checkpoint repeats the results of those before it, so a run is known by its node and start, and the newest
checkpoint that has it says how it ended. What is read is bounded in checkpoints and in bytes, the newest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.admin.drawings.timeline import ASKED, OVER, Bar, Track, timeline, union
from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.admin.runs import HISTORY, Run, runs
from obsku_checkpoint.admin.session.status import around
from obsku_checkpoint.fields import now, to_milliseconds
from obsku_checkpoint.models import Checkpoint, Session
from obsku_checkpoint.run_state import SEPARATOR, RunState, nested_namespace

#: checkpoints that are read, and runs of nodes that are drawn
CHECKPOINTS, BARS = 300, 1000
#: nodes of a large checkpoint that are read
ENTRIES = 100
#: rows of the table
ROWS = 300

#: (namespace, node, start) -> the run of the node
Bars = dict[tuple[str, str, float], Bar]


@dataclass(frozen=True, slots=True)
class Work:
    """What a session's nodes did, and when."""

    bars: list[Bar]
    #: the checkpoint before which there are earlier ones
    earlier: str | None
    #: checkpoints that were not read, as they are too large together, and their bytes
    unread: int
    unread_bytes: int

    @property
    def worked(self) -> float:
        """Milliseconds in which a node was at work."""
        return _sum(bar for bar in self.bars if bar.status != "waiting")

    @property
    def waited(self) -> float:
        """Milliseconds in which the session waited for a person, and no node was at work."""
        return _sum(self.bars) - self.worked

    @property
    def is_whole(self) -> bool:
        return self.earlier is None and not self.unread


class Timeline(Page):
    name = "timeline"
    title = gettext_lazy("Timeline")
    template = "admin/obsku_checkpoint/session/timeline.html"

    def context(self, request: HttpRequest, subject: Session) -> dict[str, Any]:
        work = work_of(self.database, subject.pk, self.links, request.GET.get("before", "").replace("\x00", ""))
        rows = sorted(work.bars, key=lambda bar: bar.start)
        return {
            "drawing": timeline(tracks(work.bars)),
            "bars": rows[-ROWS:],
            "bars_left_out": max(0, len(rows) - ROWS),
            "earlier": work.earlier,
            "statuses": sorted({(bar.status_class, bar.plain_status) for bar in work.bars}),
            "worked": format.lasted(work.worked),
            "waited": format.lasted(work.waited) if work.waited else "",
            "unread": work.unread,
            "unread_size": format.size(work.unread_bytes),
        }


def work_of(database: str, session_id: str, links: Links, before: str | None = None, known: Iterable[Run] = ()) -> Work:
    """``before`` is a checkpoint's id: those that follow it are left out, as is it. ``known``: see `runs`."""
    own = Checkpoint.objects.using(database).in_session(session_id)
    ids = list((own.below(before) if before else own.newest_first()).values_list("id", flat=True)[: CHECKPOINTS + 1])
    chosen = ids[:CHECKPOINTS]
    found = runs(database, chosen, entries=ENTRIES, taken_apart=HISTORY, known=known)
    oldest_first = [found[id] for id in reversed(chosen) if id in found]
    bars: Bars = {}
    at_work: dict[tuple[str, str], float] = {}
    asked: dict[tuple[str, str], Bar] = {}
    for run in oldest_first:
        if state := run.state:
            for node in state.results:
                _add(bars, at_work, run, node, state, links)
        _wait(bars, asked, run, links)
    unread = [run for run in oldest_first if not run.was_read]
    return Work(
        bars=sorted(bars.values(), key=lambda bar: bar.start)[-BARS:],
        earlier=chosen[-1] if len(ids) > CHECKPOINTS else None,
        unread=len(unread),
        unread_bytes=sum(run.bytes for run in unread),
    )


def tracks(bars: Iterable[Bar]) -> list[Track]:
    """A row for each node, those of a nested graph under the node that it is, else in the order of their starts."""
    nodes: dict[str, dict[str, list[Bar]]] = {}
    for bar in bars:
        nodes.setdefault(bar.namespace, {}).setdefault(bar.node, []).append(bar)
    listed: list[Track] = []

    def add(namespace: str, depth: int) -> None:
        for node, own in nodes.pop(namespace, {}).items():
            listed.append(Track(node, namespace, depth, own))
            add(nested_namespace(namespace, node), depth + 1)

    for namespace in list(nodes):
        outer, node = around(namespace)
        if namespace in nodes and not (namespace and node in nodes.get(outer, {})):
            add(namespace, 0)
    for namespace in list(nodes):
        add(namespace, 0)
    return listed


def _add(bars: Bars, at_work: dict[tuple[str, str], float], run: Run, node: str, state: RunState, links: Links) -> None:
    result: Any = state.results[node]
    start = format.milliseconds(result.get("startedAt"))
    if start is None:
        return
    end = format.milliseconds(result.get("completedAt"))
    # A node at work keeps the result of the iteration before.
    status = "running" if node in state.working and end is None else result["status"]
    if status == "pending" and "interrupt" in result:
        status = ASKED
    known = bars.get((run.namespace, node, start))
    if known is None or (known.status, known.end) != (status, end):
        step = run.checkpoint.step
        bars[run.namespace, node, start] = Bar(run.namespace, step, node, status, start, end, links.checkpoint(run.id))
    before = at_work.pop((run.namespace, node), start)
    if before < start:  # it was begun anew: the last one is over, though no checkpoint says when and how it ended
        bars[run.namespace, node, before] = replace(bars[run.namespace, node, before], status=OVER, end=start)
    if status == "running" and end is None:
        at_work[run.namespace, node] = start


def _wait(bars: Bars, asked: dict[tuple[str, str], Bar], run: Run, links: Links) -> None:
    """A question is open from the checkpoint that asks it to the one of its namespace that does not any more."""
    saved = run.checkpoint.created_at
    if not isinstance(saved, datetime):
        return
    moment = float(to_milliseconds(saved, "created_at"))
    state = run.state
    paths = state.questions if state and state.settled else {}
    open = {path for path in paths if SEPARATOR not in path or path in (state.results if state else {})}
    for namespace, node in [key for key in asked if key[0] == run.namespace]:
        bar = asked[namespace, node]
        end = moment if node not in open else float(to_milliseconds(now(), "now"))
        bars[namespace, node, bar.start] = asked[namespace, node] = replace(bar, end=max(end, bar.start))
        if node not in open:
            del asked[namespace, node]
    for node in open:
        if (run.namespace, node) not in asked:
            end = float(to_milliseconds(now(), "now"))
            bar = Bar(run.namespace, run.checkpoint.step, node, "waiting", moment, end, links.checkpoint(run.id))
            asked[run.namespace, node] = bars[run.namespace, node, moment] = bar


def _sum(bars: Iterable[Bar]) -> float:
    spans: Sequence[tuple[float, float]] = [(bar.start, bar.end) for bar in bars if bar.end is not None]
    return sum(end - start for start, end in union(spans))
