"""Living with the npm package in one database: adopt its tables, read its rows, write rows that it can read."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from obsku_checkpoint.postgres import PostgresCheckpointStore

HERE = Path(__file__).parent / "interop"
EXPECTED = json.loads((HERE / "expected.json").read_text())
SESSIONS = [session["id"] for session in EXPECTED["sessions"]]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def upstream(postgres_database: Any) -> Iterator[tuple[PostgresCheckpointStore, str]]:
    url = postgres_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((HERE / "upstream_database.sql").read_text())
    with PostgresCheckpointStore(url) as store:
        store.setup()
        yield store, url


@pytest.fixture
def store(upstream: tuple[PostgresCheckpointStore, str]) -> PostgresCheckpointStore:
    return upstream[0]


def value(expected: Any) -> Any:
    """The Python value that stands for one of expected.json."""
    match expected:
        case {"$date": text}:
            return datetime.fromisoformat(text)
        case {"$set": items}:
            return {value(item) for item in items}
        case {"$map": pairs}:
            return {value(key): value(item) for key, item in pairs}
        case {"$bytes": text}:
            return base64.b64decode(text)
        case dict():
            return {key: value(item) for key, item in expected.items()}
        case list():
            return [value(item) for item in expected]
    return expected


def columns(expected: dict[str, Any], *camel: str) -> dict[str, Any]:
    """The fields of a record, from the npm package's: snake_case, and None for what is absent there."""
    fields = {}
    for name in camel:
        snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
        item = value(expected.get(name))
        fields[snake] = EPOCH + timedelta(milliseconds=item) if name in ("createdAt", "updatedAt") else item
    return fields


def fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def test_every_session_is_read_as_the_npm_package_reads_it(store: PostgresCheckpointStore) -> None:
    names = ("id", "workspaceId", "title", "directory", "createdAt", "updatedAt", "metadata")
    assert [fields(session) for session in store.list_sessions()] == [
        columns(session, *names) for session in EXPECTED["sessions"]
    ]


@pytest.mark.parametrize("session_id", SESSIONS)
def test_every_message_is_read_as_the_npm_package_reads_it(store: PostgresCheckpointStore, session_id: str) -> None:
    names = ("id", "sessionId", "role", "content", "toolCalls", "toolResults", "tokensIn", "tokensOut", "createdAt")
    assert [fields(message) for message in store.get_messages(session_id)] == [
        columns(message, *names) for message in EXPECTED["messages"][session_id]
    ]


@pytest.mark.parametrize("session_id", SESSIONS)
def test_every_checkpoint_is_read_as_the_npm_package_reads_it(store: PostgresCheckpointStore, session_id: str) -> None:
    names = (
        *("id", "sessionId", "namespace", "parentId", "version", "step", "nodeId"),
        *("nodeResults", "pendingNodes", "cycleState", "source", "createdAt"),
    )
    expected = [columns(checkpoint, *names) for checkpoint in EXPECTED["checkpoints"][session_id]]
    ours = [fields(checkpoint) for checkpoint in store.list_checkpoints(session_id)]
    assert sorted(ours, key=lambda one: one["id"]) == sorted(expected, key=lambda one: one["id"])
    assert [one["created_at"] for one in ours] == sorted((one["created_at"] for one in expected), reverse=True)


def test_the_newest_checkpoint_is_the_last_written_where_the_npm_package_takes_the_highest_step(
    store: PostgresCheckpointStore,
) -> None:
    cycle = "e2eca7ed-4fc1-453a-929f-e1673ca39f8f"
    latest = store.get_latest_checkpoint(cycle)
    assert latest is not None
    assert latest.id == "6efe6c68-f5c2-417f-bb7c-4ac8e13d125c"
    assert latest.id != EXPECTED["latest"][cycle]


