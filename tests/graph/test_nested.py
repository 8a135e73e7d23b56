"""A graph as a node of another: a namespace of its own, one run with its parent."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph import Context, Edge, Graph, Node, edit, interrupt
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.graph.conftest import Runner


def given(context: Context) -> Any:
    return {"input": context.input, **context.outputs}


def nested(inner: Any, **options: Any) -> Graph:
    graph = Graph(entry="first", nodes={"first": given, "second": inner}, edges=[Edge("first", "second")])
    return Graph(
        entry="a",
        nodes={"a": given, "inner": Node(graph, **options), "z": given},
        edges=[Edge("a", "inner"), Edge("inner", "z")],
    )


def test_a_nested_graph_has_its_namespace_its_input_and_its_outputs(
    runner: Runner, store: DjangoCheckpointStore
) -> None:
    deep = Graph(entry="deep", nodes={"deep": given})
    result = runner.run(nested(deep), input=1, checkpoint_store=store, namespace="main")
    inner = {
        "first": {"input": {"a": {"input": 1}}},
        "second": {"deep": {"input": {"first": {"input": {"a": {"input": 1}}}}}},
    }
    assert result.checkpoint.node_results["inner"]["output"] == {"second": inner["second"]}
    assert result.outputs == {"z": {"input": 1, "inner": {"second": inner["second"]}}}
    saved: dict[str, list[Any]] = {}
    for each in store.list_checkpoints(result.session_id)[::-1]:
        saved.setdefault(each.namespace, []).append((each.version, each.step, each.node_id))
    assert saved == {
        "main": [(1, 0, None), (2, 1, "a"), (3, 2, "inner"), (4, 3, "z")],
        "main/inner": [(1, 0, None), (2, 1, "first"), (3, 2, "second")],
        "main/inner/second": [(1, 0, None), (2, 1, "deep")],
    }


def test_an_entry_that_is_a_graph_is_given_the_input(runner: Runner, store: DjangoCheckpointStore) -> None:
    graph = Graph(entry="a", nodes={"a": Graph(entry="b", nodes={"b": given})})
    assert runner.run(graph, input=7, checkpoint_store=store).outputs == {"a": {"b": {"input": 7}}}


def test_a_question_within_stops_the_whole_and_is_answered_from_outside(
    runner: Runner, store: DjangoCheckpointStore
) -> None:
    calls: list[str] = []

    def ask(context: Context) -> Any:
        calls.append(context.namespace)
        return [interrupt("one?"), interrupt("two?")]

    graph = nested(Graph(entry="deep", nodes={"deep": ask}))
    result = runner.run(graph, checkpoint_store=store)
    assert (result.status, result.questions) == ("interrupted", {"inner/second/deep": {"reason": "one?"}})
    assert (result.checkpoint.source, result.checkpoint.node_id) == ("interrupt", "inner")
    assert runner.resume(graph, result, checkpoint_store=store).checkpoint == result.checkpoint
    result = runner.resume(graph, result, checkpoint_store=store, answer=1)
    assert result.question == {"reason": "two?"}
    result = runner.resume(graph, result, checkpoint_store=store, answer=2)
    assert (result.status, result.outputs["z"]["inner"]) == ("complete", {"second": {"deep": [1, 2]}})
    assert set(calls) == {"inner/second"}
    with pytest.raises(GraphError, match="no open question"):
        runner.resume(graph, result, checkpoint_store=store, answer=3)


def test_a_failure_within_fails_the_node_and_only_that_is_run_again(
    runner: Runner, store: DjangoCheckpointStore
) -> None:
    fail, firsts = True, []

    def second(context: Context) -> str:
        firsts.append(context.outputs["first"])
        if fail:
            raise ValueError("within")
        return "fine"

    graph = nested(second)
    result = runner.run(graph, checkpoint_store=store)
    assert result.errors == {"inner": "second: ValueError: within"}
    fail = False
    result = runner.resume(graph, result, checkpoint_store=store)
    assert result.outputs["z"]["inner"] == {"second": "fine"}
    inner = store.list_checkpoints(result.session_id, namespace="inner")
    assert [each.node_id for each in inner] == ["second", "second", "first", None]


def test_a_nested_graph_is_tried_again_from_where_it_failed(runner: Runner, store: DjangoCheckpointStore) -> None:
    calls: list[int] = []

    def second(context: Context) -> int:
        calls.append(1)
        if len(calls) < 3:
            raise ValueError
        return len(calls)

    result = runner.run(nested(second, retries=2, backoff=0), checkpoint_store=store)
    assert result.outputs["z"]["inner"] == {"second": 3}
    inner = store.list_checkpoints(result.session_id, namespace="inner")
    assert [each.node_id for each in inner].count("first") == 1


def test_a_nested_graph_in_a_cycle_starts_anew_and_its_versions_go_on(
    runner: Runner, store: DjangoCheckpointStore
) -> None:
    keys: list[str] = []

    def node(context: Context) -> Any:
        keys.append(context.idempotency_key)
        return context.input

    inner = Graph(entry="n", nodes={"n": node})
    graph = Graph(
        entry="a",
        nodes={"a": lambda context: context.iteration, "inner": inner},
        edges=[Edge("a", "inner"), Edge("inner", "a", back=True, max_iterations=2)],
    )
    result = runner.run(graph, checkpoint_store=store)
    assert result.outputs == {"inner": {"n": {"a": 2}}}
    saved = store.list_checkpoints(result.session_id, namespace="inner")[::-1]
    assert [(each.version, each.step, each.source) for each in saved] == [
        (number + 1, number, "input" if number % 2 == 0 else "loop") for number in range(6)
    ]
    assert len(set(keys)) == 3


def test_a_nested_graph_that_takes_too_long_fails(runner: Runner, store: DjangoCheckpointStore) -> None:
    async def forever(context: Context) -> None:
        await asyncio.Event().wait()

    result = runner.run(nested(forever, timeout=0.2), checkpoint_store=store)
    assert result.errors == {"inner": "TimeoutError: not finished after 0.2 s"}


def paying(ran: list[str], ask: Any) -> Graph:
    def logged(context: Context) -> str:
        ran.append(context.node)
        return context.node

    inner = Graph(entry="pay", nodes={"pay": logged, "ask": ask}, edges=[Edge("pay", "ask")])
    return Graph(
        entry="a",
        nodes={"a": logged, "inner": Graph(entry="x", nodes={"x": inner}), "beside": logged},
        edges=[Edge("a", "inner"), Edge("a", "beside")],
    )


def test_a_fork_goes_on_within_a_nested_graph(runner: Runner, store: DjangoCheckpointStore) -> None:
    ran: list[str] = []
    graph = paying(ran, lambda _: interrupt("sure?"))
    result = runner.run(graph, checkpoint_store=store)
    before = store.list_checkpoints(result.session_id)
    ran.clear()
    for number in range(2):
        fork = store.fork(result.checkpoint.id)
        answered = runner.resume(graph, checkpoint_store=store, session_id=fork.id, answer=number)
        assert answered.outputs["inner"] == {"x": {"ask": number}}
        deepest = store.list_checkpoints(fork.id, namespace="inner/x")[-1]
        assert (deepest.source, deepest.version) == ("fork", 1)
        assert deepest.parent_id in {each.id for each in before if each.namespace == "inner/x"}
    edited = edit(graph, checkpoint_store=store, checkpoint_id=result.checkpoint.id, node="beside", output=1)
    answered = runner.resume(graph, checkpoint_store=store, session_id=edited.session_id, answer="yes")
    assert answered.outputs == {"inner": {"x": {"ask": "yes"}}, "beside": 1}
    assert ran == []
    assert store.list_checkpoints(result.session_id) == before


def test_a_fork_goes_on_after_a_failure_within(runner: Runner, store: DjangoCheckpointStore) -> None:
    ran: list[str] = []

    def fails(context: Context) -> None:
        raise ValueError

    result = runner.run(paying(ran, fails), checkpoint_store=store)
    ran.clear()
    fork = store.fork(result.checkpoint.id)
    mended = runner.run(paying(ran, lambda _: "fine"), from_checkpoint=fork, checkpoint_store=store)
    assert (mended.outputs["inner"], ran) == ({"x": {"ask": "fine"}}, [])


def test_a_fork_whose_source_is_gone_starts_the_nested_graph_anew(runner: Runner, store: DjangoCheckpointStore) -> None:
    ran: list[str] = []
    graph = paying(ran, lambda _: interrupt("sure?"))
    result = runner.run(graph, checkpoint_store=store)
    fork = store.fork(result.checkpoint.id)
    store.delete_session(result.session_id)
    ran.clear()
    with pytest.raises(GraphError, match="no longer open: resume without an answer: 'inner'"):
        runner.resume(graph, checkpoint_store=store, session_id=fork.id, answer="lost")
    again = runner.resume(graph, checkpoint_store=store, session_id=fork.id)
    assert (again.question, ran) == ({"reason": "sure?"}, ["pay"])
    assert runner.resume(graph, checkpoint_store=store, session_id=fork.id, answer="yes").status == "complete"


def test_an_answer_is_not_taken_for_another_question(runner: Runner, store: DjangoCheckpointStore) -> None:
    """The process was killed when the next question was saved in the nested graph's namespace alone."""
    inner = Graph(entry="ask", nodes={"ask": lambda _: [interrupt("first"), interrupt("second")]})
    graph = Graph(entry="inner", nodes={"inner": inner})
    result = runner.run(graph, checkpoint_store=store)
    runner.resume(inner, checkpoint_store=store, session_id=result.session_id, namespace="inner", answer=1)
    with pytest.raises(GraphError, match="no longer open"):
        runner.resume(graph, result, checkpoint_store=store, answer=1)
    again = runner.resume(graph, result, checkpoint_store=store)
    assert again.question == {"reason": "second"}
    assert runner.resume(graph, result, checkpoint_store=store, answer=2).outputs == {"inner": {"ask": [1, 2]}}


