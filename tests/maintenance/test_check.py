"""What `check` finds, and that it finds nothing in what the store writes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from obsku_checkpoint.maintenance import check
from obsku_checkpoint.store import DjangoCheckpointStore

Make = Callable[[], DjangoCheckpointStore]


@pytest.fixture
def store(empty_store: Make) -> DjangoCheckpointStore:
    store = empty_store()
    for id in ("a", "b"):
        store.create_session("/", id=id, metadata={"n": 1})
        call = {"name": "f", "toolUseId": "1", "input": {}}
        store.add_message(id, "assistant", tool_calls=[call])  # type: ignore[list-item]  # a dict of that shape
        store.add_message(id, "tool", tool_results=[{"toolUseId": "1", "content": "x"}])
        for step in range(3):
            store.save_checkpoint(id, step=step, node_results={"n": {"status": "completed"}}, id=f"{id}{step}")
    return store


def execute(store: DjangoCheckpointStore, sql: str, *parameters: Any) -> None:
    with connections[store.using].cursor() as cursor:
        cursor.execute(sql, parameters)


def test_what_the_store_writes_is_sound(store: DjangoCheckpointStore) -> None:
    store.fork("a1")
    assert list(check(store.using)) == []


@pytest.mark.parametrize(
    ("sql", "kind", "level", "part"),
    [
        ("sessions SET metadata = '{' WHERE id = 'a'", "unreadable", "fault", "sessions.metadata a"),
        ("sessions SET updated_at = 99999999999999 WHERE id = 'a'", "time", "fault", "ahead"),
        ("messages SET tool_calls = '[{}]' WHERE role = 'assistant' AND session_id = 'a'", "shape", "fault", "name"),
        ("messages SET role = 'robot' WHERE role = 'tool' AND session_id = 'a'", "shape", "fault", "role"),
        ("messages SET tool_results = NULL WHERE session_id = 'a'", "dangling", "note", "has no result"),
        ("messages SET created_at = 1 WHERE session_id = 'a' AND role = 'tool'", "order", "note", "order of ids"),
        ("checkpoints SET node_results = '[]' WHERE id = 'a1'", "shape", "fault", "node_results"),
        ("checkpoints SET source = 'moon' WHERE id = 'a1'", "shape", "fault", "source"),
        ("checkpoints SET version = 9 WHERE id = 'a2'", "version", "note", "version 8"),
        ("checkpoints SET parent_id = 'nobody' WHERE id = 'a2'", "lineage", "note", "nobody is gone"),
        ("checkpoints SET parent_id = 'a' || (2 - version) WHERE id < 'a2'", "lineage", "fault", "own ancestor"),
        ("facts SET embedding = 'x'", "unreadable", "fault", "facts.embedding f"),
    ],
)
def test_a_fault_is_found_and_named(store: DjangoCheckpointStore, sql: str, kind: str, level: str, part: str) -> None:
    execute(store, "INSERT INTO facts (id, content, created_at) VALUES ('f', 'c', 1)")
    execute(store, f"UPDATE {sql}")
    findings = list(check(store.using))
    assert [one.level for one in findings if one.kind == kind and part in str(one)] == [level]


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("DROP INDEX idx_messages_session", "lacks the index idx_messages_session (session_id, created_at)"),
        ("ALTER TABLE messages ADD COLUMN colour text", "colour: is a column that the model does not have"),
        ("ALTER TABLE entities RENAME TO entities_of_old", "entities: the table is missing"),
        ("ALTER TABLE facts RENAME COLUMN confidence TO trust", "facts: lacks confidence"),
    ],
)
def test_the_tables_are_those_of_the_models(store: DjangoCheckpointStore, sql: str, part: str) -> None:
    execute(store, sql)
    assert any(part in str(finding) for finding in check(store.using))


def test_a_sequence_behind_its_rows(store: DjangoCheckpointStore) -> None:
    if connections[store.using].vendor == "sqlite":
        execute(store, "UPDATE messages SET id = id + 2000000000")
        assert "all ids of messages are used up" in str(next(check(store.using)))
    else:
        execute(store, "SELECT setval(pg_get_serial_sequence('messages', 'id'), 1)")
        assert "is behind" in str(next(check(store.using)))


def test_a_sample(store: DjangoCheckpointStore) -> None:
    execute(store, "UPDATE sessions SET metadata = '{'")
    assert len(list(check(store.using, sample=1))) == 1
    assert len(list(check(store.using, sample=9))) == 2


def test_the_exit_status_says_whether_there_is_a_fault(store: DjangoCheckpointStore) -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    call_command("checkpoints", "check", "--database", store.using, stdout=stdout, stderr=stderr)
    assert stdout.getvalue() == "0 faults, 0 notes.\n"
    execute(store, "UPDATE sessions SET metadata = '{' WHERE id = 'a'")
    with pytest.raises(SystemExit) as exit:
        call_command("checkpoints", "check", "--json", "--database", store.using, stdout=stdout, stderr=stderr)
    assert exit.value.code == 1
    figures = json.loads(stdout.getvalue().splitlines()[1])
    assert (figures["faults"], figures["findings"][0]["session_id"]) == (1, None)
