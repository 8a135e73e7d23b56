"""Two people and an agent: nobody overwrites unseen what others wrote, and what the log says has happened."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.db import connections

from obsku_checkpoint import signals
from obsku_checkpoint.records import SessionRecord
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links, redirected


def form(reader: Reader, session_id: str) -> dict[str, str]:
    """The form as it is shown."""
    shown = reader.get(links.session(session_id)).context["adminform"].form
    return {name: shown[name].value() or "" for name in ("title", "metadata", "seen")}


def stored(store: DjangoCheckpointStore, session_id: str) -> SessionRecord:
    session = store.get_session(session_id)
    assert session is not None
    return session


def test_what_others_changed_and_the_person_did_not_stays(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    store.update_session(session_id, metadata={"a": 1})
    seen = form(root, session_id)
    store.update_session(session_id, title="By somebody else")
    redirected(root.post(links.session(session_id), seen | {"metadata": '{"a": 2}'}))
    assert (stored(store, session_id).title, stored(store, session_id).metadata) == ("By somebody else", {"a": 2})
    seen = form(root, session_id)
    store.update_session(session_id, metadata={"a": 2, "agent": {"wrote"}})
    redirected(root.post(links.session(session_id), seen | {"title": "Mine"}))
    assert stored(store, session_id).metadata == {"a": 2, "agent": {"wrote"}}
    assert stored(store, session_id).title == "Mine"
    last = LogEntry.objects.filter(object_id=session_id).latest("pk")
    assert last.get_change_message() == "Changed Title."


@pytest.mark.parametrize(
    ("field", "theirs", "mine"), [("title", "Theirs", "Mine"), ("metadata", {"agent": 1}, '{"a": 2}')]
)
def test_what_both_have_changed_is_overwritten_only_once_it_was_seen(
    root: Reader, store: DjangoCheckpointStore, session_id: str, field: str, theirs: Any, mine: str
) -> None:
    store.update_session(session_id, metadata={"a": 1})
    seen = form(root, session_id)
    store.update_session(session_id, **{field: theirs})
    response: Any = root.post(links.session(session_id), seen | {field: mine})
    page = response.content.decode()
    assert "This was changed meanwhile, to: " in page
    assert ("Theirs" if field == "title" else "agent") in page
    assert getattr(stored(store, session_id), field) == theirs
    again = response.context["adminform"].form
    posted = {name: again[name].value() for name in ("title", "metadata", "seen")}
    assert posted[field] == mine
    redirected(root.post(links.session(session_id), posted))
    assert getattr(stored(store, session_id), field) == ("Mine" if field == "title" else {"a": 2})


def test_both_may_have_written_the_same(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    seen = form(root, session_id)
    store.update_session(session_id, title="One title")
    redirected(root.post(links.session(session_id), seen | {"title": "One title"}))
    for nonsense in ("", "{", "[]", '"x"', "null"):
        redirected(root.post(links.session(session_id), seen | {"seen": nonsense, "title": "Another"}))
    assert stored(store, session_id).title == "Another"


def test_a_session_that_is_gone_is_said_to_be_gone(
    root: Reader, store: DjangoCheckpointStore, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = store.create_session("/", workspace_id=workspace)
    seen = form(root, session.id)
    store.delete_session(session.id)
    page = root.post(links.session(session.id), seen | {"title": "x"}, follow=True).content.decode()
    assert "Perhaps it was deleted?" in page


@pytest.fixture
def many(store: DjangoCheckpointStore, workspace: str) -> list[str]:
    """More sessions than a page of the list has."""
    return [store.create_session("/", workspace_id=workspace).id for _ in range(120)]


def test_the_sessions_of_all_pages_are_deleted_at_once(
    root: Reader, store: DjangoCheckpointStore, workspace: str, many: list[str]
) -> None:
    elsewhere = store.create_session("/", workspace_id=f"{workspace}-other").id
    address = f"{links.sessions()}?workspace={workspace}"
    page = root.see(address)
    assert "Select the sessions of all pages" in page
    ticked = re.findall(r'name="_selected_action" value="([^"]+)"', page)
    assert len(ticked) == 50
    chosen: Any = {"action": "delete_selected", "select_across": "1", "index": "0", "_selected_action": ticked[:1]}
    page = root.post(address, chosen).content.decode()
    assert "Sessions: 120" in page
    assert "and 20 more" in page
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    assert len(re.findall("<input", page)) < 20
    begun = store.create_session("/", workspace_id=workspace).id  # by an agent, while the person reads the page
    response = root.post(address, fields, follow=True)
    assert "120 sessions were deleted." in response.content.decode()
    assert [session.id for session in store.list_sessions(workspace)] == [begun]
    assert store.get_session(elsewhere) is not None
    assert LogEntry.objects.filter(object_id__in=many, action_flag=DELETION).count() == 120


def test_the_sessions_of_all_pages_are_exported(root: Reader, workspace: str, many: list[str]) -> None:
    chosen = {"action": "export_selected", "select_across": "1", "index": "0", "_selected_action": many[:1]}
    response: Any = root.post(f"{links.sessions()}?workspace={workspace}", chosen)
    lines = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert {line["id"] for line in lines if line.get("table") == "sessions"} == set(many)


@pytest.fixture
def blocking(store: DjangoCheckpointStore, many: list[str]) -> Iterator[None]:
    """A row of another program's, which refers to the 60th session."""
    with connections[store.using].cursor() as cursor:
        cursor.execute("CREATE TABLE blocking (session_id TEXT REFERENCES sessions (id))")
        cursor.execute("INSERT INTO blocking VALUES (%s)", [many[60]])
    yield
    with connections[store.using].cursor() as cursor:
        cursor.execute("DROP TABLE blocking")


