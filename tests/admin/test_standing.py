"""Which sessions wait and failed: found within bounds, and for actions on all pages exactly those."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError

from obsku_checkpoint.admin.session import failures, waiting
from obsku_checkpoint.admin.session.admin import SessionAdmin
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links
from tests.admin.test_session_list import rows

FAILED: Any = {"a": {"status": "failed", "error": "no"}}
DONE: Any = {"a": {"status": "completed", "output": "x" * 2000}}
ASKS: Any = {"a": {"status": "pending", "interrupt": {"reason": "Go on?"}}}


@pytest.fixture
def made(store: DjangoCheckpointStore, workspace: str) -> Callable[..., str]:
    def make(**checkpoint: Any) -> str:
        id = store.create_session("/", workspace_id=workspace).id
        store.save_checkpoint(id, step=1, **checkpoint)
        return id

    return make


def test_failures_are_looked_for_so_far_and_further(
    root: Reader, made: Callable[..., str], workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [made(node_results=FAILED if number % 3 == 0 else DONE) for number in range(9)]
    monkeypatch.setattr(failures, "SESSIONS", 4)
    monkeypatch.setattr(failures, "STEP", 2)
    query, found = {"workspace": workspace, "state": "failed"}, list[str]()
    for _page in range(3):
        page = root.see(links.sessions(), **query)
        found += rows(page)
        further = re.search(r'href="\?([^"]*before=[^"]*)"[^>]*>Look further', page)
        assert bool(further) is ("Sessions looked at for this page: 4." in page)
        if not further:
            break
        query = dict(part.split("=", 1) for part in further[1].replace("&amp;", "&").replace("%2C", ",").split("&"))
    assert found == [ids[6], ids[3], ids[0]]


def test_large_results_are_not_searched_and_the_bytes_of_a_page_are_bounded(
    root: Reader,
    made: Callable[..., str],
    workspace: str,
    monkeypatch: pytest.MonkeyPatch,
    statements: Callable[[Callable[[], object]], list[str]],
) -> None:
    failed, _done = made(node_results=FAILED | {"b": DONE["a"]}), made(node_results=DONE)
    monkeypatch.setattr(failures, "LARGE", 100)
    sent = statements(lambda: rows(root.see(links.sessions(), workspace=workspace, state="failed")))
    assert not [sql for sql in sent if '"status":"failed"' in sql]
    assert rows(root.see(links.sessions(), workspace=workspace, state="failed")) == [failed]
    monkeypatch.setattr(failures, "LARGE", 1_000_000)
    monkeypatch.setattr(failures, "BYTES", 1)
    monkeypatch.setattr(failures, "STEP", 1)
    page = root.see(links.sessions(), workspace=workspace, state="failed")
    assert rows(page) == []
    assert "Sessions looked at for this page: 1." in page


def test_who_waits_is_told_without_reading_results(
    root: Reader,
    made: Callable[..., str],
    store: DjangoCheckpointStore,
    workspace: str,
    monkeypatch: pytest.MonkeyPatch,
    statements: Callable[[Callable[[], object]], list[str]],
    settings: Any,
) -> None:
    asked = made(node_results=ASKS, pending_nodes=["a"], source="interrupt", node_id="a")
    question = store.get_latest_checkpoint(asked)
    middle = store.save_checkpoint(made(node_results={}), step=2, node_results=DONE, pending_nodes=["b"])
    assert question
    idle = [store.fork(middle.id).id for _ in range(5)]
    fork = store.fork(question.id).id
    page = root.see(links.waiting())
    assert page.count("Go on?") >= 2
    assert links.session(asked) in page
    assert links.session(fork) in page
    assert not any(links.session(id) in page for id in idle)
    for state in ("waiting", "unfinished"):
        sent = statements(lambda state=state: root.see(links.sessions(), workspace=workspace, state=state))  # type: ignore[misc]  # a default binds it
        first = next(sql for sql in sent if "pending_nodes" in sql)
        assert "node_results" not in first
    monkeypatch.setattr(waiting, "LOOKED_AT", 1)
    assert "More may be waiting" in root.read(links.waiting())
    monkeypatch.setattr("obsku_checkpoint.admin.runs.WHOLE_IN_SUM", -1)
    monkeypatch.setattr("obsku_checkpoint.admin.runs.TAKEN_APART", -1)
    monkeypatch.setattr(waiting, "LOOKED_AT", 2000)
    assert links.session(asked) in root.see(links.waiting())


#: the workspaces that may be seen
seen: list[str] = []


def scope(request: Any) -> list[str]:
    return seen


def test_it_is_not_said_that_nobody_waits_where_not_all_were_looked_at(
    root: Reader,
    made: Callable[..., str],
    store: DjangoCheckpointStore,
    workspace: str,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    monkeypatch.setitem(settings.OBSKU_CHECKPOINT, "WORKSPACE_SCOPE", f"{__name__}.scope")
    monkeypatch.setattr(f"{__name__}.seen", [workspace])
    middle = store.save_checkpoint(made(node_results={}), step=2, node_results=DONE, pending_nodes=["b"])
    for _ in range(2):
        store.fork(middle.id)  # may ask, by its columns
    assert "No session waits for a person." in root.read(links.waiting())
    monkeypatch.setattr(waiting, "LOOKED_AT", 1)
    page = root.see(links.waiting())
    assert "More may be waiting" in page
    assert "No session waits" not in page
    assert f'href="{links.sessions()}?state=waiting"' in page


@pytest.mark.parametrize("state", ["finished", "failed", "waiting", "unfinished", "new"])
def test_an_action_on_all_pages_of_a_state_takes_those_that_stand_so(
    root: Reader, store: DjangoCheckpointStore, made: Callable[..., str], workspace: str, state: str
) -> None:
    ids = {
        "finished": made(node_results=DONE),
        "failed": made(node_results=FAILED, pending_nodes=["b"]),
        "waiting": made(node_results=ASKS, pending_nodes=["a"], source="interrupt", node_id="a"),
        "unfinished": made(node_results=DONE, pending_nodes=["b"]),
        "new": store.create_session("/", workspace_id=workspace).id,
    }
    chosen = {"action": "export_selected", "select_across": "1", "index": "0", "_selected_action": [ids[state]]}
    response: Any = root.post(f"{links.sessions()}?workspace={workspace}&state={state}", chosen)
    lines = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert {line["id"] for line in lines if line.get("table") == "sessions"} == {ids[state]}


@pytest.mark.parametrize("state", ["finished", "failed"])
def test_an_action_on_more_than_can_be_looked_at_does_nothing(
    root: Reader,
    store: DjangoCheckpointStore,
    made: Callable[..., str],
    workspace: str,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
) -> None:
    for _ in range(4):
        made(node_results=DONE)
    monkeypatch.setattr("obsku_checkpoint.admin.session.change_list.ACROSS", 2)
    monkeypatch.setattr(failures, "SESSIONS", 2)
    monkeypatch.setattr(failures, "STEP", 2)
    chosen = {"action": "delete_selected", "select_across": "1", "post": "yes", "_selected_action": ["x"]}
    page = root.post(f"{links.sessions()}?workspace={workspace}&state={state}", chosen, follow=True).content.decode()
    assert "narrow the list by its filters" in page
    assert len(store.list_sessions(workspace)) == 4


def test_the_first_page_of_the_admin_says_how_many_wait(
    root: Reader, made: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made(node_results=ASKS, pending_nodes=["a"], source="interrupt", node_id="a")
    made(node_results=FAILED)
    for address in ("/admin/", "/admin/obsku_checkpoint/"):
        page = root.read(address)
        assert re.search(r"\d+ waiting for a person", page)
        assert re.search(r"\d+ failed", page)
        assert page.count("of the sessions that were active last") == 1

    def away(*_arguments: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(SessionAdmin, "counts_by_state", away)
    assert "waiting for a person" not in root.read("/admin/")


def test_the_list_shows_the_input_where_nothing_is_in_the_way(
    root: Reader, store: DjangoCheckpointStore, made: Callable[..., str], workspace: str
) -> None:
    talk = store.create_session("/", workspace_id=workspace).id
    store.add_message(talk, "user", "What is the weather?")
    store.add_message(talk, "assistant", "Rain.")
    run: Any = {"#run": {"status": "completed", "output": {"run": "r", "input": {"topic": "tea"}}}, **DONE}
    made(node_results=run)
    page = root.read(links.sessions(), workspace=workspace)
    assert "What is the weather?" in page
    assert "Rain." not in page
    assert "topic: “tea”" in page
