"""The nodes of a run: as rows, and as a drawing of the graph. The raw view has all that is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from obsku_checkpoint.admin import format, values
from obsku_checkpoint.admin.drawings.graph import Edge, Node, graph
from obsku_checkpoint.admin.drawings.svg import status_class, status_name
from obsku_checkpoint.admin.values import harmless
from obsku_checkpoint.printable import plain
from obsku_checkpoint.run_state import SEPARATOR, RunGraph, RunState

#: nodes that have a row of their own: those that failed or are not finished first
ROWS = 300
_KNOWN = ("status", "output", "error", "startedAt", "completedAt", "interrupt", "questions", "nested")
_FINISHED = ("completed", "skipped")


@dataclass(frozen=True, slots=True)
class Row:
    """One node's result."""

    node: str
    #: see `node_status`
    status: str
    started: SafeString
    lasted: str
    error: SafeString
    output: SafeString
    #: keys that are not ours to know
    more: SafeString

    @property
    def status_name(self) -> str:
        return plain(status_name(self.status), 40)

    @property
    def status_class(self) -> str:
        return status_class(self.status)

    @property
    def anchor(self) -> str:
        return anchor(self.node)

    @property
    def name(self) -> SafeString:
        return harmless(self.node)


def node_status(name: str, state: RunState) -> str:
    """How a node stands: ``waiting`` for a person, ``running``, or the status of its result."""
    if name in state.working:
        return "running"
    result = state.results.get(name)
    if any(path.partition(SEPARATOR)[0] == name or path == name for path in state.questions):
        return "waiting"
    if result is None or (name in state.pending and result["status"] in _FINISHED):  # a cycle has led back to it
        return "pending"
    return result["status"]


def rows(state: RunState, rest: str = "") -> list[Row]:
    """At most `ROWS`. ``rest`` is the address of all results, for what is large."""
    statuses = {name: node_status(name, state) for name in state.results}
    order = sorted(statuses, key=lambda name: statuses[name] in _FINISHED)[:ROWS]
    return [_row(name, statuses[name], dict(state.results[name]), rest) for name in order]


def drawn(state: RunState, known: Mapping[str, RunGraph], address: str) -> SafeString:
    """The graph; each node leads to its row on the page at ``address``. ``known``: see `runs.graphs`."""
    return graph(*parts(state, known, address))


def parts(state: RunState, known: Mapping[str, RunGraph], address: str) -> tuple[list[Node], list[Edge], bool]:
    """What the drawing is made of, and whether the run says which edges there are: if not, it has back edges only."""
    run_graph = known.get(state.graph.digest) if state.graph else None
    names = [*(node.name for node in run_graph.nodes)] if run_graph else []
    names = list(dict.fromkeys([*names, *state.results, *state.pending, *state.working]))
    nodes = [_node(name, state, address) for name in names]
    if run_graph:
        return nodes, _edges(run_graph, state, {node.name: node.status for node in nodes}), True
    ends = ((name.partition("->"), count) for name, count in state.iterations.items())
    return nodes, [Edge(one.strip(), other.strip(), None, back=True, count=n) for (one, _, other), n in ends], False


def anchor(node: str) -> str:
    """The id of a node's row: letters that any id may have."""
    return "node-" + "".join(
        character if character.isascii() and character.isalnum() else f"-{ord(character):x}-" for character in node[:60]
    )


def _node(name: str, state: RunState, address: str) -> Node:
    result: Any = state.results.get(name, {})
    start, end = format.milliseconds(result.get("startedAt")), format.milliseconds(result.get("completedAt"))
    return Node(name, node_status(name, state), start, end, f"{address}#{anchor(name)}")


def _edges(run_graph: RunGraph, state: RunState, statuses: Mapping[str, str]) -> list[Edge]:
    into: dict[str, int] = {}
    for edge in run_graph.edges:
        into[edge.target] = into.get(edge.target, 0) + (not edge.is_back and statuses[edge.source] == "completed")

    def taken(source: str, target: str, has_condition: bool) -> bool | None:
        if statuses[source] == "skipped" or (statuses[source] == "completed" and statuses[target] == "skipped"):
            return False
        if statuses[source] != "completed" or target not in state.results:
            return None
        # Of several conditions the run does not say which were true.
        return None if has_condition and into[target] > 1 else True

    return [
        Edge(
            edge.source,
            edge.target,
            None if edge.is_back else taken(edge.source, edge.target, edge.has_condition),
            back=edge.is_back,
            count=state.iterations.get(edge.name, 0),
        )
        for edge in run_graph.edges
        if edge.source in statuses and edge.target in statuses
    ]


def _row(node: str, status: str, result: dict[str, Any], rest: str) -> Row:
    start, end = format.milliseconds(result.get("startedAt")), format.milliseconds(result.get("completedAt"))
    more = {key: value for key, value in result.items() if key not in _KNOWN}
    return Row(
        node=node,
        status=status,
        started=SafeString("") if start is None else format.timestamp(format.at(start)),
        lasted="" if start is None or end is None else format.lasted(end - start),
        error=values.tree(result["error"], rest=rest) if result.get("error") is not None else SafeString(""),
        output=values.tree(result["output"], rest=rest) if "output" in result else SafeString(""),
        more=values.tree(more, rest=rest) if more else SafeString(""),
    )
