"""The graph that ran, as the checkpoints of its runs hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """A node of the graph that ran, as it is stored."""

    name: str
    #: it is a graph itself, with checkpoints in `nested_namespace`
    is_graph: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphEdge:
    """An edge of the graph that ran, as it is stored."""

    source: str
    target: str
    #: taken only where a condition holds
    has_condition: bool = False
    #: it leads back, and so makes a cycle
    is_back: bool = False
    #: how often a back edge is taken at most
    max_iterations: int | None = None

    @property
    def name(self) -> str:
        """The key of `RunState.iterations`."""
        return f"{self.source}->{self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGraph:
    """The graph that ran, in its nodes' and edges' order."""

    #: equal for graphs of equal nodes and edges
    digest: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphReference:
    """Where the graph is that ran: most checkpoints of a run only name the one that holds it."""

    digest: str
    #: the id of that checkpoint; it may be gone
    checkpoint_id: str


def stored(graph: RunGraph | GraphReference) -> dict[str, Any]:
    if isinstance(graph, GraphReference):
        return {"digest": graph.digest, "in": graph.checkpoint_id}
    return {
        "digest": graph.digest,
        "nodes": [{"id": node.name} | ({"graph": True} if node.is_graph else {}) for node in graph.nodes],
        "edges": [_stored_edge(edge) for edge in graph.edges],
    }


def _stored_edge(edge: GraphEdge) -> dict[str, Any]:
    stored: dict[str, Any] = {"from": edge.source, "to": edge.target}
    if edge.has_condition:
        stored["condition"] = True
    if edge.is_back:
        stored["back"] = True
    if edge.max_iterations is not None:
        stored["maxIterations"] = edge.max_iterations
    return stored


def read_graph(value: Any) -> RunGraph | GraphReference | None:
    match value:
        case {"digest": str(digest), "in": str(id)}:
            return GraphReference(digest=digest, checkpoint_id=id)
        case {"digest": str(digest), "nodes": [*nodes], "edges": [*edges]}:
            read_nodes = tuple(_node(node) for node in nodes)
            read_edges = tuple(_edge(edge) for edge in edges)
            if None not in read_nodes and None not in read_edges:
                return RunGraph(
                    digest=digest,
                    nodes=cast("tuple[GraphNode, ...]", read_nodes),
                    edges=cast("tuple[GraphEdge, ...]", read_edges),
                )
    return None


def _node(stored: Any) -> GraphNode | None:
    match stored:
        case {"id": str(name)}:
            return GraphNode(name=name, is_graph=stored.get("graph") is True)
    return None


def _edge(stored: Any) -> GraphEdge | None:
    match stored:
        case {"from": str(source), "to": str(target)}:
            most = stored.get("maxIterations")
            return GraphEdge(
                source=source,
                target=target,
                has_condition=stored.get("condition") is True,
                is_back=stored.get("back") is True,
                max_iterations=most if type(most) is int else None,
            )
    return None
