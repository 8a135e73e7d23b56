"""What a decoded ``node_results`` says, as far as it has the shape, as rows and as a drawing; the raw view has all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from obsku_checkpoint.admin import format, values
from obsku_checkpoint.admin.drawings.graph import Loop, Node, graph
from obsku_checkpoint.admin.drawings.svg import status_class
from obsku_checkpoint.admin.values import harmless, text_of
from obsku_checkpoint.run_state import is_reserved

#: the key of a pending node's result that holds its question
INTERRUPT = "interrupt"


def each_result(results: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(node, result) of each node."""
    if isinstance(results, dict):
        for name, result in results.items():
            if isinstance(name, str) and isinstance(result, dict) and not is_reserved(name):
                yield name, result


def failed_nodes(results: Any) -> list[str]:
    """The names of the nodes that failed."""
    return [name for name, result in each_result(results) if result.get("status") == "failed"]


def shown_status(result: dict[str, Any], without: str = "") -> str:
    """How one node stands: its status (``without``, where it has none), or that it waits for a person."""
    return "waiting" if INTERRUPT in result else text_of(result.get("status", without), 40)


#: nodes that are drawn
DRAWN = 60
_KNOWN = ("status", "output", "error", "startedAt", "completedAt")


@dataclass(frozen=True, slots=True)
class Row:
    """One node's result."""

    node: str
    status: str
    started: SafeString
    lasted: str
    error: SafeString
    output: SafeString
    #: keys that are not ours to know
    more: SafeString

    @property
    def status_class(self) -> str:
        return status_class(self.status)

    @property
    def anchor(self) -> str:
        return anchor(self.node)

    @property
    def name(self) -> SafeString:
        return harmless(self.node)


def rows(results: Any) -> list[Row]:
    return [_row(node, result) for node, result in each_result(results)]


def drawn(results: Any, pending: Any, cycle: Any, address: str) -> SafeString:
    """The graph; each node leads to its row on the page at ``address``."""
    found = dict(each_result(results))
    names = pending_names(pending)
    nodes = []
    for name in [*found, *(name for name in names if name not in found)][:DRAWN]:
        result = found.get(name, {})
        status = shown_status(result, without="pending")
        if name in names and status in ("completed", "skipped"):  # a cycle has led back to it
            status = "pending"
        start, end = format.milliseconds(result.get("startedAt")), format.milliseconds(result.get("completedAt"))
        nodes.append(
            Node(name, status, None if name in names and start is None else start, end, f"{address}#{anchor(name)}")
        )
    return graph(nodes, _loop(cycle))


def pending_names(pending: Any) -> list[str]:
    return [name for name in pending if isinstance(name, str)] if isinstance(pending, list) else []


def anchor(node: str) -> str:
    """The id of a node's row: letters that any id may have."""
    return "node-" + "".join(
        character if character.isascii() and character.isalnum() else f"-{ord(character):x}-" for character in node[:60]
    )


def _row(node: str, result: dict[str, Any]) -> Row:
    start, end = format.milliseconds(result.get("startedAt")), format.milliseconds(result.get("completedAt"))
    more = {key: value for key, value in result.items() if key not in _KNOWN}
    return Row(
        node=node,
        status=text_of(result.get("status", ""), 40),
        started=SafeString("") if start is None else format.timestamp(format.at(start)),
        lasted="" if start is None or end is None else format.lasted(end - start),
        error=values.tree(result["error"]) if result.get("error") is not None else SafeString(""),
        output=values.tree(result["output"]) if "output" in result else SafeString(""),
        more=values.tree(more) if more else SafeString(""),
    )


def _loop(cycle: Any) -> Loop | None:
    """``{"backEdge": "a->b", "iteration": 2}``"""
    if (
        not isinstance(cycle, dict)
        or not isinstance(cycle.get("backEdge"), str)
        or type(cycle.get("iteration")) is not int
    ):
        return None
    source, arrow, target = cycle["backEdge"].partition("->")
    return Loop(source.strip(), target.strip(), cycle["iteration"]) if arrow else None
