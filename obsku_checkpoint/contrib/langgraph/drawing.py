"""The graph of a thread, where the settings name it and this process has it: for the admin's drawing."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from obsku_checkpoint import conf, run_state
from obsku_checkpoint.run_state import GraphEdge, GraphNode, RunGraph

#: where every graph of LangGraph begins and ends
ENDS = ("__start__", "__end__")


def graph_of(directory: str) -> RunGraph | None:
    """The graph that ``LANGGRAPH_GRAPHS`` names. Nothing is imported for it: who writes the thread has it."""
    path = conf.current().LANGGRAPH_GRAPHS.get(directory, "")
    module, _, name = path.rpartition(".")
    compiled = getattr(sys.modules.get(module), name, None) if module else None
    return None if compiled is None else _drawn(compiled)


@lru_cache(100)
def _drawn(compiled: Any) -> RunGraph:
    drawable = compiled.get_graph()
    names = [name for name in drawable.nodes if name not in ENDS and not run_state.is_reserved(name)]
    known = set(names)
    pairs = {(edge.source, edge.target): edge.conditional for edge in drawable.edges}
    within = {pair: conditional for pair, conditional in pairs.items() if known.issuperset(pair)}
    beginnings = [target for source, target in pairs if source == ENDS[0] and target in known]
    back = _back_edges(beginnings or names, within)
    nodes = tuple(GraphNode(name=name) for name in names)
    edges = tuple(
        GraphEdge(source=source, target=target, has_condition=conditional, is_back=(source, target) in back)
        for (source, target), conditional in within.items()
    )
    text = json.dumps([names, [[edge.source, edge.target, edge.has_condition] for edge in edges]])
    return RunGraph(digest=hashlib.blake2b(text.encode(), digest_size=16).hexdigest(), nodes=nodes, edges=edges)


def _back_edges(beginnings: Iterable[str], edges: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those that lead to a node on the way to their source, in the order of a walk from the beginnings."""
    after: dict[str, list[str]] = {}
    for source, target in edges:
        after.setdefault(source, []).append(target)
    found: set[tuple[str, str]] = set()
    done: set[str] = set()
    for beginning in beginnings:
        way = {beginning: iter(after.get(beginning, ()))}
        while way:
            node, rest = next(reversed(way.items()))
            target = next(rest, "")
            if not target:
                del way[node]
                done.add(node)
            elif target in way:
                found.add((node, target))
            elif target not in done:
                way[target] = iter(after.get(target, ()))
    return found
