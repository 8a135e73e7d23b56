"""`obsku_checkpoint.run_state`: what a checkpoint says of its run, whoever saved it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from obsku_checkpoint import codec
from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.records import CheckpointRecord, CorruptValue
from obsku_checkpoint.run_state import (
    GraphEdge,
    GraphNode,
    GraphReference,
    Option,
    RunGraph,
    graph_of,
    options,
    read,
    write,
)

DONE = {"status": "completed", "output": 1}
GRAPH = RunGraph(
    digest="d1",
    nodes=(GraphNode(name="a"), GraphNode(name="b", is_graph=True)),
    edges=(
        GraphEdge(source="a", target="b", has_condition=True),
        GraphEdge(source="b", target="a", is_back=True, max_iterations=3),
    ),
)


def record(node_results: Any, pending: Any = (), **fields: Any) -> CheckpointRecord:
    values: dict[str, Any] = {
        "id": "c1",
        "session_id": "s1",
        "namespace": "",
        "parent_id": None,
        "version": 1,
        "step": 0,
        "node_id": None,
        "node_results": codec.loads(codec.dumps(node_results)),
        "pending_nodes": list(pending) if isinstance(pending, tuple) else pending,
        "cycle_state": None,
        "source": "loop",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return CheckpointRecord(**{**values, **fields})


def run(results: dict[str, Any], *pending: str, source: str = "loop", **own: Any) -> CheckpointRecord:
    own.setdefault("complete_everywhere", not pending)
    return record(write(results, run="r1", **own), pending, source=source)


def test_what_is_written_is_read() -> None:
    state = read(run({"a": DONE}, "b", input={"x": 1}, iterations={"b->a": 2}, working=["b"], graph=GRAPH, by="other"))
    assert (state.run, state.by, state.input, state.iterations) == ("r1", "other", {"x": 1}, {"b->a": 2})
    assert (state.results, state.pending, state.working, state.graph) == ({"a": DONE}, ["b"], ["b"], GRAPH)
    assert (state.status, state.settled) == ("working", False)


@pytest.mark.parametrize("input", [None, 0, "", [], {}, False])
def test_any_input_is_read(input: Any) -> None:
    assert read(run({}, "a", input=input)).input == input


@pytest.mark.parametrize(
    ("results", "pending", "own", "status"),
    [
        ({"a": DONE}, [], {}, "complete"),
        ({"a": DONE, "b": {"status": "skipped"}}, [], {}, "complete"),
        ({"a": DONE}, ["b"], {}, "pending"),
        ({"a": DONE}, ["b"], {"working": ["b"]}, "working"),
        ({"a": {"status": "failed", "error": "no"}}, ["b"], {}, "failed"),
        ({"a": {"status": "pending", "interrupt": {"reason": "?"}}}, ["a"], {}, "interrupted"),
        ({"a": {"status": "pending", "interrupt": {"reason": "?"}}}, ["a"], {"working": ["b"]}, "working"),
        ({"a": {"status": "pending", "answers": []}}, ["a"], {}, "pending"),
    ],
)
def test_status(results: Any, pending: list[str], own: dict[str, Any], status: str) -> None:
    assert read(run(results, *pending, **own)).status == status


def test_nobody_is_at_work_in_the_copy_of_a_fork() -> None:
    state = read(run({}, "a", source="fork", working=["a"]))
    assert (state.status, state.settled, state.working) == ("pending", True, [])


def test_questions_stand_in_the_order_in_which_they_were_asked() -> None:
    asks = {name: {"status": "pending", "interrupt": {"reason": name}} for name in ("1", "2", "3")}
    state = read(run(asks, "1", "2", "3", asked=["3", "1", "2"]))
    assert state.questions == {"3": {"reason": "3"}, "1": {"reason": "1"}, "2": {"reason": "2"}}


def test_questions_of_a_nested_graph_have_paths() -> None:
    within = {"x": {"reason": "one?"}, "deep/y": {"reason": "two?"}}
    result = {"status": "pending", "interrupt": within["x"], "questions": within, "nested": "c0"}
    assert read(run({"n": result}, "n")).questions == {"n/x": {"reason": "one?"}, "n/deep/y": {"reason": "two?"}}


def test_options_are_read_in_both_forms() -> None:
    given = ["yes", 2, {"label": "No", "value": False, "description": "stop"}, {"value": "x"}]
    assert options({"reason": "?", "options": given}) == [
        Option(label="yes", value="yes"),
        Option(label="2", value=2),
        Option(label="No", value=False, description="stop"),
        Option(label="x", value="x"),
    ]
    assert options({"reason": "?"}) == []


def test_the_graph_is_looked_up_where_it_is() -> None:
    holder = replace(run({}, "a", graph=GRAPH), id="holder")
    other = run({"a": DONE}, graph=GraphReference(digest="d1", checkpoint_id="holder"))
    assert graph_of(holder, lambda _: None) == GRAPH
    assert graph_of(other, {"holder": holder}.get) == GRAPH
    assert graph_of(other, lambda _: None) is None
    changed = run({"a": DONE}, graph=GraphReference(digest="d2", checkpoint_id="holder"))
    assert graph_of(changed, {"holder": holder}.get) is None


def test_a_row_of_the_npm_package() -> None:
    skipped = {"status": "pending", "startedAt": 1, "completedAt": 2}
    state = read(record({"a": DONE, "s": skipped, "p": {"status": "running"}}, ("p",)))
    assert state.results == {"a": DONE, "s": {**skipped, "status": "skipped"}, "p": {"status": "running"}}
    assert (state.run, state.status, state.graph, state.working) == (None, "pending", None, [])
    cycle = record({"a": DONE}, cycle_state={"backEdge": "a->a", "iteration": 2})
    assert read(cycle).iterations == {"a->a": 2}


def test_an_interrupt_of_the_npm_package_has_a_question_without_words() -> None:
    asked = record({"a": DONE}, ("b",), node_id="b", source="interrupt")
    assert (read(asked).questions, read(asked).status) == ({"b": {}}, "interrupted")
    assert read(replace(asked, source="fork")).questions == {"b": {}}
    further = record({"a": DONE, "b": DONE}, (), node_id="b", source="interrupt")
    assert (read(further).questions, read(further).pending) == ({"b": {}}, ["b"])


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        "text",
        {"a": None, "b": [], "c": {}, "d": {"status": 1}},
        {"#run": None},
        {"#run": {"status": "failed"}},
        {"#run": {"status": "failed", "output": {"run": 3, "asked": 1, "working": {}, "iterations": [], "graph": []}}},
        {"#run": {"output": {"graph": {"digest": "d", "nodes": [1], "edges": [{}]}, "iterations": {"a": "b"}}}},
    ],
)
@pytest.mark.parametrize("rest", [None, [], {}, [1, None], "text"])
def test_what_has_another_shape_is_left_out(stored: Any, rest: Any) -> None:
    state = read(record(stored, rest, cycle_state=rest))
    assert (state.results, state.graph, state.iterations, state.pending) == ({}, None, {}, [])


def test_a_column_that_cannot_be_decoded_is_corrupt() -> None:
    with pytest.raises(CheckpointCorruptionError, match=r"checkpoints\[c1\].pending_nodes"):
        read(record({}, CorruptValue(text="{", reason="no JSON")))