class Slow(DjangoCheckpointStore):
    """The real store; the first save after node ``x`` takes longer than the nested graph has."""

    slow = True

    def save_checkpoint(self, *args: Any, **kwargs: Any) -> CheckpointRecord:
        record = super().save_checkpoint(*args, **kwargs)
        if kwargs["node_id"] == "x" and self.slow:
            self.slow = False
            time.sleep(0.5)
        return record


def test_a_save_that_outlasts_the_time_limit_is_not_lost(runner: Runner, store: DjangoCheckpointStore) -> None:
    ran: list[str] = []

    def logged(context: Context) -> str:
        ran.append(context.node)
        return context.node

    inner = Graph(entry="x", nodes={"x": logged, "y": logged}, edges=[Edge("x", "y")])
    graph = Graph(entry="inner", nodes={"inner": Node(inner, timeout=0.3, retries=1, backoff=0)})
    result = runner.run(graph, checkpoint_store=Slow(store.using))
    assert (result.outputs, ran.count("x")) == ({"inner": {"y": "y"}}, 1)


def test_a_session_goes_on_with_its_outermost_graph(runner: Runner, store: DjangoCheckpointStore) -> None:
    def interrupted(context: Context) -> None:
        raise KeyboardInterrupt

    def graph(last: Any) -> Graph:
        inner = Graph(entry="plan", nodes={"plan": lambda _: "inner", "x": last}, edges=[Edge("plan", "x")])
        return Graph(entry="plan", nodes={"plan": lambda _: "outer", "n": inner}, edges=[Edge("plan", "n")])

    for namespace in ("", "main", "a/b"):
        session = store.create_session("/")
        place: dict[str, Any] = {"session_id": session.id, "namespace": namespace, "max_concurrency": 1}
        with pytest.raises(KeyboardInterrupt):
            runner.run(graph(interrupted), checkpoint_store=store, **place)
        newest = store.get_latest_checkpoint(session.id)
        assert newest is not None
        assert newest.namespace == (f"{namespace}/n" if namespace else "n")
        result = runner.run(graph(lambda _: "fine"), checkpoint_store=store, from_checkpoint=session)
        assert (result.checkpoint.namespace, result.outputs) == (namespace, {"n": {"x": "fine"}})


