"""The first page of a session: what was asked and what came out, the error or the question, then the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from obsku_checkpoint.admin import format, node_results, values
from obsku_checkpoint.admin.drawings import graph
from obsku_checkpoint.admin.drawings.sparkline import sparkline
from obsku_checkpoint.admin.large_columns import json_columns, stored_json
from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.admin.questions import Question, questions
from obsku_checkpoint.admin.runs import Run, graphs
from obsku_checkpoint.admin.session.counts import figures
from obsku_checkpoint.admin.session.messages import entries, messages_of
from obsku_checkpoint.admin.session.status import Status, around
from obsku_checkpoint.admin.session.timeline import work_of
from obsku_checkpoint.models import Message, Session
from obsku_checkpoint.printable import plain
from obsku_checkpoint.run_state import RunGraph, RunState

#: messages of the sparkline
SPARK = 150
#: messages that are shown in short
LAST = 4
#: namespaces that are shown, and failures of each
NAMESPACES, FAILURES = 20, 20
#: entries of an input or an output that are shown
TREE = 60


@dataclass(frozen=True, slots=True)
class Namespace:
    """How one of the session's graphs stands."""

    run: Run
    name: str
    #: graphs that it is nested in
    depth: int
    address: str
    answer_address: str
    #: (title, value)
    said: list[tuple[str, SafeString]]
    pending: list[str]
    pending_left_out: int
    #: (node, error, address)
    failed: list[tuple[str, str, str]]
    failed_left_out: int
    drawing: SafeString
    #: what the drawing shows, in words
    caption: str
    questions: list[Question]
    #: columns that cannot be read as what they should be
    unread: list[tuple[str, SafeString]]

    @property
    def checkpoint(self) -> Any:
        return self.run.checkpoint

    @property
    def source(self) -> str:
        return plain(self.checkpoint.source, 40)

    @property
    def saved(self) -> SafeString:
        return format.timestamp(self.checkpoint.created_at)

    @property
    def size(self) -> str:
        return format.size(self.run.bytes)


def overview(database: str, session: Session, status: Status, links: Links) -> dict[str, Any]:
    """The context of the template."""
    found = figures(database, [session.pk])[session.pk]
    last = list(messages_of(database, session.pk).newest_first()[:LAST])[::-1]
    work = work_of(database, session.pk, links, known=status.newest)
    least = "" if work.is_whole else "≥ "
    return {
        "counts": [
            (_("Messages"), format.number(found.messages)),
            (_("Checkpoints"), format.number(found.checkpoints)),
            (_("Tokens in / out"), f"{format.number(found.tokens_in)} / {format.number(found.tokens_out)}"),
            (_("Working time"), least + format.lasted(work.worked) if work.bars else "-"),
            (_("Waiting time"), least + format.lasted(work.waited) if work.waited else "-"),
            (_("Last activity"), format.ago(session.updated_at)),
        ],
        "created": format.timestamp(session.created_at),
        "updated": format.timestamp(session.updated_at),
        "namespaces": namespaces(database, status, links),
        "more_namespaces": max(0, len(status.newest) - NAMESPACES),
        "sparkline": _tokens(database, session.pk),
        "last": [(entry, links.message(session.pk, entry.id)) for entry in entries(last)],
        "about": {"workspace": plain(session.workspace_id or "-", 200), "directory": plain(session.directory, 500)},
        "metadata": _metadata(database, session, links),
    }


def namespaces(database: str, status: Status, links: Links) -> list[Namespace]:
    """Each graph of the session, a nested one behind the one around it."""
    chosen = status.newest[:NAMESPACES]
    known = graphs(database, [run.state for run in chosen if run.state])
    outer = {run.id for run in status.outermost}
    return [_namespace(run, depth, run.id in outer, known, links) for run, depth in _in_order(chosen, outer)]


def _in_order(chosen: Sequence[Run], outermost: set[str]) -> list[tuple[Run, int]]:
    within: dict[str, list[Run]] = {}
    for run in chosen:
        if run.id not in outermost:
            within.setdefault(around(run.namespace)[0], []).append(run)
    listed: list[tuple[Run, int]] = []

    def add(run: Run, depth: int) -> None:
        listed.append((run, depth))
        for inner in sorted(within.pop(run.namespace, []), key=lambda each: each.namespace):
            add(inner, depth + 1)

    for run in chosen:
        if run.id in outermost:
            add(run, 0)
    return listed + [(run, 1) for runs in within.values() for run in runs]


