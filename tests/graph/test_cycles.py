"""Back edges: how often they are taken, what runs again, what waits."""

from __future__ import annotations

from typing import Any

import pytest

from obsku_checkpoint.graph import Context, Edge, Event, Graph, interrupt
from obsku_checkpoint.run_state import read
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.graph.conftest import Runner

Log = list[tuple[str, int]]


def logging(log: Log, keys: list[str] | None = None) -> Any:
    def node(context: Context) -> Any:
        log.append((context.node, context.iteration))
        if keys is not None:
            keys.append(context.idempotency_key)
        return {"iteration": context.iteration, "from": sorted(context.outputs)}

    return node


def cycle(node: Any, **options: Any) -> Graph:
    return Graph(
        entry="plan",
        nodes=dict.fromkeys(["plan", "write", "review", "publish"], node),
        edges=[
            Edge("plan", "write"),
            Edge("write", "review"),
            Edge("review", "write", back=True, **options),
            Edge("review", "publish"),
        ],
    )


def test_a_cycle_runs_until_its_end_and_then_what_follows(runner: Runner, store: DjangoCheckpointStore) -> None:
    log: Log = []
    graph = cycle(logging(log), max_iterations=9, until=lambda output: output["iteration"] == 2)
    result = runner.run(graph, checkpoint_store=store)
    around: Log = [("write", 0), ("review", 0), ("write", 1), ("review", 1), ("write", 2), ("review", 2)]
    assert log == [("plan", 0), *around, ("publish", 0)]
    saved = store.list_checkpoints(result.session_id)[::-1]
    assert [each.cycle_state and (each.cycle_state["backEdge"], each.cycle_state["iteration"]) for each in saved] == [
        *[None] * 3,
        *[("review->write", 1)] * 2,
        *[("review->write", 2)] * 4,
    ]
    assert saved[3].pending_nodes == ["write", "review", "publish"]
    # The result of the iteration before is what the back edge carries.
    assert saved[3].node_results["review"]["output"] == {"iteration": 0, "from": ["write"]}
    assert saved[4].node_results["write"]["output"] == {"iteration": 1, "from": ["plan", "review"]}


@pytest.mark.parametrize(
    ("options", "iterations"),
    [
        ({"max_iterations": 1}, 2),
        ({"max_iterations": 3}, 4),
        ({"max_iterations": 3, "condition": lambda output: output["iteration"] < 1}, 2),
        ({"max_iterations": 3, "until": lambda output: True}, 1),
    ],
)
def test_a_back_edge_is_bounded(
    options: dict[str, Any], iterations: int, runner: Runner, store: DjangoCheckpointStore
) -> None:
    log: Log = []
    assert runner.run(cycle(logging(log), **options), checkpoint_store=store).status == "complete"
    assert log.count(("publish", 0)) == 1
    assert len([name for name, _ in log if name == "write"]) == iterations


def test_hundreds_of_iterations_have_versions_and_keys_of_their_own(
    runner: Runner, store: DjangoCheckpointStore
) -> None:
    keys: list[str] = []
    graph = Graph(
        entry="a",
        nodes={"a": logging([], keys)},
        edges=[Edge("a", "a", back=True, max_iterations=199)],
    )
    result = runner.run(graph, checkpoint_store=store)
    assert (result.checkpoint.version, result.checkpoint.step) == (201, 200)
    assert len(set(keys)) == 200


def test_an_inner_cycle_starts_anew_with_each_turn_of_the_outer(runner: Runner, store: DjangoCheckpointStore) -> None:
    log: Log = []
    keys: list[str] = []
    graph = Graph(
        entry="a",
        nodes=dict.fromkeys("abcd", logging(log, keys)),
        edges=[
            Edge("a", "b"),
            Edge("b", "c"),
            Edge("c", "d"),
            Edge("c", "b", back=True, max_iterations=1),
            Edge("d", "a", back=True, max_iterations=1),
        ],
    )
    events: list[Event] = []
    result = runner.run(graph, checkpoint_store=store, on_event=events.append)
    steps = [(each.type.removeprefix("iteration_"), each.edge, each.iteration) for each in events if each.edge]
    within = [(step, "c->b", iteration) for iteration in (0, 1) for step in ("started", "finished")]
    assert steps == [
        step for turn in (0, 1) for step in (("started", "d->a", turn), *within, ("finished", "d->a", turn))
    ]
    inner: Log = [("b", 0), ("c", 0), ("b", 1), ("c", 1)]
    assert log == [("a", 0), *inner, ("d", 0), ("a", 1), *inner, ("d", 1)]
    assert len(set(keys)) == len(keys) == 12
    assert result.checkpoint.cycle_state == {"backEdge": "c->b", "iteration": 1}
    assert read(result.checkpoint).iterations == {"c->b": 1, "d->a": 1}
    # In the first turn of the inner cycle there is no output of its end, whatever an earlier outer turn left.
    first = [each for each in store.list_checkpoints(result.session_id) if each.node_id == "b"][::-1]
    assert [each.node_results["b"]["output"]["from"] for each in first] == [["a"], ["a", "c"], ["a"], ["a", "c"]]