def finished(ran: list[str], inner: Any) -> Graph:
    def logged(context: Context) -> str:
        ran.append(context.node)
        return context.node

    nodes: dict[str, Any] = {"a": logged, "review": inner, "c": logged}
    sub = Graph(entry="a", nodes=nodes, edges=[Edge("a", "review"), Edge("review", "c")])
    outer = Graph(entry="sub", nodes={"sub": sub, "y": logged}, edges=[Edge("sub", "y")])
    return Graph(entry="p", nodes={"p": logged, "out": outer, "z": given}, edges=[Edge("p", "out"), Edge("out", "z")])


def test_a_fork_inside_a_nested_graph_goes_on_there(runner: Runner, store: DjangoCheckpointStore) -> None:
    ran: list[str] = []
    graph = finished(ran, lambda _: interrupt("sure?"))
    result = runner.run(graph, checkpoint_store=store)
    result = runner.resume(graph, result, checkpoint_store=store, answer="yes")
    unbroken = result.outputs
    inner = store.list_checkpoints(result.session_id, namespace="out/sub")[::-1]
    for after, left in ((inner[1], ["c", "y"]), (inner[-1], ["y"])):
        ran.clear()
        fork = store.fork(after.id)
        result = runner.run(graph, checkpoint_store=store, from_checkpoint=fork)
        if result.question:
            result = runner.resume(graph, checkpoint_store=store, session_id=fork.id, answer="yes")
        assert (result.outputs, ran) == (unbroken, left)
        assert {each.namespace for each in store.list_checkpoints(fork.id)} == {"", "out", "out/sub"}
    asked = next(each for each in inner if each.source == "interrupt")
    ran.clear()
    fork = store.fork(asked.id)
    newest = store.get_latest_checkpoint(fork.id)
    assert newest is not None
    result = runner.run(graph, checkpoint_store=store, from_checkpoint=newest)
    assert result.questions == {"out/sub/review": {"reason": "sure?"}}
    result = runner.resume(graph, checkpoint_store=store, session_id=fork.id, answers={"out/sub/review": "no"})
    assert (result.outputs["z"]["out"], ran) == ({"y": "y"}, ["c", "y"])
    fork = store.fork(asked.id)
    result = runner.resume(graph, checkpoint_store=store, session_id=fork.id, answer="yes")
    assert result.outputs == unbroken
    copy = store.get_latest_checkpoint(store.fork(asked.id).id)
    result = runner.resume(graph, checkpoint_store=store, checkpoint=copy, answers={"review": "yes"})
    assert result.outputs == unbroken
    with pytest.raises(GraphError, match="not the newest any more"):
        runner.resume(graph, checkpoint_store=store, checkpoint=copy, answers={"review": "yes"})


def test_a_fork_inside_a_nested_graph_whose_run_is_gone_is_refused(
    runner: Runner, store: DjangoCheckpointStore
) -> None:
    graph = finished([], given)
    result = runner.run(graph, checkpoint_store=store)
    fork = store.fork(store.list_checkpoints(result.session_id, namespace="out")[1].id)
    store.delete_session(result.session_id)
    with pytest.raises(GraphError, match="inside a nested graph, and the run around it is gone: 'out'"):
        runner.run(graph, checkpoint_store=store, from_checkpoint=fork)


def test_a_graph_without_a_node_of_the_run_is_refused(runner: Runner, store: DjangoCheckpointStore) -> None:
    result = runner.run(Graph(entry="a", nodes={"a": given}), checkpoint_store=store)
    other = Graph(entry="b", nodes={"b": given})
    with pytest.raises(GraphError, match="no node of the run"):
        runner.resume(other, result, checkpoint_store=store)
    with pytest.raises(GraphError, match="no node of the run"):
        runner.run(other, checkpoint_store=store, from_checkpoint=store.fork(result.checkpoint.id))
