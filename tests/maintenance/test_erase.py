"""What `erase` takes, and what it leaves."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance import erase, export_lines
from obsku_checkpoint.signals import session_deleted
from obsku_checkpoint.store import DjangoCheckpointStore

Make = Callable[[], DjangoCheckpointStore]
FACT = "INSERT INTO facts (id, workspace_id, content, source_session_id, created_at) VALUES (%s, %s, 'c', %s, 1)"


@pytest.fixture
def store(empty_store: Make) -> DjangoCheckpointStore:
    store = empty_store()
    for id, workspace in (("a", "w"), ("b", "w"), ("c", "other")):
        store.create_session("/", id=id, workspace_id=workspace)
        store.add_message(id, "user", "Hello")
        store.save_checkpoint(id, step=0, node_results={})
    with connections[store.using].cursor() as cursor:
        for row in (("1", "w", "a"), ("2", "w", None), ("3", "w", "c"), ("4", "other", "b"), ("5", None, None)):
            cursor.execute(FACT, row)
    return store


def facts(store: DjangoCheckpointStore) -> set[str]:
    with connections[store.using].cursor() as cursor:
        cursor.execute("SELECT id FROM facts")
        return {id for (id,) in cursor.fetchall()}


def test_a_session_goes_with_its_facts(store: DjangoCheckpointStore) -> None:
    deleted: list[str] = []

    def receiver(session_id: str, **_: Any) -> None:
        deleted.append(session_id)

    session_deleted.connect(receiver)
    try:
        erased = erase(store.using, session_ids=["a", "nobody", "a"])
    finally:
        session_deleted.disconnect(receiver)
    assert erased == {"sessions": 1, "messages": 1, "checkpoints": 1, "facts": 1}
    assert deleted == ["a"]
    assert facts(store) == {"2", "3", "4", "5"}
    assert store.get_session("b") is not None


def test_a_workspace_goes_with_its_facts(store: DjangoCheckpointStore) -> None:
    expected = {"sessions": 2, "messages": 2, "checkpoints": 2, "facts": 4}
    before = list(export_lines(store.using))
    assert erase(store.using, workspace_id="w", dry_run=True) == expected
    assert list(export_lines(store.using)) == before
    assert erase(store.using, workspace_id="w") == expected
    assert facts(store) == {"5"}
    assert [session.id for session in store.list_sessions()] == ["c"]
    assert erase(store.using, workspace_id="w") == {}


def test_one_of_both_is_named(store: DjangoCheckpointStore) -> None:
    for which in ({}, {"session_ids": ["a"], "workspace_id": "w"}):
        with pytest.raises(InvalidRecordError, match="session_ids"):
            erase(store.using, **which)  # type: ignore[arg-type]  # of both types
    with pytest.raises(CommandError, match="--session"):
        call_command("checkpoints", "erase", "--database", store.using)


def test_the_command(store: DjangoCheckpointStore) -> None:
    stdout = io.StringIO()
    arguments = ["checkpoints", "erase", "--session", "a", "--session", "b", "--database", store.using]
    call_command(*arguments, stdout=stdout)
    assert stdout.getvalue() == "Erased: 2 sessions, 2 messages, 2 checkpoints, 2 facts.\n"