def test_of_two_back_edges_the_first_that_applies_is_taken(runner: Runner, store: DjangoCheckpointStore) -> None:
    log: Log = []
    graph = Graph(
        entry="a",
        nodes=dict.fromkeys("abc", logging(log)),
        edges=[
            Edge("a", "b"),
            Edge("b", "c"),
            Edge("c", "b", back=True, max_iterations=1),
            Edge("c", "a", back=True, max_iterations=1),
        ],
    )
    assert runner.run(graph, checkpoint_store=store).status == "complete"
    assert "".join(name for name, _ in log) == "abcbcabcbc"


def test_a_node_skipped_in_one_iteration_may_run_in_the_next(runner: Runner, store: DjangoCheckpointStore) -> None:
    log: Log = []
    graph = Graph(
        entry="a",
        nodes=dict.fromkeys(["a", "odd", "end"], logging(log)),
        edges=[
            Edge("a", "odd", condition=lambda output: output["iteration"] % 2),
            Edge("odd", "end"),
            Edge("a", "end"),
            Edge("end", "a", back=True, max_iterations=2),
        ],
    )
    result = runner.run(graph, checkpoint_store=store)
    assert [name for name, _ in log] == ["a", "end", "a", "odd", "end", "a", "end"]
    assert result.checkpoint.node_results["odd"] == {"status": "skipped"}
    assert result.outputs["end"] == {"iteration": 2, "from": ["a"]}


def test_a_condition_of_a_back_edge_that_raises_fails_its_source(runner: Runner, store: DjangoCheckpointStore) -> None:
    graph = cycle(logging([]), max_iterations=2, until=lambda output: 1 / 0)
    result = runner.run(graph, checkpoint_store=store)
    assert result.errors == {"review": "ZeroDivisionError: division by zero"}
    assert result.checkpoint.pending_nodes == ["publish"]


@pytest.mark.parametrize("way", ["fails", "asks"])
def test_a_node_that_leads_to_itself_finds_its_last_output_again(
    way: str, runner: Runner, store: DjangoCheckpointStore
) -> None:
    seen: list[Any] = []
    trouble = True

    def node(context: Context) -> str:
        seen.append(dict(context.outputs))
        if context.iteration == 1 and way == "asks":
            interrupt("go on?")
        if context.iteration == 1 and way == "fails" and trouble:
            raise ValueError
        return f"output {context.iteration}"

    graph = Graph(entry="a", nodes={"a": node}, edges=[Edge("a", "a", back=True, max_iterations=2)])
    result = runner.run(graph, checkpoint_store=store)
    assert result.outputs == {}
    trouble = False
    result = runner.resume(graph, result, checkpoint_store=store, **({"answer": "yes"} if way == "asks" else {}))
    assert seen == [{}, {"a": "output 0"}, {"a": "output 0"}, {"a": "output 1"}]
    assert result.outputs == {"a": "output 2"}


def test_events_name_the_iteration_that_they_are_of(runner: Runner, store: DjangoCheckpointStore) -> None:
    events: list[Event] = []
    graph = cycle(logging([]), max_iterations=1)
    runner.run(graph, checkpoint_store=store, on_event=events.append)
    told = [(event.type, event.iteration) for event in events if event.node == "review" and event.type[:4] == "node"]
    assert told == [("node_started", 0), ("node_finished", 0), ("node_started", 1), ("node_finished", 1)]