def test_forks_of_the_npm_package_are_followed_to_their_origin(store: PostgresCheckpointStore) -> None:
    for fork, origin in EXPECTED["forks"].items():
        latest = store.get_latest_checkpoint(fork)
        assert latest is not None
        assert [checkpoint.id for checkpoint in store.get_lineage(latest.id)][1] == origin


def test_entities_and_facts_are_read_and_found_as_the_npm_package_does(store: PostgresCheckpointStore) -> None:
    names = (
        *("id", "sessionId", "workspaceId", "name", "type", "attributes", "relationships"),
        *("createdAt", "updatedAt", "embedding"),
    )
    entities = store.list_entities()
    assert [fields(entity) for entity in entities] == [columns(one, *names) for one in EXPECTED["entities"]]
    of_facts = ("id", "workspaceId", "content", "confidence", "sourceSessionId", "createdAt", "embedding")
    facts = store.list_facts()
    assert [fields(fact) for fact in facts] == [columns(one, *of_facts) for one in EXPECTED["facts"]]
    assert [fact.content for fact in store.list_facts(min_confidence=0.9)] == ["unembedded", "port 22 is open"]
    found = store.search_entities([1, 0, 0], workspace_id="ws-red", top_k=2)
    assert [one.record.name for one in found] == EXPECTED["search"]["entities"]
    assert [one.record.content for one in store.search_facts([1, 0, 0], top_k=2)] == EXPECTED["search"]["facts"]


def test_rows_written_here_have_the_shape_that_the_npm_package_reads(
    upstream: tuple[PostgresCheckpointStore, str],
) -> None:
    store, url = upstream
    session = store.create_session("./ours", metadata={"when": datetime(2026, 1, 2, tzinfo=UTC), "n": 1})
    store.add_message(
        session.id,
        "assistant",
        tool_calls=[{"name": "scan", "toolUseId": "t1", "input": {"ports": [22]}}],
        tokens_in=0,
    )
    store.save_checkpoint(
        session.id,
        step=3,
        node_results={"a": {"status": "completed", "output": {1: {"x"}}, "startedAt": 1, "completedAt": 2.5}},
        pending_nodes=["b"],
        cycle_state={"backEdge": "b->a", "iteration": 2},
    )
    with psycopg.connect(url) as connection:
        assert connection.execute(
            "SELECT workspace_id, title, metadata FROM sessions WHERE id = %s", [session.id]
        ).fetchone() == (None, None, '{"when":{"__type":"Date","value":"2026-01-02T00:00:00.000Z"},"n":1}')
        assert connection.execute(
            "SELECT content, tool_calls, tool_results, tokens_in, tokens_out FROM messages WHERE session_id = %s",
            [session.id],
        ).fetchone() == (None, '[{"name":"scan","toolUseId":"t1","input":{"ports":[22]}}]', None, 0, None)
        assert connection.execute(
            "SELECT namespace, parent_id, version, step, node_id, node_results, pending_nodes, cycle_state, source"
            " FROM checkpoints WHERE session_id = %s",
            [session.id],
        ).fetchone() == (
            "",
            None,
            1,
            3,
            None,
            (
                '{"a":{"status":"completed","output":{"__type":"Map","value":[[1,{"__type":"Set","value":["x"]}]]},'
                '"startedAt":1,"completedAt":2.5}}'
            ),
            '["b"]',
            '{"backEdge":"b->a","iteration":2}',
            "loop",
        )
    assert store.delete_session(session.id)


def test_the_store_goes_on_where_the_npm_package_stopped(upstream: tuple[PostgresCheckpointStore, str]) -> None:
    store, _ = upstream
    fork = store.fork("119df7e4-0f0e-4864-9833-f1539b1af92a", title="Try another answer")
    assert fork.workspace_id == "ws-blue"
    assert [message.content for message in store.get_messages(fork.id)] == ["Scan ./repo"]
    saved = store.save_checkpoint(fork.id, step=2, node_results={}, namespace="approval")
    assert saved.version == 3
    assert store.delete_session(fork.id)
