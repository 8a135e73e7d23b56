"""What a decoded ``node_results`` says, as far as it has the shape; what has not is left to the raw view."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: the key of a pending node's result that holds its question
INTERRUPT = "interrupt"


def each_result(results: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(node, result) of each node."""
    if isinstance(results, dict):
        for name, result in results.items():
            if isinstance(name, str) and isinstance(result, dict):
                yield name, result


def failed_nodes(results: Any) -> list[str]:
    """The names of the nodes that failed."""
    return [name for name, result in each_result(results) if result.get("status") == "failed"]


def shown_status(result: dict[str, Any], without: str = "") -> str:
    """How one node stands: its status (``without``, where it has none), or that it waits for a person."""
    return "waiting" if INTERRUPT in result else str(result.get("status", without))