def _namespace(run: Run, depth: int, is_outermost: bool, known: dict[str, RunGraph], links: Links) -> Namespace:
    state = run.state
    address = links.checkpoint(run.id)
    rest = f"{links.checkpoint(run.id, 'raw')}?part=node_results"
    nodes, edges, has_edges = node_results.parts(state, known, address) if state else ([], [], True)
    return Namespace(
        run=run,
        name=plain(run.namespace, 80) or "main",
        depth=min(depth, 4),
        address=address,
        answer_address=links.checkpoint(run.id, "answer"),
        said=_said(state, known, rest) if state and is_outermost else [],
        pending=[plain(name, 60) for name in state.pending[:40]] if state else [],
        pending_left_out=max(0, len(state.pending) - 40) if state else 0,
        failed=[
            (plain(node, 60), plain(error, 2000), f"{address}#{node_results.anchor(node)}")
            for node, error in list(state.failures.items())[:FAILURES]
        ]
        if state
        else [],
        failed_left_out=max(0, len(state.failures) - FAILURES) if state else 0,
        drawing=graph.graph(nodes, edges, has_edges),
        caption=_caption(nodes, run, has_edges=has_edges) if nodes else "",
        questions=questions(state, rest) if is_outermost else [],
        unread=[
            (name.replace("_", " "), values.tree(value, rest=f"{links.checkpoint(run.id, 'raw')}?part={name}"))
            for name, value in run.unread
        ],
    )


def _caption(nodes: Sequence[graph.Node], run: Run, *, has_edges: bool) -> str:
    sentences = [f"{graph.caption(nodes)}."]
    if not has_edges:
        sentences.append(_("In the order in which they ran: the run does not say which edges its graph has."))
    if graph.is_grouped(nodes):
        sentences.append(_("Finished nodes are drawn in groups."))
    if run.left_out:
        left_out = {"count": format.number(run.left_out)}
        sentences.append(_("Nodes not shown: %(count)s. Those that failed or are open are shown.") % left_out)
    return " ".join(sentences)


def _said(state: RunState, known: dict[str, RunGraph], rest: str) -> list[tuple[str, SafeString]]:
    """What the run was given, and the outputs of its ends where it is complete."""
    said = []
    if state.input is not None:
        said.append((_("Input"), values.tree(state.input, entries=TREE, rest=rest)))
    if state.status == "complete":
        for node in _ends(state, known)[:3]:
            result: Any = state.results[node]
            title = _("Output of %(node)s") % {"node": plain(node, 60)}
            said.append((title, values.tree(result["output"], entries=TREE, rest=rest)))
    return said


def _ends(state: RunState, known: dict[str, RunGraph]) -> list[str]:
    """The completed nodes that no edge leads on from; the last one where the edges are not known."""
    done = [name for name, result in state.results.items() if result["status"] == "completed" and "output" in result]
    run_graph = known.get(state.graph.digest) if state.graph else None
    if run_graph is None:
        return done[-1:]
    leading_on = {edge.source for edge in run_graph.edges if not edge.is_back}
    return [name for name in done if name not in leading_on]


def _tokens(database: str, session_id: str) -> SafeString:
    rows = Message.objects.using(database).in_session(session_id).newest_first().values_list("tokens_in", "tokens_out")
    counted = [(tokens_in or 0, tokens_out or 0) for tokens_in, tokens_out in rows[:SPARK]]
    return sparkline([pair for pair in reversed(counted) if any(pair)])


def _metadata(database: str, session: Session, links: Links) -> SafeString:
    own = Session.objects.using(database).filter(pk=session.pk)
    row = own.defer("metadata").annotate(**json_columns("metadata")).first()
    stored = stored_json(row, "metadata") if row else None
    rest = f"{links.session(session.pk, 'raw')}?part=metadata"
    return values.tree(stored.value, rest=rest) if stored else SafeString("")
