"""Which graphs are refused, and what the others look like."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from obsku_checkpoint.errors import CheckpointStoreError, GraphError, InvalidRecordError
from obsku_checkpoint.graph import Context, Edge, Graph, Node


def node(context: Context) -> None:
    pass


def graph(nodes: str, *edges: Edge) -> Graph:
    return Graph(entry=nodes[0], nodes=dict.fromkeys(nodes, node), edges=edges)


def path(names: str) -> list[Edge]:
    return [Edge(*pair) for pair in pairwise(names)]


def back(source: str, target: str, **options: Any) -> Edge:
    return Edge(source, target, back=True, **{"max_iterations": 1, **options})


@pytest.mark.parametrize(
    ("nodes", "edges", "message", "named"),
    [
        ("a", [Edge("a", "x")], "unknown node", {"x"}),
        ("a", [Edge("y", "a")], "unknown node", {"y"}),
        ("abc", [Edge("a", "b")], "no edge leads from the entry to", {"c"}),
        ("abc", [*path("abc"), Edge("c", "b")], "wait for each other", {"b", "c"}),
        ("ab", [Edge("a", "b"), Edge("b", "a")], "wait for each other", {"a", "b"}),
        ("a", [Edge("a", "a")], "wait for each other", {"a"}),
        ("ab", [Edge("a", "b"), Edge("a", "b")], "two edges a->b", {"a", "b"}),
        ("abc", [Edge("a", "b"), Edge("a", "c"), back("b", "c")], "must lead to a node before", {"b", "c"}),
        ("abcd", [*path("abcd"), back("c", "a"), back("d", "b")], "overlap", {"b", "c"}),
        (
            "abcde",
            [*path("abc"), Edge("a", "d"), *path("de"), Edge("b", "e"), Edge("d", "c"), back("c", "b"), back("e", "d")],
            "wait for each other",
            {"c", "e"},
        ),
    ],
)
def test_a_graph_that_cannot_be_run_is_refused(nodes: str, edges: list[Edge], message: str, named: set[str]) -> None:
    with pytest.raises(GraphError, match=message) as caught:
        graph(nodes, *edges)
    assert set(caught.value.nodes) == named
    assert all(repr(name) in str(caught.value) for name in named)
    assert isinstance(caught.value, CheckpointStoreError)


def test_an_entry_must_be_a_node() -> None:
    with pytest.raises(GraphError, match=r"the entry is not a node: 'x'"):
        Graph(entry="x", nodes={"a": node})


def test_a_name_must_be_one_that_can_be_stored() -> None:
    with pytest.raises(InvalidRecordError, match="nodes"):
        Graph(entry="a\0", nodes={"a\0": node})


def test_a_nested_graph_is_not_named_like_a_namespace() -> None:
    with pytest.raises(GraphError, match="cannot hold '/': 'a/b'"):
        Graph(entry="a/b", nodes={"a/b": graph("a")})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"retries": True}, "retries"),
        ({"backoff": -1.0}, "backoff"),
    ],
)
def test_the_limits_of_a_node_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Node(node, **options)


def test_a_node_must_be_callable() -> None:
    nodes: Any = {"a": "not callable"}
    with pytest.raises(GraphError, match="must be a callable or a Graph, not str"):
        Graph(entry="a", nodes=nodes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"back": True}, "needs max_iterations"),
        ({"back": True, "max_iterations": 0}, "needs max_iterations"),
        ({"max_iterations": 2}, "belong to an edge with back=True"),
        ({"until": bool}, "belong to an edge with back=True"),
    ],
)
def test_back_edges_are_bounded(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Edge("b", "a", **options)


def test_a_large_graph_is_built_quickly_enough_to_be_drawn() -> None:
    names = [f"n{number}" for number in range(2000)]
    edges = [Edge(*pair) for pair in pairwise(names)]
    large = Graph(entry="n0", nodes=dict.fromkeys(names, node), edges=edges)
    assert large.order == tuple(names)
    assert large.to_mermaid().count("\n") == 1 + 2000 + 1999


def test_a_graph_is_drawn() -> None:
    drawn = Graph(
        entry="list",
        nodes={"list": node, 'say "end"': node, "inner": graph("a")},
        edges=[
            Edge("list", 'say "end"'),
            Edge("list", "inner", condition=bool),
            Edge("inner", "list", back=True, max_iterations=3),
        ],
    )
    assert drawn.to_mermaid() == (
        "flowchart TD\n"
        '    n0("list")\n'
        '    n1("say #34;end#34;")\n'
        '    n2[["inner"]]\n'
        "    n0 --> n1\n"
        "    n0 -- if --> n2\n"
        "    n2 -. at most 3 times .-> n0\n"
    )


@pytest.mark.parametrize("name", ["condition", "until"])
def test_what_judges_an_output_is_a_sync_callable(name: str) -> None:
    async def judge(output: object) -> bool:
        return False

    for bad in (judge, "yes"):
        options: dict[str, Any] = {name: bad}
        with pytest.raises(GraphError, match=f"{name} must be a sync callable: 'a', 'b'"):
            Edge("a", "b", back=True, max_iterations=1, **options)


def test_edges_are_edges() -> None:
    with pytest.raises(GraphError, match="edges must be Edge objects, not"):
        Graph(entry="a", nodes={"a": node}, edges=[("a", "a")])  # type: ignore[list-item] # what is refused
