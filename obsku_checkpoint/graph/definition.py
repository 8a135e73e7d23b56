"""What a graph is made of, and which graphs are refused."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import combinations
from typing import Any

from obsku_checkpoint import validation
from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph.context import Context
from obsku_checkpoint.graph.mermaid import flowchart
from obsku_checkpoint.run_state import SEPARATOR, GraphEdge, GraphNode, RunGraph, is_reserved

Judge = Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Node:
    """A node with a time limit or retries; a node without is given to `Graph` as the plain callable."""

    #: called with a `Context`, sync or async; or a graph, which is run in its place
    run: Callable[[Context], Any] | Graph
    _: KW_ONLY
    #: seconds for each attempt. A sync node that is out of time cannot be stopped: what it still does is ignored, but
    #: the process does not exit before its thread has ended.
    timeout: float | None = None
    #: further attempts after a failure; or by kinds of exceptions, ``{ConnectionError: 3, TimeoutError: 1}``, of which
    #: the first that fits counts: other failures are final
    retries: int | Mapping[type[Exception], int] = 0
    #: seconds before the second attempt; twice as long before each further one, up to a minute
    backoff: float = 1.0

    def __post_init__(self) -> None:
        if not callable(self.run) and not isinstance(self.run, Graph):
            raise GraphError(f"a node must be a callable or a Graph, not {type(self.run).__name__}")
        if self.timeout is not None and not self.timeout > 0:
            raise GraphError("timeout must be more than 0 seconds")
        kinds = self.retries if isinstance(self.retries, Mapping) else {Exception: self.retries}
        if not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
            raise GraphError("retries must be a number, or name exceptions")
        if any(type(most) is not int or most < 0 for most in kinds.values()):
            raise GraphError("retries must be 0 or more")
        if not self.backoff >= 0:
            raise GraphError("backoff must be 0 seconds or more")


@dataclass(frozen=True, slots=True)
class Edge:
    """From one node to another; with ``back`` to an earlier one, which makes a cycle."""

    source: str
    target: str
    _: KW_ONLY
    #: called with the source's output; the edge is taken where it is true
    condition: Judge | None = None
    back: bool = False
    #: how often a back edge is taken at most; needed there
    max_iterations: int | None = None
    #: called with the source's output; a back edge is not taken any more once it is true
    until: Judge | None = None

    def __post_init__(self) -> None:
        for name, judge in (("condition", self.condition), ("until", self.until)):
            if judge is not None and (not callable(judge) or inspect.iscoroutinefunction(judge)):
                raise GraphError(f"{name} must be a sync callable", (self.source, self.target))
        if not self.back and (self.max_iterations is not None or self.until):
            raise GraphError("max_iterations and until belong to an edge with back=True", (self.source, self.target))
        if self.back and (type(self.max_iterations) is not int or self.max_iterations < 1):
            raise GraphError("a back edge needs max_iterations, 1 or more", (self.source, self.target))

    @property
    def name(self) -> str:
        return f"{self.source}->{self.target}"

    @property
    def arrow(self) -> str:
        """The edge in a Mermaid flowchart."""
        if self.back:
            return f"-. at most {self.max_iterations} times .->"
        return "-->" if self.condition is None else "-- if -->"


class Graph:
    """Nodes and the edges between them; it does not change after it is built.

    A node runs as soon as all its predecessors are finished and at least one edge to it is taken; where none is taken
    it is skipped. An edge is taken where its source completed and its condition, if any, is true.

    When a back edge is taken, all nodes between its target and its source are run again; the nodes after them wait
    until it is not taken any more. Cycles may be nested, but not overlap otherwise.

    Raises `GraphError`, which names the nodes, for a graph that cannot be run.
    """

    def __init__(
        self, *, entry: str, nodes: Mapping[str, Callable[[Context], Any] | Graph | Node], edges: Iterable[Edge] = ()
    ) -> None:
        self.entry = entry
        self.nodes = {
            validation.key("nodes", name): node if isinstance(node, Node) else Node(node)
            for name, node in nodes.items()
        }
        self.edges = tuple(edges)
        if bad := [edge for edge in self.edges if not isinstance(edge, Edge)]:
            raise GraphError(f"edges must be Edge objects, not {bad[0]!r}")
        self._check_names()
        #: node -> the edges that lead to it, and back to it
        self.incoming: dict[str, list[Edge]] = {name: [] for name in self.nodes}
        self.returning: dict[str, list[Edge]] = {name: [] for name in self.nodes}
        #: node -> the back edges that start there, in the order in which they were given
        self.back_edges: dict[str, list[Edge]] = {name: [] for name in self.nodes}
        self._following: dict[str, list[str]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            (self.returning if edge.back else self.incoming)[edge.target].append(edge)
            if edge.back:
                self.back_edges[edge.source].append(edge)
            else:
                self._following[edge.source].append(edge.target)
        self._refuse_cycles({name: [edge.source for edge in into] for name, into in self.incoming.items()})
        if unreachable := self.nodes.keys() - self.descendants(entry) - {entry}:
            raise GraphError("no edge leads from the entry to", tuple(sorted(unreachable)))
        #: back edge -> the nodes that are run again when it is taken
        self._back_edges = [edge for edge in self.edges if edge.back]
        self.bodies = {edge.name: self._body(edge) for edge in self._back_edges}
        self._check_bodies()
        #: node -> the nodes that must be finished before it may start: those before it, and the ends of the cycles
        #: that lead to it, so that it does not start while a cycle may still go back
        self.waits_for = {name: self._waits_for(name) for name in self.nodes}
        self._refuse_cycles(self.waits_for)
        #: the nodes, each after those it waits for
        self.order = tuple(TopologicalSorter(self.waits_for).static_order())
        #: node -> the back edges whose cycles it is in, the outermost first
        self.cycles = {name: self._cycles(name) for name in self.nodes}
        #: the nodes whose outputs are the graph's
        self.ends = tuple(name for name in self.order if not self._following[name])

    def descendants(self, name: str) -> set[str]:
        """The nodes that edges lead to from this one, back edges left aside."""
        found: set[str] = set()
        ahead = [name]
        while ahead:
            new = [target for target in self._following[ahead.pop()] if target not in found]
            found.update(new)
            ahead += new
        return found

    def in_order(self, names: Collection[str]) -> dict[str, None]:
        """Those of the names that the graph has, each after the ones it waits for."""
        return {name: None for name in self.order if name in names}

    def node_at(self, path: str) -> tuple[str, str]:
        """(node, path in the graph that it is), or (the path, "") where it leads into no nested graph."""
        if path not in self.nodes:
            name, _, within = path.partition(SEPARATOR)
            if within and name in self.nodes and isinstance(self.nodes[name].run, Graph):
                return name, within
        return path, ""

    @cached_property
    def description(self) -> RunGraph:
        """The graph as its runs' checkpoints hold it."""
        nodes = tuple(GraphNode(name=name, is_graph=isinstance(node.run, Graph)) for name, node in self.nodes.items())
        edges = tuple(
            GraphEdge(
                source=edge.source,
                target=edge.target,
                has_condition=edge.condition is not None,
                is_back=edge.back,
                max_iterations=edge.max_iterations,
            )
            for edge in self.edges
        )
        digest = hashlib.blake2b(repr((nodes, edges)).encode(errors="surrogatepass"), digest_size=4).hexdigest()
        return RunGraph(digest=digest, nodes=nodes, edges=edges)

    def to_mermaid(self) -> str:
        """The graph as a Mermaid flowchart, which Markdown viewers draw.

        A rounded box for a node, a double one for a nested graph; dotted arrows for back edges.
        """
        boxes = {name: isinstance(node.run, Graph) for name, node in self.nodes.items()}
        return flowchart(boxes, [(edge.source, edge.arrow, edge.target) for edge in self.edges])

    def _check_names(self) -> None:
        if self.entry not in self.nodes:
            raise GraphError("the entry is not a node", (self.entry,))
        if bad := [name for name in self.nodes if is_reserved(name)]:
            raise GraphError("a node cannot be named __proto__ or __type, or with # as the first character", (*bad,))
        nested = [name for name, node in self.nodes.items() if isinstance(node.run, Graph)]
        if bad := [name for name in nested if SEPARATOR in name]:
            raise GraphError(
                f"the name of a nested graph is part of its namespace and cannot hold {SEPARATOR!r}", (*bad,)
            )
        if bad := [name for name in self.nodes if name.partition(SEPARATOR)[0] in nested and SEPARATOR in name]:
            raise GraphError("a node has a name that a node of a nested graph would have", (*bad,))
        known: set[str] = set()
        for edge in self.edges:
            if unknown := [name for name in (edge.source, edge.target) if name not in self.nodes]:
                raise GraphError(f"the edge {edge.name} leads to or from an unknown node", tuple(unknown))
            if edge.name in known:
                raise GraphError(f"there are two edges {edge.name}", (edge.source, edge.target))
            known.add(edge.name)

    def _refuse_cycles(self, waits_for: Mapping[str, Iterable[str]]) -> None:
        try:
            TopologicalSorter(waits_for).prepare()
        except CycleError as error:
            # graphlib names the nodes against the direction of the edges.
            raise GraphError(
                "nodes wait for each other (a cycle needs a back edge)", tuple(error.args[1][::-1])
            ) from error

    def _body(self, back: Edge) -> frozenset[str]:
        before = {back.source}
        ahead = [back.source]
        while ahead:
            new = [edge.source for edge in self.incoming[ahead.pop()] if edge.source not in before]
            before.update(new)
            ahead += new
        body = before & (self.descendants(back.target) | {back.target})
        if back.target not in before:
            raise GraphError("a back edge must lead to a node before its source", (back.source, back.target))
        return frozenset(body)

    def _check_bodies(self) -> None:
        for (one, body), (other, its) in combinations(self.bodies.items(), 2):
            if body & its and not body <= its and not its <= body:
                raise GraphError(
                    f"the cycles {one} and {other} overlap and neither is inside", tuple(sorted(body & its))
                )

    def _waits_for(self, name: str) -> set[str]:
        waits = {edge.source for edge in self.incoming[name]}
        ends = {
            edge.source
            for edge in self._back_edges
            if name not in self.bodies[edge.name] and waits & self.bodies[edge.name]
        }
        return waits | ends

    def _cycles(self, name: str) -> tuple[Edge, ...]:
        around = [edge for edge in self._back_edges if name in self.bodies[edge.name]]
        return tuple(sorted(around, key=lambda edge: -len(self.bodies[edge.name])))
