"""The action that removes old checkpoints."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from langgraph.types import Command

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import VIEW, Reader, links, person, text
from tests.langgraph import graphs


def chosen(*ids: str, **more: str) -> Any:
    return {"action": "thin_out", "_selected_action": ids, **more}


@pytest.fixture
def thread(hooked: None, store: DjangoCheckpointStore, session_id: str) -> str:
    """A thread of LangGraph that has ended, beside a session of two checkpoints."""
    for step in range(2):
        store.save_checkpoint(session_id, step=step, node_results={"n": {"status": "completed"}})
    graph = graphs.tool_loop().compile(checkpointer=DjangoSaver(store.using))
    config: Any = {"configurable": {"thread_id": f"thread-{uuid.uuid4().hex}"}}
    graph.invoke(graphs.question(1), config)
    graph.invoke(Command(resume="yes"), config)
    return str(config["configurable"]["thread_id"])


def test_old_checkpoints_go_and_the_graph_goes_on(
    root: Reader, store: DjangoCheckpointStore, session_id: str, thread: str
) -> None:
    messages = store.get_messages(thread)
    page = text(root.post(links.sessions(), chosen(thread, session_id)).content.decode())
    assert "6 checkpoints (" in page  # one of the session, and of the graph's steps all but the last
    assert "1+2?" in page
    assert len(store.list_checkpoints(thread)) > 1
    done = root.post(links.sessions(), chosen(thread, session_id, post="yes"), follow=True).content.decode()
    assert "6 old checkpoints were removed." in done
    assert [len(store.list_checkpoints(id)) for id in (thread, session_id)] == [1, 1]
    assert store.get_messages(thread) == messages
    assert "old checkpoints" in root.see(links.session(session_id, "history"))
    graph = graphs.tool_loop().compile(checkpointer=DjangoSaver(store.using))
    state = graph.get_state({"configurable": {"thread_id": thread}})
    assert (state.values["note"], state.next) == ("yes", ())
    again = root.post(links.sessions(), chosen(thread, session_id), follow=True).content.decode()
    assert "0 old checkpoints were removed." in again


def test_only_who_may_delete_sessions_removes_them(store: DjangoCheckpointStore, session_id: str, thread: str) -> None:
    viewer = person(*VIEW, "change_session")
    assert "thin_out" not in viewer.see(links.sessions())
    viewer.post(links.sessions(), chosen(session_id, post="yes"))
    assert len(store.list_checkpoints(session_id)) == 2


def test_for_many_sessions_there_is_the_command(
    root: Reader, store: DjangoCheckpointStore, session_id: str, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("obsku_checkpoint.admin.session.thin_out.MOST", 1)
    page = root.post(links.sessions(), chosen(session_id, thread, post="yes"), follow=True).content.decode()
    assert "manage.py checkpoints prune" in page
    assert len(store.list_checkpoints(session_id)) == 2
