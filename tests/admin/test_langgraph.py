"""A thread of LangGraph in the admin: looked at, answered, and forked."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

import ormsgpack
import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base.id import uuid6

from obsku_checkpoint import run_state
from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.contrib.langgraph.models import State
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links
from tests.admin.conftest import text as text_of
from tests.langgraph import graphs

#: what ``LANGGRAPH_GRAPHS`` names
compiled: Any = None


Begin = Callable[[Any, dict[str, Any]], str]


@pytest.fixture
def begin(hooked: None, store: DjangoCheckpointStore, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Makes a thread of a graph that the settings name, with this input."""
    settings.OBSKU_CHECKPOINT = {"DATABASE": store.using, "LANGGRAPH_GRAPHS": {"langgraph": f"{__name__}.compiled"}}

    def begin(builder: Any, given: dict[str, Any]) -> str:
        graph = builder.compile(checkpointer=DjangoSaver(store.using))
        monkeypatch.setattr(f"{__name__}.compiled", graph)
        id = f"thread-{uuid.uuid4().hex}"
        graph.invoke(given, {"configurable": {"thread_id": id}})
        return id

    return begin


@pytest.fixture
def thread(begin: Begin) -> str:
    """A thread that stands at its question."""
    return begin(graphs.tool_loop(), graphs.question(1))


def values(thread: str) -> Any:
    return compiled.get_state({"configurable": {"thread_id": thread}}).values


def note(thread: str) -> Any:
    return values(thread).get("note")


def test_it_is_shown(root: Reader, thread: str, store: DjangoCheckpointStore) -> None:
    page = root.read(links.session(thread))
    for text in ("1+2?", "Is it right?", "yes", "agent", "tools", "approve"):
        assert text in page
    assert links.session(thread) in root.see(links.waiting())
    for checkpoint in store.list_checkpoints(thread):
        said = text_of(root.see(links.checkpoint(checkpoint.id))).partition("Messages of this step")[2]
        if checkpoint.node_id == "tools":
            assert "tool 3" in said
        if checkpoint.step == 1:
            assert "assistant add" in said


def test_it_is_answered(root: Reader, thread: str, store: DjangoCheckpointStore) -> None:
    asked = store.list_checkpoints(thread)[0]
    page = root.post(links.checkpoint(asked.id, "answer"), {"option": "0"}, follow=True).content.decode()
    assert "The answer was handed on." in page
    assert note(thread) == "yes"
    assert links.session(thread) not in root.see(links.waiting())
    late = root.post(links.checkpoint(asked.id, "answer"), {"option": "1"}, follow=True).content.decode()
    assert "has been answered already" in late
    assert note(thread) == "yes"


def test_a_question_within_a_sub_graph_is_answered(root: Reader, begin: Begin, store: DjangoCheckpointStore) -> None:
    thread = begin(graphs.fan(), {"topics": ["a"], "jokes": []})
    (asked,) = (one for one in store.list_checkpoints(thread) if one.source == "interrupt")
    assert "Which one?" in root.see(links.waiting())
    page = root.post(links.checkpoint(asked.id, "answer"), {"answer": "The first."}, follow=True).content.decode()
    assert "The answer was handed on." in page
    assert values(thread)["answer"] == "The first."


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "a", "b")])
def test_each_of_several_tasks_of_a_node_is_answered(
    root: Reader, begin: Begin, store: DjangoCheckpointStore, order: Sequence[str]
) -> None:
    thread = begin(graphs.polls(), {"topics": ["a", "b", "c"], "votes": []})
    for number, topic in enumerate(order):
        newest = store.list_checkpoints(thread)[0]
        questions = {one["reason"]: name for name, one in run_state.read(newest).questions.items()}
        assert {*questions} == {f"And {left}?" for left in order[number:]}
        assert {*newest.pending_nodes} == {*questions.values()}
        assert all(name.startswith("ask ") for name in newest.node_results if not run_state.is_reserved(name))
        assert f"And {topic}?" in root.see(links.waiting())
        answer = {"answer": f"yes to {topic}", "question": questions[f"And {topic}?"]}
        page = root.post(links.checkpoint(newest.id, "answer"), answer, follow=True).content.decode()
        assert "The answer was handed on." in page
    assert values(thread)["votes"] == [f"{topic}: yes to {topic}" for topic in ("a", "b", "c")]
    assert run_state.read(store.list_checkpoints(thread)[0]).status == "complete"


