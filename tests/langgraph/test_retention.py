"""Old states of many threads go, and nothing that is still needed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from langgraph.types import Command

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.contrib.langgraph.retention import prune
from obsku_checkpoint.maintenance import prune as prune_all
from obsku_checkpoint.models import Session
from tests.langgraph import graphs
from tests.langgraph.steps import config_of, new_thread, put

WORKSPACES = (f"retention-{number}" for number in range(1000))


@pytest.fixture
def workspace() -> str:
    return next(WORKSPACES)


def ids(saver: DjangoSaver, thread: str) -> list[str]:
    return [one.checkpoint["id"] for one in saver.list({"configurable": {"thread_id": thread}})]


def thread_of(saver: DjangoSaver, count: int, thread: str | None = None) -> str:
    thread = new_thread() if thread is None else thread
    config = config_of(thread)
    for number in range(count):
        config = put(saver, config, {"messages": [*range(number, number + 20)]}, id=f"{number}")
    return thread


def test_the_newest_stay(alias: str, workspace: str) -> None:
    saver = DjangoSaver(alias, workspace_id=workspace)
    threads = [thread_of(saver, 5) for _ in range(7)]
    other = thread_of(DjangoSaver(alias, workspace_id="another"), 3)
    expected = prune(alias, keep=2, workspace_id=workspace, dry_run=True)
    assert ids(saver, threads[0]) == ["4", "3", "2", "1", "0"]
    seen: list[int] = []
    figures = prune(alias, keep=2, workspace_id=workspace, batch=3, progress=lambda done, what: seen.append(done))
    assert figures == expected
    assert figures["threads"] == 7
    assert figures["checkpoints"] == 21
    assert figures["bytes"] > 1000
    assert seen == [*range(1, 8)]
    for thread in threads:
        assert ids(saver, thread) == ["4", "3"]
    assert len(ids(DjangoSaver(alias), other)) == 3
    assert prune(alias, keep=2, workspace_id=workspace)["checkpoints"] == 0


def test_no_thread_is_passed_over(alias: str, workspace: str) -> None:
    """The empty text, which nothing is before, is the id of one."""
    saver = DjangoSaver(alias, workspace_id=workspace)
    threads = [thread_of(saver, 3, id) for id in ("", " ", "\U0010ffff")]
    assert prune(alias, workspace_id=workspace, batch=1)["threads"] == len(threads)
    for thread in threads:
        assert ids(saver, thread) == ["2"]
        saver.delete_thread(thread)


def test_of_some_threads(alias: str, workspace: str) -> None:
    saver = DjangoSaver(alias, workspace_id=workspace)
    threads = [thread_of(saver, 3) for _ in range(3)]
    assert prune(alias, session_ids=[*threads[:2], "none"], batch=1)["threads"] == 2
    assert [len(ids(saver, thread)) for thread in threads] == [1, 1, 3]
    assert prune(alias, session_ids=[])["threads"] == 0


def test_a_thread_that_is_younger_stays(alias: str, workspace: str) -> None:
    saver = DjangoSaver(alias, workspace_id=workspace)
    old, young = thread_of(saver, 3), thread_of(saver, 3)
    session = Session.objects.using(alias).get(pk=old)
    Session.objects.using(alias).filter(pk=old).update(updated_at=session.updated_at - timedelta(days=31))
    assert prune(alias, older_than=timedelta(days=30), workspace_id=workspace)["threads"] == 1
    assert ids(saver, old) == ["2"]
    assert ids(saver, young) == ["2", "1", "0"]


def test_open_questions_and_what_forks_come_from_stay(alias: str, workspace: str) -> None:
    saver = DjangoSaver(alias, workspace_id=workspace)
    thread = new_thread()
    graph = graphs.tool_loop().compile(checkpointer=saver)
    graph.invoke(graphs.question(1), config_of(thread))
    asked: Any = graph.get_state(config_of(thread)).config["configurable"]
    first = [*graph.get_state_history(config_of(thread))][-1]
    graph.update_state(first.config, {"note": "another branch"}, as_node="tools")
    forked = next(one for one in saver.store.list_checkpoints(thread) if one.step == 1)
    saver.store.fork(forked.id)
    prune(alias, workspace_id=workspace)
    left = ids(saver, thread)
    assert len(left) == 3
    assert asked["checkpoint_id"] in left
    assert forked.id in {one.id for one in saver.store.list_checkpoints(thread)}


def test_a_thread_goes_on_after_pruning(alias: str, workspace: str) -> None:
    saver = DjangoSaver(alias, workspace_id=workspace)
    thread = new_thread()
    graph = graphs.tool_loop().compile(checkpointer=saver)
    graph.invoke(graphs.question(1), config_of(thread))
    prune(alias, workspace_id=workspace)
    assert graph.invoke(Command(resume="yes"), config_of(thread))["note"] == "yes"


def test_the_record_before_a_question_goes_with_its_checkpoint(alias: str, workspace: str) -> None:
    saver = DjangoSaver(alias, workspace_id=workspace)
    thread = new_thread()
    graph = graphs.tool_loop().compile(checkpointer=saver)
    graph.invoke(graphs.question(1), config_of(thread))
    asked = saver.store.list_checkpoints(thread)[0]
    prune_all(alias, keep_last=1, workspace_id=workspace)
    assert [one.id for one in saver.store.list_checkpoints(thread)] == [asked.id, asked.parent_id]
    graph.invoke(Command(resume="yes"), config_of(thread))
    prune_all(alias, keep_last=1, workspace_id=workspace)
    (last,) = saver.store.list_checkpoints(thread)
    assert last.step == 4


def test_a_checkpoint_stays_that_was_forked_before_it_asked(alias: str, workspace: str) -> None:
    saver = DjangoSaver(alias, workspace_id=workspace)
    thread = new_thread()
    graph = graphs.tool_loop().compile(checkpointer=saver)
    graph.invoke(graphs.question(1), config_of(thread))
    before = saver.store.list_checkpoints(thread)[0].parent_id
    assert before is not None
    saver.store.fork(before)
    graph.invoke(Command(resume="yes"), config_of(thread))
    prune_all(alias, keep_last=1, workspace_id=workspace)
    assert before in {one.id for one in saver.store.list_checkpoints(thread)}
    assert len(ids(saver, thread)) == 2
