"""What people and other programs see of a thread: checkpoints, messages, a title."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.types import Command, Interrupt, Send

from obsku_checkpoint import run_state
from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.contrib.langgraph.projection import title
from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph import Graph, resume
from tests.langgraph import graphs
from tests.langgraph.steps import checkpoint_of, config_of, new_thread, put


@pytest.fixture
def full(alias: str) -> DjangoSaver:
    return DjangoSaver(alias)


def test_the_steps_of_a_run(full: DjangoSaver) -> None:
    thread = new_thread()
    graph = graphs.tool_loop().compile(checkpointer=full)
    graph.invoke(graphs.question(1), config_of(thread))
    graph.invoke(Command(resume="yes"), config_of(thread))
    records = full.store.list_checkpoints(thread)[::-1]
    states = [run_state.read(record) for record in records]
    assert [(record.step, record.source, record.node_id) for record in records] == [
        (-1, "input", None),
        (0, "loop", None),
        (1, "loop", "agent"),
        (2, "loop", "tools"),
        (3, "loop", "agent"),
        (3, "interrupt", "approve"),
        (4, "loop", "approve"),
    ]
    assert [state.status for state in states] == [*["pending"] * 5, "interrupted", "complete"]
    assert [state.pending for state in states] == [
        ["__start__"], ["agent"], ["tools"], ["agent"], ["approve"], ["approve"], [],
    ]  # fmt: skip
    assert {state.by for state in states} == {"langgraph"}
    assert [record.parent_id for record in records] == [None, *(record.id for record in records[:-1])]
    times = [states[-1].results[node]["completedAt"] for node in ("tools", "agent", "approve")]
    assert times == sorted(times)
    session = full.store.get_session(thread)
    assert session is not None
    assert (session.title, session.directory) == ("1+2?", "langgraph")


def test_a_run_is_gone_on_with_by_its_adapter_only(full: DjangoSaver) -> None:
    thread = new_thread()
    graphs.tool_loop().compile(checkpointer=full).invoke(graphs.question(1), config_of(thread))
    with pytest.raises(GraphError, match="langgraph"):
        resume(
            Graph(entry="approve", nodes={"approve": print}),
            checkpoint_store=full.store,
            session_id=thread,
            answers={"approve": "yes"},
        )


def test_the_transcript(full: DjangoSaver) -> None:
    thread = new_thread()
    said: list[Any] = [
        SystemMessage("Be kind.", id="1"),
        HumanMessage([{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "x"}}], id="2"),
        AIMessage(
            "I look\0", id="3", tool_calls=[{"name": "look", "args": {"at": "x", "odd": {1: 2}}, "id": "c"}],
            usage_metadata=graphs.usage(11, 7),
        ),
        ToolMessage("nothing", tool_call_id="c", id="4", status="error"),
        ChatMessage(content="noted", role="assistant", id="5"),
        ChatMessage(content="aside", role="narrator", id="6"),
        FunctionMessage(content="old", name="f", id="7"),
        AIMessage("without an id"),
    ]  # fmt: skip
    config = put(full, config_of(thread), {"messages": said})
    config = put(full, config, {"messages": [*said, HumanMessage("more", id="8")]})
    put(full, config, {"messages": [HumanMessage("edited", id="8")]})
    rows = [(one.role, one.content) for one in full.store.get_messages(thread)]
    assert rows == [
        ("system", "Be kind."),
        ("user", "Look:\n[image_url]"),
        ("assistant", "I look\u2400"),
        ("tool", None),
        ("assistant", "noted"),
        ("assistant", "without an id"),
        ("user", "more"),
    ]
    call, result = full.store.get_messages(thread)[2:4]
    assert call.tool_calls == [{"name": "look", "toolUseId": "c", "input": {"at": "x", "odd": {1: 2}}}]
    assert (call.tokens_in, call.tokens_out) == (11, 7)
    assert result.tool_results == [{"toolUseId": "c", "content": "nothing", "status": "error"}]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_messages_of_a_delta_channel(alias: str, durability: Any) -> None:
    def transcript(state: Any) -> list[Any]:
        thread = new_thread()
        for number in range(3):
            full = DjangoSaver(alias)  # another process
            graph = graphs.tool_loop(state).compile(checkpointer=full)
            graph.invoke(graphs.question(number), config_of(thread), durability=durability)
            graph.invoke(Command(resume="yes"), config_of(thread), durability=durability)
        graph.update_state(config_of(thread), {"messages": [{"role": "user", "content": "edit", "id": "e"}]})
        graph.update_state(config_of(thread), {"messages": [RemoveMessage("e"), HumanMessage("more", id="f")]})
        session = full.store.get_session(thread)
        assert session is not None
        assert session.title == "1+2?"
        return [
            (one.role, one.content, one.tool_calls, one.tool_results, one.tokens_in)
            for one in full.store.get_messages(thread)
        ]

    found = transcript(graphs.DeltaChat)
    assert found == transcript(graphs.Chat)
    assert len(found) == 14


def test_what_is_no_message_is_left_out_of_a_delta_channel(full: DjangoSaver) -> None:
    config = put(full, config_of(new_thread()), {"a": 1})
    for number, value in enumerate([5, {"odd": 1}, [HumanMessage("yes", id="1")]]):
        full.put_writes(config, [("messages", value)], f"task {number}")
    versions: dict[str, Any] = {"messages": full.get_next_version(None, None)}
    full.put(config, checkpoint_of({}, versions), {"source": "loop", "step": 2, "parents": {}}, versions)
    assert [one.content for one in full.store.get_messages(config["configurable"]["thread_id"])] == ["yes"]


def test_messages_of_a_sub_graph_are_its_own(full: DjangoSaver) -> None:
    thread = new_thread()
    put(full, config_of(thread, "sub:1"), {"messages": [HumanMessage("inside", id="1")]})
    assert full.store.get_messages(thread) == []
    assert full.store.list_checkpoints(thread)[0].namespace == "sub:1"


def test_another_channel_is_the_transcript(alias: str) -> None:
    saver = DjangoSaver(alias, messages_channel="chat")
    thread = new_thread()
    put(saver, config_of(thread), {"chat": [HumanMessage("yes", id="1")], "messages": [HumanMessage("no", id="2")]})
    assert [one.content for one in saver.store.get_messages(thread)] == ["yes"]


def test_a_question_that_comes_before_its_checkpoint(full: DjangoSaver) -> None:
    thread = new_thread()
    config = config_of(thread, checkpoint_id="1")
    full.put_writes(config, [("__interrupt__", (Interrupt("Go on?"),))], "task", "~__pregel_pull, approve")
    put(full, config_of(thread), {"branch:to:approve": None}, id="1")
    record = full.store.list_checkpoints(thread)[0]
    assert run_state.read(record).questions == {"approve": {"reason": "Go on?"}}


def test_a_question_is_asked_once(full: DjangoSaver) -> None:
    config = put(full, config_of(new_thread()), {"branch:to:approve": None})
    for _ in range(3):
        full.put_writes(config, [("__interrupt__", (Interrupt({"b": {1}, "options": [1]}),))], "task")
    records = full.store.list_checkpoints(config["configurable"]["thread_id"])
    assert [record.source for record in records] == ["interrupt", "loop"]
    assert run_state.read(records[0]).questions == {"approve": {"reason": "", "b": {1}, "options": [1]}}


def test_sends_are_pending(full: DjangoSaver) -> None:
    config = put(full, config_of(new_thread()), {"__pregel_tasks": [Send("joke", {}), Send("joke", {})]})
    (record,) = full.store.list_checkpoints(config["configurable"]["thread_id"])
    assert record.pending_nodes == ["joke"]


def test_titles() -> None:
    assert title([AIMessage("x"), HumanMessage(""), HumanMessage("a\n b" * 100)]) == f"{'a b' * 100}"[:79] + "…"
    assert title("nothing") is None
    assert title([AIMessage("x")]) is None


#: what ``LANGGRAPH_GRAPHS`` names
compiled: Any = None


def test_the_graph_is_drawn_where_it_is_known(alias: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.OBSKU_CHECKPOINT = {"LANGGRAPH_GRAPHS": {"langgraph": f"{__name__}.compiled"}}
    saver = DjangoSaver(alias)
    monkeypatch.setattr(f"{__name__}.compiled", graphs.tool_loop().compile(checkpointer=saver))
    thread = new_thread()
    compiled.invoke(graphs.question(1), config_of(thread))
    for record in saver.store.list_checkpoints(thread):
        graph = run_state.graph_of(record, saver.store.get_checkpoint)
        assert graph is not None
        assert [node.name for node in graph.nodes] == ["agent", "tools", "approve"]
        assert {edge.name: (edge.has_condition, edge.is_back) for edge in graph.edges} == {
            "agent->tools": (True, False),
            "agent->approve": (True, False),
            "tools->agent": (False, True),
        }
    states = [run_state.read(record) for record in saver.store.list_checkpoints(thread)[::-1]]
    assert [state.iterations for state in states] == [*[{}] * 3, *[{"tools->agent": 1}] * 3]
    other = DjangoSaver(alias)  # another process, which begins anew
    put(other, config_of(thread), {"a": 1})
    newest = saver.store.list_checkpoints(thread)[0]
    assert run_state.graph_of(newest, saver.store.get_checkpoint) == graph


def test_without_the_settings_no_graph_is_known(full: DjangoSaver) -> None:
    config = put(full, config_of(new_thread()), {"a": 1})
    (record,) = full.store.list_checkpoints(config["configurable"]["thread_id"])
    assert run_state.read(record).graph is None
