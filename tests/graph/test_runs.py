"""A run from its entry to its end: what the nodes are given, what is saved, in which thread all of it happens."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction

from obsku_checkpoint.errors import GraphError, SessionNotFoundError
from obsku_checkpoint.graph import Context, Edge, Event, Graph, arun, resume, run
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.run_state import read
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.graph.conftest import Runner


def outputs(context: Context) -> Any:
    return context.outputs


async def later(context: Context) -> Any:
    await asyncio.sleep(0)
    return {"later": context.outputs}


DIAMOND = Graph(
    entry="list",
    nodes={"list": lambda context: [context.input], "parse": outputs, "search": later, "report": outputs},
    edges=[Edge("list", "parse"), Edge("list", "search"), Edge("parse", "report"), Edge("search", "report")],
)
REPORT = {"parse": {"list": ["in"]}, "search": {"later": {"list": ["in"]}}}


def test_each_node_is_given_the_outputs_before_it(runner: Runner, store: DjangoCheckpointStore) -> None:
    result = runner.run(DIAMOND, input="in", checkpoint_store=store)
    assert (result.status, result.outputs, result.errors) == ("complete", {"report": REPORT}, {})


def test_each_finished_node_leaves_a_checkpoint(runner: Runner, store: DjangoCheckpointStore) -> None:
    told: list[CheckpointRecord] = []
    result = runner.run(DIAMOND, input="in", checkpoint_store=store, on_checkpoint=told.append)
    saved = store.list_checkpoints(result.session_id)[::-1]
    assert saved == told
    assert saved[-1] == result.checkpoint
    assert [each.step for each in saved] == [0, 1, 2, 3, 4]
    assert [each.version for each in saved] == [1, 2, 3, 4, 5]
    assert [each.source for each in saved] == ["input"] + ["loop"] * 4
    assert all(later.parent_id == earlier.id for earlier, later in pairwise(saved))
    assert [len(each.pending_nodes) for each in saved] == [4, 3, 2, 1, 0]
    assert (saved[1].node_id, saved[1].pending_nodes) == ("list", ["parse", "search", "report"])
    for number, each in enumerate(saved[1:], start=1):
        results = read(each).results
        assert len(results) == number
        assert results[each.node_id or ""]["status"] == "completed"
        assert all(result["startedAt"] <= result["completedAt"] for result in results.values())


def test_a_node_has_a_context_of_its_own(runner: Runner, store: DjangoCheckpointStore) -> None:
    seen: dict[str, Context] = {}

    def look(context: Context) -> dict[str, list[int]]:
        context.input.append("spoilt")
        for output in context.outputs.values():
            output["list"].append("spoilt")
        seen[context.node] = context
        return {"list": []}

    graph = Graph(entry="a", nodes={"a": look, "b": look, "c": look}, edges=[Edge("a", "b"), Edge("a", "c")])
    session = store.create_session("/")
    result = runner.run(graph, input=[], checkpoint_store=store, session_id=session.id, namespace="main")
    assert result.outputs == {"b": {"list": []}, "c": {"list": []}}
    assert result.checkpoint.node_results["a"]["output"] == {"list": []}
    assert read(result.checkpoint).input == []
    assert {(each.session_id, each.namespace, each.iteration) for each in seen.values()} == {(session.id, "main", 0)}
    assert len({each.idempotency_key for each in seen.values()}) == 3


def test_a_node_starts_as_soon_as_its_predecessors_are_there(runner: Runner, store: DjangoCheckpointStore) -> None:
    """``slow`` ends only after ``second``, which waits for ``first`` alone: there is no barrier between them."""
    done = threading.Event()

    def slow(context: Context) -> bool:
        return done.wait(30)

    graph = Graph(
        entry="start",
        nodes={"start": outputs, "slow": slow, "first": outputs, "second": lambda _: done.set()},
        edges=[Edge("start", "slow"), Edge("start", "first"), Edge("first", "second")],
    )
    assert runner.run(graph, checkpoint_store=store).outputs["slow"] is True


def test_nodes_run_beside_each_other_up_to_a_number(runner: Runner, store: DjangoCheckpointStore) -> None:
    at_work, most, lock, barrier = 0, 0, threading.Lock(), threading.Barrier(3, timeout=30)

    def node(context: Context) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        if context.node.startswith("n"):
            barrier.wait()
        with lock:
            at_work -= 1

    names = [f"n{number}" for number in range(9)]
    inner = Graph(
        entry="a", nodes=dict.fromkeys(["a", *names[:3]], node), edges=[Edge("a", name) for name in names[:3]]
    )
    nodes: dict[str, Any] = {"start": node, "inner": inner, **dict.fromkeys(names[3:], node)}
    graph = Graph(entry="start", nodes=nodes, edges=[Edge("start", name) for name in nodes if name != "start"])
    assert runner.run(graph, checkpoint_store=store, max_concurrency=3).status == "complete"
    assert most == 3


def test_edges_are_taken_by_condition_and_the_rest_is_skipped(runner: Runner, store: DjangoCheckpointStore) -> None:
    graph = Graph(
        entry="ask",
        nodes=dict.fromkeys(["ask", "yes", "no", "after_no", "end"], outputs) | {"ask": lambda _: True},
        edges=[
            Edge("ask", "yes", condition=lambda output: output),
            Edge("ask", "no", condition=lambda output: not output),
            Edge("no", "after_no"),
            Edge("yes", "end"),
            Edge("after_no", "end"),
        ],
    )
    result = runner.run(graph, checkpoint_store=store)
    results = read(result.checkpoint).results
    assert result.outputs == {"end": {"yes": {"ask": True}}}
    assert {name: result["status"] for name, result in results.items() if result["status"] != "completed"} == {
        "no": "skipped",
        "after_no": "skipped",
    }
    # The npm package refuses a skipped node that has an output.
    assert results["no"] == {"status": "skipped"}


def test_events_tell_what_happens(runner: Runner, store: DjangoCheckpointStore) -> None:
    events: list[Event] = []
    graph = Graph(
        entry="a",
        nodes={"a": outputs, "b": outputs, "c": lambda _: 1 / 0},
        edges=[Edge("a", "b", condition=bool), Edge("a", "c")],
    )
    runner.run(graph, checkpoint_store=store, on_event=events.append)
    assert [(event.type, event.node, event.status) for event in events] == [
        ("run_started", None, None),
        ("checkpoint_saved", None, None),
        ("node_started", "a", None),
        ("node_finished", "a", "completed"),
        ("node_finished", "b", "skipped"),
        ("checkpoint_saved", "a", None),
        ("node_started", "c", None),
        ("node_finished", "c", "failed"),
        ("checkpoint_saved", "c", None),
        ("run_finished", None, "failed"),
    ]
    assert events[-3].error == "ZeroDivisionError: division by zero"
    assert events[-2].checkpoint is not None


def test_a_session_can_hold_runs_one_after_the_other(runner: Runner, store: DjangoCheckpointStore) -> None:
    keys = []

    def node(context: Context) -> Any:
        keys.append(context.idempotency_key)
        return context.input

    graph = Graph(entry="a", nodes={"a": node})
    first = runner.run(graph, input=1, checkpoint_store=store)
    second = runner.run(graph, input=2, checkpoint_store=store, session_id=first.session_id)
    assert (first.outputs, second.outputs) == ({"a": 1}, {"a": 2})
    assert [each.step for each in store.list_checkpoints(first.session_id)] == [3, 2, 1, 0]
    assert len(set(keys)) == 2
    assert runner.resume(graph, second, checkpoint_store=store).outputs == {"a": 2}


def test_the_caller_s_context_reaches_the_nodes(runner: Runner, store: DjangoCheckpointStore) -> None:
    tenant: ContextVar[str] = ContextVar("tenant")

    async def on_loop(context: Context) -> str:
        return tenant.get()

    tenant.set("north")
    graph = Graph(entry="a", nodes={"a": lambda _: tenant.get(), "b": on_loop}, edges=[Edge("a", "b")])
    result = runner.run(graph, checkpoint_store=store)
    assert {name: each["output"] for name, each in read(result.checkpoint).results.items()} == {
        "a": "north",
        "b": "north",
    }


def test_anything_callable_is_a_node(runner: Runner, store: DjangoCheckpointStore) -> None:
    class Sync:
        def __call__(self, context: Context) -> str:
            return "sync"

    class Async:
        async def __call__(self, context: Context) -> str:
            return "async"

    graph = Graph(
        entry="a",
        nodes={"a": Sync(), "b": Async(), "c": lambda context: later(context)},  # noqa: PLW0108 - a sync callable that returns a coroutine
        edges=[Edge("a", "b"), Edge("b", "c")],
    )
    assert runner.run(graph, checkpoint_store=store).outputs == {"c": {"later": {"b": "async"}}}


@pytest.mark.parametrize("alias", ["default", "postgres"])
@pytest.mark.django_db(databases=["default", "postgres"])
def test_a_run_is_part_of_the_caller_s_transaction(alias: str) -> None:
    store, threads = DjangoCheckpointStore(using=alias), set()

    def node(context: Context) -> int:
        threads.add(threading.current_thread())
        return len(store.list_checkpoints(context.session_id))

    graph = Graph(entry="a", nodes={"a": node, "b": node}, edges=[Edge("a", "b")])
    with transaction.atomic(using=alias):
        result = run(graph, checkpoint_store=store, max_concurrency=1)
        assert result.outputs == {"b": 2}
        transaction.set_rollback(True, using=alias)
    assert threads == {threading.current_thread()}
    assert store.get_session(result.session_id) is None


def test_store_and_callbacks_are_called_in_the_caller_s_thread(store: DjangoCheckpointStore) -> None:
    threads = []

    class Watched(DjangoCheckpointStore):
        def save_checkpoint(self, *args: Any, **kwargs: Any) -> CheckpointRecord:
            threads.append(threading.current_thread())
            return super().save_checkpoint(*args, **kwargs)

    def tell(_: object) -> None:
        threads.append(threading.current_thread())

    run(DIAMOND, checkpoint_store=Watched(store.using), on_checkpoint=tell, on_event=tell)
    assert set(threads) == {threading.current_thread()}


def test_callbacks_of_an_async_run_may_be_async(store: DjangoCheckpointStore) -> None:
    told = []

    async def tell(checkpoint: CheckpointRecord) -> None:
        await asyncio.sleep(0)
        told.append(checkpoint.step)

    asyncio.run(arun(DIAMOND, checkpoint_store=store, on_checkpoint=tell))
    assert told == [0, 1, 2, 3, 4]


def test_a_sync_run_on_an_event_loop_names_the_way_out(store: DjangoCheckpointStore) -> None:
    async def main() -> None:
        run(DIAMOND, checkpoint_store=store)

    with pytest.raises(GraphError, match="use arun"):
        asyncio.run(main())


def test_what_does_not_fit_is_refused(runner: Runner, store: DjangoCheckpointStore) -> None:
    session = store.create_session("/")
    with pytest.raises(GraphError, match="max_concurrency"):
        runner.run(DIAMOND, checkpoint_store=store, max_concurrency=0)
    with pytest.raises(GraphError, match="its own session"):
        runner.run(DIAMOND, checkpoint_store=store, from_checkpoint=session, session_id=session.id)
    with pytest.raises(GraphError, match="no checkpoint to go on from"):
        runner.run(DIAMOND, checkpoint_store=store, from_checkpoint=session)
    with pytest.raises(GraphError, match="no checkpoint to resume in namespace 'x'"):
        resume(DIAMOND, checkpoint_store=store, session_id=session.id, namespace="x")
    with pytest.raises(SessionNotFoundError):
        runner.run(DIAMOND, checkpoint_store=store, session_id="unknown")


def test_what_a_condition_or_a_callback_does_with_an_output_is_its_own_affair(
    runner: Runner, store: DjangoCheckpointStore
) -> None:
    def told(event: Event) -> None:
        if event.type == "node_finished":
            event.output.append("callback")

    def condition(output: list[str]) -> bool:
        output.append("condition")
        return True

    graph = Graph(
        entry="a",
        nodes={"a": lambda _: ["a"], "b": lambda context: context.outputs["a"]},
        edges=[Edge("a", "b", condition=condition), Edge("a", "a", back=True, max_iterations=1, until=condition)],
    )
    result = runner.run(graph, checkpoint_store=store, on_event=told)
    assert (result.outputs, result.checkpoint.node_results["a"]["output"]) == ({"b": ["a"]}, ["a"])


def test_arguments_that_do_not_exist_are_refused(runner: Runner, store: DjangoCheckpointStore) -> None:
    with pytest.raises(TypeError, match="unexpected keyword arguments: max_concurency, on_checkpont"):
        runner.run(DIAMOND, checkpoint_store=store, max_concurency=1, on_checkpont=print)


def test_callbacks_of_a_sync_run_are_sync(store: DjangoCheckpointStore) -> None:
    async def told(event: Event) -> None: ...

    with pytest.raises(GraphError, match="on_event must be sync here"):
        run(DIAMOND, checkpoint_store=store, on_event=told)


def test_a_session_that_is_made_has_a_title(runner: Runner, store: DjangoCheckpointStore) -> None:
    graph = Graph(entry="a", nodes={"a": outputs})

    def made(**arguments: Any) -> tuple[str | None, str | None]:
        session = store.get_session(runner.run(graph, checkpoint_store=store, **arguments).session_id)
        assert session is not None
        return session.title, session.workspace_id

    assert made(title="Scan", workspace_id="w1", input="text") == ("Scan", "w1")
    assert made(input="  Look at\n these\x00 files,\ud800 please ") == ("Look at these files, please", None)
    assert made(input="word " * 100)[0] == f"{('word ' * 100)[:79].rstrip()}…"
    assert [made(input=input)[0] for input in (None, "", " \n", 3, ["text"])] == [None] * 5
    session = store.create_session("/").id
    for name in ("title", "workspace_id"):
        with pytest.raises(GraphError, match="for a session that is made"):
            made(session_id=session, **{name: "x"})
