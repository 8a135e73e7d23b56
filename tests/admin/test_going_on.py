"""A person lets a run go on: after a failure, in a fork, from an edited output. With which rights, and on record."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections

from obsku_checkpoint import graph, run_state
from obsku_checkpoint.errors import VersionConflictError
from obsku_checkpoint.graph import Context, Edge, Graph
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.run_state import GraphEdge, GraphNode, RunGraph
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import VIEW, Reader, links, person, redirected

#: what the hook was called with, and whether a transaction was around it
calls: list[tuple[str, dict[str, Any], bool]] = []
#: nodes that fail
broken: set[str] = set()


def node(context: Context) -> Any:
    if context.node in broken:
        raise RuntimeError(f"no {context.node} today")
    return f"{context.node} of {context.outputs.get('plan', '')}"


WRITING = Graph(
    entry="plan",
    nodes={"plan": node, "write": node, "publish": node},
    edges=[Edge("plan", "write"), Edge("write", "publish")],
)
#: the same as its checkpoints hold it
DESCRIPTION = RunGraph(
    digest="d",
    nodes=(GraphNode(name="plan"), GraphNode(name="write"), GraphNode(name="publish")),
    edges=(GraphEdge(source="plan", target="write"), GraphEdge(source="write", target="publish")),
)


def go_on(checkpoint: CheckpointRecord, answers: dict[str, Any]) -> None:
    store = DjangoCheckpointStore()
    calls.append((checkpoint.id, answers, connections[store.using].in_atomic_block))
    graph.resume(WRITING, checkpoint_store=store, checkpoint=checkpoint, answers=answers)


def refuse(checkpoint: CheckpointRecord, answers: dict[str, Any]) -> None:
    raise VersionConflictError(checkpoint.session_id, "", 2)


def fail(checkpoint: CheckpointRecord, answers: dict[str, Any]) -> None:
    raise ValueError("<publishing>\u202e")


@pytest.fixture(autouse=True)
def hook(hooked: None, settings: Any) -> None:
    calls.clear()
    broken.clear()
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "RESUME": f"{__name__}.go_on"}


@pytest.fixture
def failed(store: DjangoCheckpointStore, session_id: str) -> CheckpointRecord:
    """The last checkpoint of a run whose second node has failed."""
    broken.add("write")
    checkpoint = graph.run(WRITING, checkpoint_store=store, session_id=session_id).checkpoint
    broken.clear()
    return checkpoint


def newest(store: DjangoCheckpointStore, session_id: str) -> CheckpointRecord:
    checkpoint = store.get_latest_checkpoint(session_id)
    assert checkpoint is not None
    return checkpoint


def noted(session_id: str) -> list[tuple[str, str]]:
    """(who, what) of a session's history, the oldest first."""
    entries = LogEntry.objects.filter(object_id=session_id).order_by("pk")
    return [(entry.user.get_username(), entry.get_change_message()) for entry in entries]


def test_a_failed_run_goes_on_after_a_confirmation(
    root: Reader, store: DjangoCheckpointStore, session_id: str, failed: CheckpointRecord
) -> None:
    address = links.checkpoint(failed.id, "go-on")
    assert f'href="{address}"' in root.see(links.session(session_id))
    assert f'href="{address}"' in root.see(links.checkpoint(failed.id))
    page = root.read(address)
    for part in ("write failed", "no write today", "Still to do: publish"):
        assert part in page, part
    assert calls == []
    assert redirected(root.post(address)) == links.session(session_id)
    assert calls == [(failed.id, {}, False)]
    assert run_state.read(newest(store, session_id)).status == "complete"
    # What is done is done: neither a second click nor a later page runs anything.
    for again in (root.post(address, follow=True), root.get(address, follow=True)):
        assert "The run has gone on meanwhile." in again.content.decode()
    last = newest(store, session_id)
    assert f"{last.id}/go-on" not in root.see(links.checkpoint(last.id))
    assert "The run is complete." in root.post(links.checkpoint(last.id, "go-on"), follow=True).content.decode()
    assert len(calls) == 1