def test_a_deletion_that_fails_deletes_nothing_and_is_not_logged(
    root: Reader, store: DjangoCheckpointStore, workspace: str, many: list[str], blocking: None
) -> None:
    chosen = {"action": "delete_selected", "select_across": "1", "post": "yes", "_selected_action": many[:1]}
    page = root.post(f"{links.sessions()}?workspace={workspace}", chosen, follow=True).content.decode()
    assert "One of the sessions cannot be deleted" in page
    page = root.post(links.session(many[0], "delete"), {"post": "yes"}, follow=True).content.decode()
    assert "was deleted" in page
    assert len(store.list_sessions(workspace)) == 119
    assert LogEntry.objects.filter(object_id__in=many, action_flag=DELETION).count() == 1


def test_many_are_deleted_in_few_statements_and_each_is_announced(
    root: Reader,
    store: DjangoCheckpointStore,
    workspace: str,
    many: list[str],
    statements: Callable[[Callable[[], object]], list[str]],
) -> None:
    announced = []

    def hear(session_id: str, **_: Any) -> None:
        announced.append((session_id, store.get_session(session_id)))

    chosen = {"action": "delete_selected", "select_across": "1", "post": "yes", "_selected_action": many[:1]}
    signals.session_deleted.connect(hear)
    try:
        address = f"{links.sessions()}?workspace={workspace}"
        sent = statements(lambda: root.post(address, chosen))
    finally:
        signals.session_deleted.disconnect(hear)
    assert sorted(announced) == sorted((id, None) for id in many)
    reading = [sql for sql in sent if "WHERE id = " in sql]  # what the receiver asked
    assert len(sent) - len(reading) < 20


def test_no_more_than_so_many_are_deleted_at_once(
    root: Reader, store: DjangoCheckpointStore, workspace: str, many: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("obsku_checkpoint.admin.session.delete_selected.MOST", 100)
    chosen = {"action": "delete_selected", "select_across": "1", "post": "yes", "_selected_action": many[:1]}
    page = root.post(f"{links.sessions()}?workspace={workspace}", chosen, follow=True).content.decode()
    assert "At most 100 sessions are deleted at once" in page
    assert len(store.list_sessions(workspace)) == 120
