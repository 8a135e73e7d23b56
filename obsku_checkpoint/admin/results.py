"""A checkpoint's ``node_results`` and ``pending_nodes`` as rows and as the nodes of a drawing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.safestring import SafeString

from obsku_checkpoint.admin import units, values
from obsku_checkpoint.admin.drawings.graph import Loop, Node, graph
from obsku_checkpoint.admin.drawings.svg import status_class
from obsku_checkpoint.admin.node_results import each_result, shown_status
from obsku_checkpoint.admin.text import harmless
from obsku_checkpoint.plain_text import plain

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


def milliseconds(value: Any) -> float | None:
    """A stored time; None for what is none."""
    return float(value) if type(value) in (int, float) and abs(value) < 2.5e14 else None


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
        start, end = milliseconds(result.get("startedAt")), milliseconds(result.get("completedAt"))
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
    start, end = milliseconds(result.get("startedAt")), milliseconds(result.get("completedAt"))
    more = {key: value for key, value in result.items() if key not in _KNOWN}
    return Row(
        node=node,
        status=plain(str(result.get("status", "")), 40),
        started=SafeString("")
        if start is None
        else units.moment(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=start)),
        lasted="" if start is None or end is None else units.duration(timedelta(milliseconds=end - start)),
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
