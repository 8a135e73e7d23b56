"""A database that may only be read: every page is seen, and what cannot be written is said in words."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from obsku_checkpoint import graph
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links
from tests.admin.test_going_on import WRITING, broken

PAGES = ("change", "transcript", "timeline", "forks", "checkpoints", "live", "export", "delete", "history")


@pytest.fixture
def failed(store: DjangoCheckpointStore, session_id: str) -> CheckpointRecord:
    broken.add("write")
    checkpoint = graph.run(WRITING, checkpoint_store=store, session_id=session_id).checkpoint
    broken.clear()
    return checkpoint


@pytest.fixture
def read_only(store: DjangoCheckpointStore, failed: CheckpointRecord) -> Iterator[None]:
    """The connection is one of a role with SELECT only."""
    connection = connections[store.using]
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no roles")
    role = f"reads_{uuid.uuid4().hex}"  # roles belong to the server, which other processes' tests share
    on = [
        f"CREATE ROLE {role}",
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        f"SET ROLE {role}",
    ]
    off = ["RESET ROLE", f"DROP OWNED BY {role}", f"DROP ROLE {role}"]
    with connection.cursor() as cursor:
        for statement in on:
            cursor.execute(statement)
    yield
    with connection.cursor() as cursor:
        for statement in off:
            cursor.execute(statement)


def go_on(checkpoint: CheckpointRecord, answers: dict[str, Any]) -> None:
    graph.resume(WRITING, checkpoint_store=DjangoCheckpointStore(), checkpoint=checkpoint, answers=answers)


@pytest.fixture
def reader(root: Reader, settings: Any, read_only: None) -> Reader:
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "RESUME": f"{__name__}.go_on"}
    return root


def test_every_page_is_seen(reader: Reader, session_id: str, failed: CheckpointRecord, workspace: str) -> None:
    for page in PAGES:
        assert reader.see(links.session(session_id, page))
    for page in ("change", "compare", "fork", "go-on", "raw?part=node_results"):
        name, _, query = page.partition("?")
        assert reader.get(f"{links.checkpoint(failed.id, name)}?{query}").status_code == 200
    for address in (links.sessions(), f"{links.sessions()}?workspace={workspace}", links.waiting()):
        assert reader.see(address)


@pytest.mark.parametrize("what", ["form", "delete", "delete_selected", "fork", "edit", "go on"])
def test_what_cannot_be_written_is_said_in_words(
    reader: Reader, store: DjangoCheckpointStore, session_id: str, failed: CheckpointRecord, workspace: str, what: str
) -> None:
    selected = {"action": "delete_selected", "post": "yes", "_selected_action": [session_id]}
    address, data = {
        "form": (links.session(session_id), {"title": "Another", "metadata": ""}),
        "delete": (links.session(session_id, "delete"), {"post": "yes"}),
        "delete_selected": (f"{links.sessions()}?workspace={workspace}", selected),
        "fork": (links.checkpoint(failed.id, "fork"), {"title": "x"}),
        "edit": (links.checkpoint(failed.id, "edit"), {"node": "plan", "output": "1", "title": ""}),
        "go on": (links.checkpoint(failed.id, "go-on"), {}),
    }[what]
    response = reader.post(address, data, follow=True)
    assert response.status_code == 200
    page = response.content.decode()
    assert "permission denied" in page
    assert "cannot serve the store" in page
    assert "was deleted" not in page
    session = store.get_session(session_id)
    assert session is not None
    assert session.title == "Find the slow query"