def test_a_run_whose_process_died_goes_on_and_the_page_warns(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    results = run_state.write(
        {"plan": {"status": "completed", "output": "a"}}, run="r", complete_everywhere=False, working=["write"]
    )
    dead = store.save_checkpoint(session_id, step=1, node_results=results, pending_nodes=["write", "publish"])
    page = root.read(links.checkpoint(dead.id, "go-on"))
    assert "these nodes were at work" in page
    assert "write" in page
    root.post(links.checkpoint(dead.id, "go-on"))
    assert calls == [(dead.id, {}, False)]


def test_no_transaction_is_around_the_hook(
    root: Reader, failed: CheckpointRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    for alias in connections:
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)
    for page in ("go-on", "answer", "fork", "edit"):
        assert root.get(links.checkpoint(failed.id, page)).status_code in (200, 405)
    root.post(links.checkpoint(failed.id, "go-on"))
    assert calls == [(failed.id, {}, False)]


@pytest.mark.parametrize(
    ("name", "reason"), [("refuse", "Version 2"), ("fail", "ValueError: &lt;publishing&gt;⟨U+202E⟩")]
)
def test_a_hook_that_raises_gives_a_decent_page(
    root: Reader, session_id: str, failed: CheckpointRecord, settings: Any, name: str, reason: str
) -> None:
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "RESUME": f"{__name__}.{name}"}
    response = root.post(links.checkpoint(failed.id, "go-on"), follow=True)
    assert response.status_code == 200
    page = response.content.decode()
    assert "function for going on has failed: " in page
    assert reason in page
    assert "write failed" in page  # it is the session's page
    assert [what.partition(" “")[0] for _, what in noted(session_id)] == [
        "Added resumption",
        "Added failure of the hook",
    ]


def test_a_fork_goes_on_at_once_if_one_likes(
    root: Reader, store: DjangoCheckpointStore, session_id: str, failed: CheckpointRecord
) -> None:
    first = store.list_checkpoints(session_id)[-1]
    assert "Fork and go on" in root.see(links.checkpoint(first.id, "fork"))
    address = redirected(root.post(links.checkpoint(first.id, "fork"), {"title": "Once more", "go_on": "1"}))
    fork = store.list_sessions(limit=1)[0]
    assert address == links.session(fork.id)
    assert [(answers, atomic) for _, answers, atomic in calls] == [({}, False)]
    assert run_state.read(newest(store, fork.id)).status == "complete"
    assert newest(store, session_id).id == failed.id
    redirected(root.post(links.checkpoint(first.id, "fork"), {"title": "Later"}))
    assert len(calls) == 1
    assert "Nothing runs in it before somebody lets it go on." in root.read(address)
    complete = newest(store, fork.id)
    assert "Fork and go on" not in root.see(links.checkpoint(complete.id, "fork"))


def saved(store: DjangoCheckpointStore, session_id: str, description: RunGraph | None, **columns: Any) -> str:
    """A checkpoint of a run of three nodes, all of which have completed."""
    results: Any = {name: {"status": "completed", "output": {"text": name}} for name in ("plan", "write", "publish")}
    stored = run_state.write(results, run="r", complete_everywhere=True, graph=description, input="cats")
    return store.save_checkpoint(session_id, step=3, node_results=stored, **columns).id