def test_a_fork_is_answered_otherwise(root: Reader, thread: str, store: DjangoCheckpointStore) -> None:
    asked = store.list_checkpoints(thread)[0]
    root.post(links.checkpoint(asked.id, "answer"), {"option": "0"})
    root.post(links.checkpoint(asked.id, "fork"), {"title": f"Fork {thread}"})
    (fork,) = store.search_sessions(f"Fork {thread}")
    assert links.session(fork.id) in root.see(links.waiting())
    copy = store.list_checkpoints(fork.id)[0]
    page = root.post(links.checkpoint(copy.id, "answer"), {"option": "1"}, follow=True).content.decode()
    assert "The answer was handed on." in page
    assert (note(fork.id), note(thread)) == ("no", "yes")


def test_a_graph_that_is_not_named_says_so(
    root: Reader, thread: str, store: DjangoCheckpointStore, settings: Any
) -> None:
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "LANGGRAPH_GRAPHS": {"other": f"{__name__}.compiled"}}
    asked = store.list_checkpoints(thread)[0]
    page = root.post(links.checkpoint(asked.id, "answer"), {"option": "0"}, follow=True).content.decode()
    assert "names no graph for the directory" in page


def test_a_graph_that_fails_says_so(
    root: Reader, thread: str, store: DjangoCheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(compiled, "ainvoke", fail)
    asked = store.list_checkpoints(thread)[0]
    page = root.post(links.checkpoint(asked.id, "answer"), {"option": "0"}, follow=True).content.decode()
    assert "ZeroDivisionError: by zero" in page


def test_the_state_is_shown(root: Reader, thread: str, store: DjangoCheckpointStore) -> None:
    saver = DjangoSaver(store.using)
    config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    saved = saver.get_tuple(config)
    assert saved is not None
    channels = {
        "messages": [HumanMessage(f"word {number}") for number in range(30)],
        "long": "x" * 50_000,
        "big": 10**30,
        "note": "<b>small</b>",
    }
    versions: Any = {name: saver.get_next_version(None, None) for name in channels}
    checkpoint: Any = {**saved.checkpoint, "id": str(uuid6()), "channel_values": channels, "channel_versions": versions}
    saver.put(saved.config, checkpoint, {"source": "loop", "step": 9, "parents": {}}, versions)
    page = root.see(links.checkpoint(store.list_checkpoints(thread)[0].id))
    for text in ("State of the graph", "langchain_core.messages.human.HumanMessage", "word 9", str(10**30)):
        assert text in page
    for kind in ("list", "int", "str", "msgpack"):
        assert f"<td>{kind}</td>" in page
    for text in ("word 10", "x" * 1000, "<b>small"):
        assert text not in page
    assert "Elements not shown: 20." in page
    assert "too large to be shown" in page


def test_a_hostile_state_is_shown_as_it_is(root: Reader, thread: str, store: DjangoCheckpointStore) -> None:
    """Nothing that a stored value names is called."""
    call = ormsgpack.packb(("os", "system", "echo"))
    bomb = ormsgpack.packb(1)
    for _ in range(1000):
        bomb = ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(("a", "b")) + bomb))
    for stored in (ormsgpack.packb(ormsgpack.Ext(0, call)), bomb, b"\xc1", b""):
        State.objects.using(store.using).filter(session_id=thread).update(payload=stored)
        for checkpoint in store.list_checkpoints(thread):
            assert root.see(links.checkpoint(checkpoint.id))


def test_a_sub_graph_is_a_part_of_its_run(root: Reader, store: DjangoCheckpointStore, hooked: None) -> None:
    graph = graphs.fan().compile(checkpointer=DjangoSaver(store.using))
    thread = f"thread-{uuid.uuid4().hex}"
    graph.invoke({"topics": ["a"], "jokes": []}, {"configurable": {"thread_id": thread}})
    within = next(one for one in store.list_checkpoints(thread) if one.namespace)
    page = root.see(links.checkpoint(within.id))
    assert links.checkpoint(within.id, "go-on") not in page
    refused: Any = root.get(links.checkpoint(within.id, "go-on"), follow=True)
    assert "which goes on as a whole" in refused.content.decode()
    page = root.see(links.session(thread))
    assert links.checkpoint(within.id, "go-on") not in page
    assert "waiting for a person" in page
