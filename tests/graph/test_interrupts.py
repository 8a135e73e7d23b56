"""Questions that stop a run, and answers that let it go on: in another process, days later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph import Context, Edge, Event, Graph, interrupt
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.graph.conftest import Runner


def name(context: Context) -> str:
    return context.node


def approve(context: Context) -> Any:
    return interrupt("Delete 3 files?", options=["yes", "no"], files=["a", "b", "c"])


async def approve_on_loop(context: Context) -> Any:
    return approve(context)


QUESTION = {"reason": "Delete 3 files?", "options": ["yes", "no"], "files": ["a", "b", "c"]}


def graph(ask: Any) -> Graph:
    return Graph(
        entry="a",
        nodes={"a": name, "ask": ask, "beside": name, "after": name, "end": lambda context: context.outputs},
        edges=[
            Edge("a", "ask"),
            Edge("a", "beside"),
            Edge("beside", "after"),
            Edge("ask", "end"),
            Edge("after", "end"),
        ],
    )


@pytest.mark.parametrize("ask", [approve, approve_on_loop])
@pytest.mark.parametrize("limit", [1, 8])
def test_a_question_stops_the_run_until_it_is_answered(
    ask: Any, limit: int, runner: Runner, store: DjangoCheckpointStore
) -> None:
    events: list[Event] = []
    result = runner.run(graph(ask), checkpoint_store=store, max_concurrency=limit, on_event=events.append)
    assert (result.status, result.question, result.questions) == ("interrupted", QUESTION, {"ask": QUESTION})
    saved = result.checkpoint
    assert (saved.source, saved.node_id, saved.pending_nodes) == ("interrupt", "ask", ["ask", "end"])
    assert (saved.node_results["ask"]["status"], saved.node_results["ask"]["interrupt"]) == ("pending", QUESTION)
    assert saved.node_results["after"]["output"] == "after"
    assert [(event.node, event.question) for event in events if event.type == "interrupted"] == [("ask", QUESTION)]

    again = runner.resume(graph(ask), result, checkpoint_store=store)
    assert (again.status, again.question, again.checkpoint) == ("interrupted", QUESTION, saved)

    result = runner.resume(graph(ask), result, checkpoint_store=store, answer="yes", max_concurrency=limit)
    assert (result.status, result.outputs) == ("complete", {"end": {"ask": "yes", "after": "after"}})
    assert result.checkpoint.node_results["ask"].keys() == {"status", "output", "startedAt", "completedAt"}
    with pytest.raises(GraphError, match="no open question"):
        runner.resume(graph(ask), result, checkpoint_store=store, answer="yes")


def test_none_is_an_answer(runner: Runner, store: DjangoCheckpointStore) -> None:
    asking = Graph(entry="ask", nodes={"ask": lambda _: interrupt("sure?")})
    result = runner.run(asking, checkpoint_store=store)
    result = runner.resume(asking, result, checkpoint_store=store, answer=None)
    assert (result.status, result.outputs) == ("complete", {"ask": None})


def test_a_node_may_ask_several_questions(runner: Runner, store: DjangoCheckpointStore) -> None:
    def ask(context: Context) -> list[Any]:
        first = interrupt("first")
        return [first, interrupt("second", given=first)]

    asking = Graph(entry="ask", nodes={"ask": ask})
    result = runner.run(asking, checkpoint_store=store)
    result = runner.resume(asking, result, checkpoint_store=store, answer=1)
    assert result.question == {"reason": "second", "given": 1}
    assert runner.resume(asking, result, checkpoint_store=store, answer=2).outputs == {"ask": [1, 2]}


def test_questions_side_by_side_are_answered_one_by_one(runner: Runner, store: DjangoCheckpointStore) -> None:
    calls: list[str] = []

    def ask(context: Context) -> Any:
        calls.append(context.node)
        return interrupt(context.node)

    asking = Graph(entry="a", nodes={"a": name, "b": ask, "c": ask}, edges=[Edge("a", "b"), Edge("a", "c")])
    result = runner.run(asking, checkpoint_store=store, max_concurrency=1)
    assert list(result.questions) == ["b", "c"]
    assert result.checkpoint.source == "interrupt"
    result = runner.resume(asking, result, checkpoint_store=store, answer="for b")
    assert (result.status, list(result.questions), result.checkpoint.node_id) == ("interrupted", ["c"], "c")
    result = runner.resume(asking, result, checkpoint_store=store, answer="for c")
    assert result.outputs == {"b": "for b", "c": "for c"}
    assert calls == ["b", "c", "b", "c"]


def test_an_answer_is_given_once_even_if_its_node_fails(runner: Runner, store: DjangoCheckpointStore) -> None:
    fail = True

    def ask(context: Context) -> Any:
        answer = interrupt("sure?")
        if fail:
            raise ValueError(answer)
        return answer

    asking = Graph(entry="ask", nodes={"ask": ask})
    result = runner.run(asking, checkpoint_store=store)
    result = runner.resume(asking, result, checkpoint_store=store, answer="yes")
    assert (result.status, result.errors, result.questions) == ("failed", {"ask": "ValueError: yes"}, {})
    fail = False
    assert runner.resume(asking, result, checkpoint_store=store).outputs == {"ask": "yes"}


def test_a_failure_beside_a_question_is_told_first(runner: Runner, store: DjangoCheckpointStore) -> None:
    def bad(context: Context) -> None:
        raise ValueError

    asking = Graph(entry="a", nodes={"a": name, "b": bad, "c": approve}, edges=[Edge("a", "b"), Edge("a", "c")])
    result = runner.run(asking, checkpoint_store=store)
    assert (result.status, result.question) == ("failed", QUESTION)
    result = runner.resume(asking, result, checkpoint_store=store, answer="yes")
    assert (result.status, result.outputs) == ("failed", {"c": "yes"})


def test_a_question_that_cannot_be_stored_is_a_failure(runner: Runner, store: DjangoCheckpointStore) -> None:
    asking = Graph(entry="a", nodes={"a": lambda _: interrupt("sure?", about=object())})
    result = runner.run(asking, checkpoint_store=store)
    assert "SerializationError" in result.errors["a"]
    assert result.checkpoint.source == "loop"


def test_options_are_a_list(runner: Runner, store: DjangoCheckpointStore) -> None:
    asking = Graph(entry="a", nodes={"a": lambda _: interrupt("sure?", options="yes")})
    assert "options must be a list" in runner.run(asking, checkpoint_store=store).errors["a"]


def test_a_question_needs_a_node() -> None:
    with pytest.raises(GraphError, match="outside a node"):
        interrupt("anybody?")


def test_a_question_is_not_caught_with_other_exceptions(runner: Runner, store: DjangoCheckpointStore) -> None:
    def careful(context: Context) -> Any:
        try:
            return interrupt("sure?")
        except Exception:  # noqa: BLE001 - what is tested
            return "caught"

    assert runner.run(Graph(entry="a", nodes={"a": careful}), checkpoint_store=store).status == "interrupted"


def test_tasks_of_a_node_may_ask(runner: Runner, store: DjangoCheckpointStore) -> None:
    async def ask(reason: str, wait: bool) -> Any:
        if wait:
            await asyncio.sleep(0)
        return interrupt(reason)

    async def node(context: Context) -> list[Any]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(f"question {number}", number > 0)) for number in range(2)]
        return [task.result() for task in tasks]

    asking = Graph(entry="a", nodes={"a": node})
    result = runner.run(asking, checkpoint_store=store)
    assert result.question == {"reason": "question 0"}
    result = runner.resume(asking, result, checkpoint_store=store, answer=0)
    assert result.question == {"reason": "question 1"}
    assert runner.resume(asking, result, checkpoint_store=store, answer=1).outputs == {"a": [0, 1]}


def test_a_task_that_fails_beside_one_that_asks_is_a_failure(runner: Runner, store: DjangoCheckpointStore) -> None:
    async def fail() -> None:
        raise ValueError("beside")

    async def ask() -> None:
        interrupt("sure?")

    async def node(context: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(ask())
            group.create_task(fail())

    result = runner.run(Graph(entry="a", nodes={"a": node}), checkpoint_store=store)
    assert "ExceptionGroup" in result.errors["a"]


def test_input_and_answers_are_what_the_store_gives_back(runner: Runner, store: DjangoCheckpointStore) -> None:
    seen: list[Any] = []

    def node(context: Context) -> None:
        seen.append(context.input)
        seen.append(interrupt("pair?"))
        seen.append(interrupt("done?"))

    asking = Graph(entry="a", nodes={"a": node})
    result = runner.run(asking, input=(1, 2), checkpoint_store=store)
    runner.resume(asking, result, checkpoint_store=store, answer=(3, 4))
    runner.resume(asking, result, checkpoint_store=store, answer=None)
    assert seen == [[1, 2], [1, 2], [3, 4], [1, 2], [3, 4], None]
