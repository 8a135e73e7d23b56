"""A thread of LangGraph in the admin: looked at, answered, and forked."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links
from tests.langgraph import graphs

#: what ``LANGGRAPH_GRAPHS`` names
compiled: Any = None


@pytest.fixture
def thread(hooked: None, store: DjangoCheckpointStore, settings: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A thread that stands at its question."""
    settings.OBSKU_CHECKPOINT = {"DATABASE": store.using, "LANGGRAPH_GRAPHS": {"langgraph": f"{__name__}.compiled"}}
    graph = graphs.tool_loop().compile(checkpointer=DjangoSaver(store.using))
    monkeypatch.setattr(f"{__name__}.compiled", graph)
    id = f"thread-{uuid.uuid4().hex}"
    graph.invoke(graphs.question(1), {"configurable": {"thread_id": id}})
    return id


def note(thread: str) -> Any:
    return compiled.get_state({"configurable": {"thread_id": thread}}).values.get("note")


def test_it_is_shown(root: Reader, thread: str, store: DjangoCheckpointStore) -> None:
    page = root.read(links.session(thread))
    for text in ("1+2?", "Is it right?", "yes", "agent", "tools", "approve"):
        assert text in page
    assert links.session(thread) in root.see(links.waiting())
    for checkpoint in store.list_checkpoints(thread):
        assert root.see(links.checkpoint(checkpoint.id))


def test_it_is_answered(root: Reader, thread: str, store: DjangoCheckpointStore) -> None:
    asked = store.list_checkpoints(thread)[0]
    page = root.post(links.checkpoint(asked.id, "answer"), {"option": "0"}, follow=True).content.decode()
    assert "The answer was handed on." in page
    assert note(thread) == "yes"
    assert links.session(thread) not in root.see(links.waiting())
    late = root.post(links.checkpoint(asked.id, "answer"), {"option": "1"}, follow=True).content.decode()
    assert "has been answered already" in late
    assert note(thread) == "yes"


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
