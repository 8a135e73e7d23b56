"""The list of sessions."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest

from obsku_checkpoint.admin.links import from_path
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.maintenance import newest
from obsku_checkpoint.models import Session
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links, person, text

Many = Callable[[int, str | None], list[str]]
LINK = re.compile(r'class="field-name"[^>]*><a href="[^"]*?/session/([^/]+)/change/')


def rows(page: str) -> list[str]:
    """The ids of the sessions on the page, in order."""
    return [from_path(unquote(html.unescape(segment))) for segment in LINK.findall(page)]


@pytest.fixture
def many(store: DjangoCheckpointStore) -> Iterator[Many]:
    """Makes sessions, the newest first, newer than any other test's; every three share a millisecond."""
    made: list[Session] = []

    def make(count: int, workspace: str | None) -> list[str]:
        moments = [datetime.fromtimestamp(4_000_000_000 - number // 3, UTC) for number in range(count)]
        new = [
            Session(id=new_id(), directory="/", workspace_id=workspace, created_at=moment, updated_at=moment)
            for moment in moments
        ]
        made.extend(Session.objects.using(store.using).bulk_create(new))
        return [each.id for each in sorted(new, key=lambda each: (each.updated_at, each.id), reverse=True)]

    yield make
    Session.objects.using(store.using).filter(pk__in=[each.pk for each in made]).delete()


def row_of(page: str, id: str) -> str:
    (row,) = [row for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if id in row]
    return text(row)


def test_a_row_tells_the_session_in_figures(
    root: Reader, store: DjangoCheckpointStore, session_id: str, workspace: str
) -> None:
    store.add_message(session_id, "user", "hello", tokens_in=1200)
    store.add_message(session_id, "assistant", "hello", tokens_in=300, tokens_out=34)
    store.save_checkpoint(session_id, step=1, node_results={}, pending_nodes=["fix"])
    row = row_of(root.see(links.sessions(), workspace=workspace), session_id)
    for part in (
        "Find the slow query",
        "working, last sign",
        workspace,
        "/srv/shop",
        "2 messages 1 checkpoint 1,500 / 34 tokens",
    ):
        assert part in row


def test_badges_say_how_a_session_ended(root: Reader, store: DjangoCheckpointStore, workspace: str) -> None:
    def session(**checkpoint: Any) -> tuple[str, str]:
        id = store.create_session("/", workspace_id=workspace).id
        return id, store.save_checkpoint(id, step=1, **{"node_results": {}, **checkpoint}).id

    asking, asked = session(source="interrupt", node_id="approve", pending_nodes=["approve"])
    failed, _ = session(node_results={"fix": {"status": "failed", "error": "no"}})
    finished, checkpoint = session(node_results={"fix": {"status": "completed", "output": {"status": "failed"}}})
    fork = store.fork(checkpoint).id
    empty = store.create_session("/", workspace_id=workspace).id
    answered, _ = session(source="interrupt", node_id="approve")
    store.save_checkpoint(answered, step=2, node_results={})
    elsewhere, _ = session(source="interrupt", node_id="approve", namespace="sub")
    store.save_checkpoint(elsewhere, step=5, node_results={})

    page = root.see(links.sessions(), workspace=workspace)
    told = {id: row_of(page, id) for id in (asking, failed, finished, fork, empty, answered, elsewhere)}
    assert "waiting for a person" in told[asking]
    assert "waiting for a person" in told[elsewhere]
    assert "failed" in told[failed]
    assert "failed" not in told[finished]
    assert "finished" in told[finished]
    assert "fork" not in told[finished]
    assert "finished fork" in told[fork]
    assert "no checkpoint" in told[empty]
    assert "finished" in told[answered]
    assert asked


@pytest.mark.parametrize("filtered", [True, False], ids=["one workspace", "all"])
def test_pages_go_on_where_the_last_one_ended(
    root: Reader, store: DjangoCheckpointStore, many: Many, workspace: str, filtered: bool
) -> None:
    wanted = set(many(80, workspace)) | set(many(40, None)) if not filtered else set(many(120, workspace))
    query, seen = {"workspace": workspace} if filtered else {}, []
    for _ in range(4):
        page = root.see(links.sessions(), **query)
        seen += rows(page)
        older = re.search(r'href="\?([^"]*before=[^"]*)"[^>]*>Older', page)
        if not older or wanted <= set(seen):
            break
        query = dict(part.split("=", 1) for part in older[1].replace("&amp;", "&").replace("%2C", ",").split("&"))
    assert len(seen) == len(set(seen))
    assert wanted <= set(seen)
    found = Session.objects.using(store.using).in_bulk(seen)
    assert seen == sorted(seen, key=lambda id: (found[id].updated_at, id), reverse=True)


def test_the_newest_of_all_workspaces_are_the_same_without_the_index(
    root: Reader, many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {id for number in range(4) for id in many(30, f"space-{number}" if number else None)}
    with_index = rows(root.see(links.sessions()))
    monkeypatch.setattr(newest, "WORKSPACES", 0)
    assert rows(root.see(links.sessions())) == with_index
    assert set(with_index) <= made


def test_the_statements_do_not_grow_with_the_page_and_none_counts_the_table(
    root: Reader,
    many: Many,
    statements: Callable[[Callable[[], object]], list[str]],
    workspace: str,
) -> None:
    many(1, workspace)
    few = statements(lambda: root.see(links.sessions(), workspace=workspace))
    many(60, workspace)
    sent = statements(lambda: root.see(links.sessions(), workspace=workspace))
    assert len(sent) == len(few) <= 7
    assert not [sql for sql in sent if re.search(r'COUNT\(\*\).*FROM "?sessions', sql)]


def test_filters(root: Reader, store: DjangoCheckpointStore, workspace: str) -> None:
    old, new = (store.create_session("/", workspace_id=workspace).id for _ in range(2))
    Session.objects.using(store.using).filter(pk=old).update(updated_at=datetime(2020, 1, 1, tzinfo=UTC))

    def found(**query: str) -> list[str]:
        return rows(root.see(links.sessions(), workspace=workspace, **query))

    assert found() == [new, old]
    assert found(active="week") == [new]
    assert found(active="nonsense", state="nonsense") == [new, old]
    assert new not in rows(root.see(links.sessions(), workspace="\x1fnone"))


def test_sessions_are_found_by_how_they_stand(
    root: Reader, store: DjangoCheckpointStore, workspace: str, settings: Any
) -> None:
    failed: Any = {"a": {"status": "failed", "error": "no", "startedAt": 1}}
    asks: Any = {"a": {"status": "pending", "interrupt": {"reason": "Go on?"}}}
    words: Any = {"a": {"status": "completed", "output": '"status":"failed" "interrupt": "working":['}}
    made = {
        "failed": [{"node_results": failed}],
        "waiting": [{"node_results": asks, "pending_nodes": ["a"], "source": "interrupt", "node_id": "a"}],
        "unfinished": [{"node_results": {}, "pending_nodes": ["a"]}],
        "finished": [{"node_results": failed}, {"node_results": words}],
        "new": [],
    }
    ids: dict[str, str] = {}
    for state, checkpoints in made.items():
        ids[state] = store.create_session("/", title=state, workspace_id=workspace).id
        for checkpoint in checkpoints:
            store.save_checkpoint(ids[state], step=1, **checkpoint)
    for state, id in ids.items():
        assert rows(root.see(links.sessions(), workspace=workspace, state=state)) == [id], state
    page = root.see(links.sessions(), workspace=workspace)
    assert "a: no" in row_of(page, ids["failed"])
    assert "Go on?" in row_of(page, ids["waiting"])
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "WORKSPACE_SCOPE": f"{__name__}.only"}
    ONLY[:] = [workspace]
    index = root.read("/admin/obsku_checkpoint/")
    for part in ("1 waiting for a person", "1 failed", "1 working"):
        assert part in index


ONLY: list[str] = []


def only(request: Any) -> list[str]:
    return ONLY


def test_search(root: Reader, session_id: str, workspace: str) -> None:
    def found(query: str) -> list[str]:
        return rows(root.see(links.sessions(), workspace=workspace, q=query))

    assert found("SLOW QUERY") == found("/srv/sh") == found(session_id) == [session_id]
    assert found("%") == []


@pytest.mark.parametrize("place", ["", "x", "1", "9" * 30 + ",x", "-1,", "1,\x00"])
def test_a_place_of_nobodys_making_is_no_error(root: Reader, place: str) -> None:
    root.see(links.sessions(), before=place)


def test_a_session_whose_time_is_corrupt_is_listed(
    root: Reader, session_id: str, workspace: str, corrupt: Callable[..., None]
) -> None:
    corrupt("sessions", "updated_at", session_id, 2**62)
    assert str(2**62) in row_of(root.see(links.sessions(), workspace=workspace), session_id)
    corrupt("sessions", "updated_at", session_id, 1)


def test_without_permission_there_is_no_list(hooked: None) -> None:
    person().see(links.sessions(), status=403)
    person().see(links.waiting(), status=403)