def test_an_output_is_edited_and_what_follows_from_it_runs_again(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    checkpoint = graph.run(WRITING, checkpoint_store=store, session_id=session_id).checkpoint
    address = links.checkpoint(checkpoint.id, "edit")
    assert f'href="{address}"' in root.see(links.checkpoint(checkpoint.id))
    page = root.read(address)
    assert "plan plan of" in page
    page = root.see(address, node="plan")
    assert "&quot;plan of &quot;</textarea>" in page
    wrong = root.post(address, {"node": "plan", "output": "{", "title": ""}).content.decode()
    assert "errorlist" in wrong
    redirected(root.post(address, {"node": "plan", "output": '"dogs"', "title": "On dogs", "go_on": "1"}))
    fork = store.list_sessions(limit=1)[0]
    assert fork.title == "On dogs"
    results = run_state.read(newest(store, fork.id)).results
    assert results["write"].get("output") == "write of dogs"
    assert results["publish"]["status"] == "completed"
    assert run_state.read(newest(store, session_id)).results["write"].get("output") == "write of plan of "


def test_where_a_back_edge_leads_from_the_node_the_person_decides(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    back = GraphEdge(source="write", target="plan", has_condition=True, is_back=True, max_iterations=3)
    description = RunGraph(digest="e", nodes=DESCRIPTION.nodes, edges=(*DESCRIPTION.edges, back))
    address = links.checkpoint(saved(store, session_id, description), "edit")
    assert "Then go back to plan" in root.read(address, node="write")
    assert "Then go back" not in root.read(address, node="publish")
    for taken, pending in (({"back-0": "on"}, ["plan", "write", "publish"]), ({}, ["publish"])):
        redirected(root.post(address, {"node": "write", "output": "1", "title": "", **taken}))
        fork = store.list_sessions(limit=1)[0]
        assert newest(store, fork.id).pending_nodes == pending


def test_without_the_graph_no_output_can_be_edited_and_the_page_says_why(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    before = len(store.list_sessions())
    for checkpoint in (
        saved(store, session_id, None),
        saved(store, session_id, RunGraph(digest="f", nodes=(), edges=())),
    ):
        assert root.see(links.checkpoint(checkpoint, "edit"))
    assert "nobody knows here what follows" in root.read(links.checkpoint(saved(store, session_id, None), "edit"))
    assert len(store.list_sessions()) == before


def test_what_people_did_is_told_on_the_session_s_page_and_in_its_history(
    store: DjangoCheckpointStore, session_id: str, failed: CheckpointRecord
) -> None:
    somebody = person(is_superuser=True)
    name = somebody.session["_auth_user_id"]
    somebody.post(links.checkpoint(failed.id, "fork"), {"title": "Another <way>"})
    somebody.post(links.checkpoint(failed.id, "go-on"))
    fork = store.list_sessions(limit=2)[1]
    entries = LogEntry.objects.filter(object_id__in=(session_id, fork.id)).order_by("pk")
    assert [(str(entry.user_id), entry.object_id, entry.get_change_message()) for entry in entries] == [
        (name, session_id, "Added fork “Another <way>”."),
        (name, fork.id, f"Added fork “Find the slow query, main v{failed.version}, step {failed.step}, write”."),
        (name, session_id, f"Added resumption “main v{failed.version}, step {failed.step}, write”."),
    ]
    for page in ("change", "history"):
        told = somebody.read(links.session(session_id, page))
        assert "Added fork “Another <way>”." in told
        assert "Added resumption" in told
        assert entries[0].user.get_username() in told


def test_a_project_whose_times_are_naive_and_local(
    store: DjangoCheckpointStore, session_id: str, failed: CheckpointRecord, settings: Any
) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    for number in range(60):
        store.add_message(session_id, "user", f"Message {number}")
    time.sleep(0.1)  # the session's clock is a millisecond further with each message, and may be ahead of this host's
    somebody = person(is_superuser=True)
    somebody.post(links.checkpoint(failed.id, "fork"), {"title": "Another way"})
    store.add_message(session_id, "user", "The last one")
    pages = [
        links.sessions(),
        *(links.session(session_id, tab) for tab in ("change", "history", "transcript", "timeline")),
    ]
    for page in (*pages, links.checkpoint(failed.id)):
        assert "9 h ago" not in somebody.read(page)
    assert session_id in somebody.see(links.sessions(), active="hour")
    transcript = somebody.read(links.session(session_id, "transcript"))
    assert transcript.index("Message 59") < transcript.index("Another way") < transcript.index("The last one")


@pytest.mark.parametrize(
    ("rights", "allowed"),
    [
        ((), set()),
        (("change_session",), {"go-on", "answer"}),
        (("add_session",), {"fork", "edit"}),
        (("add_session", "change_session"), {"go-on", "answer", "fork", "edit"}),
    ],
)
def test_each_page_needs_its_right_and_says_so(
    store: DjangoCheckpointStore, session_id: str, failed: CheckpointRecord, rights: tuple[str, ...], allowed: set[str]
) -> None:
    reader = person(*VIEW, *rights)
    for page in ("go-on", "answer", "fork", "edit"):
        response = reader.get(links.checkpoint(failed.id, page))
        assert (response.status_code != 403) == (page in allowed), page
        if page not in allowed:
            assert "you need the permission to" in response.content.decode()
        button = f'href="{links.checkpoint(failed.id, page)}"'
        assert (button in reader.see(links.checkpoint(failed.id))) == (page in allowed - {"answer"})
    both = {"fork", "go-on"} <= allowed
    if "fork" in allowed:
        assert ("Fork and go on" in reader.see(links.checkpoint(failed.id, "fork"))) == both
        reader.post(links.checkpoint(failed.id, "fork"), {"title": "x", "go_on": "1"})
        assert len(calls) == both
    told = reader.read(links.checkpoint(failed.id))
    assert ("To fork, you need" in told) == ("fork" not in allowed)
    assert ("To answer, or to let a run go on, you need" in told) == ("go-on" not in allowed)


def test_without_a_hook_nobody_goes_on_and_the_page_says_why(
    root: Reader, failed: CheckpointRecord, session_id: str, store: DjangoCheckpointStore, settings: Any
) -> None:
    settings.OBSKU_CHECKPOINT = {"DATABASE": store.using}
    for address in (links.session(session_id), links.checkpoint(failed.id)):
        page = root.see(address)
        assert "go-on" not in page
        assert "the project has not set OBSKU_CHECKPOINT" in page
    assert "the project has not set" in root.post(links.checkpoint(failed.id, "go-on")).content.decode()


def test_a_nested_graph_goes_on_with_the_one_it_is_in(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    broken.add("inner")
    outer = Graph(entry="sub", nodes={"sub": Graph(entry="inner", nodes={"inner": node})})
    graph.run(outer, checkpoint_store=store, session_id=session_id)
    inner = store.get_latest_checkpoint(session_id, namespace="sub")
    assert inner is not None
    page = root.post(links.checkpoint(inner.id, "go-on"), follow=True).content.decode()
    assert "a part of an outer run" in page
    assert calls == []
