"""A fork of a session takes the graph's state along, from every step of every run."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.types import Command

from obsku_checkpoint import run_state
from obsku_checkpoint.contrib.langgraph import DjangoSaver
from tests.langgraph import graphs
from tests.langgraph.steps import config_of, new_thread


def finished(saver: DjangoSaver) -> tuple[Any, str]:
    """A run whose question was answered with no."""
    thread = new_thread()
    graph = graphs.tool_loop().compile(checkpointer=saver)
    graph.invoke(graphs.question(1), config_of(thread))
    graph.invoke(Command(resume="no"), config_of(thread))
    return graph, thread


def go_on(graph: Any, thread: str, answer: str) -> Any:
    result = graph.invoke(None, config_of(thread))
    if "__interrupt__" in result:
        return graph.invoke(Command(resume=answer), config_of(thread))
    return result


def test_a_fork_goes_on_from_every_step_with_another_answer(alias: str) -> None:
    saver = DjangoSaver(alias)
    graph, thread = finished(saver)
    texts = [message.content for message in graph.get_state(config_of(thread)).values["messages"]]
    records = saver.store.list_checkpoints(thread)
    assert len(records) == 7
    for record in records:
        fork = saver.store.fork(record.id)
        result = go_on(graph, fork.id, "yes")
        assert [message.content for message in result["messages"]] == texts
        assert result["note"] == ("no" if record == records[0] else "yes")
        (copy, *_) = [one for one in saver.store.list_checkpoints(fork.id) if one.source == "fork"]
        assert copy.parent_id == record.id
        assert [one.role for one in saver.store.get_messages(fork.id)] == ["user", "assistant", "tool", "assistant"]
    assert graph.get_state(config_of(thread)).values["note"] == "no"


def test_a_fork_of_a_question_asks_it(alias: str) -> None:
    saver = DjangoSaver(alias)
    _, thread = finished(saver)
    asked = next(one for one in saver.store.list_checkpoints(thread) if one.source == "interrupt")
    fork = saver.store.fork(asked.id)
    (copy,) = saver.store.list_checkpoints(fork.id)
    assert run_state.read(copy).questions == {"approve": {"reason": "Is it right?", "options": ["yes", "no"]}}
    state = saver.get_tuple(config_of(fork.id))
    assert state is not None
    assert [channel for _, channel, _ in state.pending_writes or ()] == ["__interrupt__"]


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_a_fork_runs_its_sub_graph_anew(alias: str, step: int) -> None:
    saver = DjangoSaver(alias)
    thread = new_thread()
    graph = graphs.fan().compile(checkpointer=saver)
    graph.invoke({"topics": ["a", "b", "c"]}, config_of(thread))
    graph.invoke(Command(resume="a"), config_of(thread))
    record = next(one for one in saver.store.list_checkpoints(thread, namespace="") if one.step == step)
    fork = saver.store.fork(record.id)
    assert go_on(graph, fork.id, "b")["answer"] == "b"
    assert graph.get_state(config_of(thread)).values["answer"] == "a"


def test_a_fork_has_a_delta_channels_value(alias: str) -> None:
    saver = DjangoSaver(alias)
    thread = new_thread()
    graph = graphs.deltas().compile(checkpointer=saver)
    for number in range(4):
        graph.invoke({"log": [f"in {number}"], "count": 0}, config_of(thread))
    fork = saver.store.fork(saver.store.list_checkpoints(thread)[0].id)
    assert graph.get_state(config_of(fork.id)).values == graph.get_state(config_of(thread)).values


def test_a_fork_that_fails_copies_nothing(alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    saver = DjangoSaver(alias)
    _, thread = finished(saver)
    record = saver.store.list_checkpoints(thread)[0]
    before = saver.store.list_sessions(limit=1000)

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no room")

    monkeypatch.setattr("obsku_checkpoint.contrib.langgraph.copying.copied_state", fail)
    with pytest.raises(RuntimeError):
        saver.store.fork(record.id)
    assert saver.store.list_sessions(limit=1000) == before
