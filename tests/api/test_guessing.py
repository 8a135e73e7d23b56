"""Whoever guesses another tenant's id is told, at the same price, what they are told of an id that nobody has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from obsku_checkpoint.api import urls
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client

MANY = 300
VECTOR = [1.0, 0.0]
#: each route, method and place of an id; what is sent is filled in as the path is
GUESSES: list[tuple[str, str, Any]] = [
    ("get", "sessions/{session}/", None),
    ("patch", "sessions/{session}/", {"title": "x"}),
    ("patch", "sessions/{session}/", {"workspace_id": "own"}),
    ("patch", "sessions/{session}/", {"title": 1}),
    ("delete", "sessions/{session}/", None),
    ("get", "sessions/{session}/summary/", None),
    ("get", "sessions/{session}/messages/", None),
    ("get", "sessions/{session}/messages/?limit=5", None),
    ("get", "sessions/{session}/messages/?after_id={message}", None),
    ("get", "sessions/{session}/messages/?before_id={message}", None),
    ("post", "sessions/{session}/messages/", {"role": "user"}),
    ("post", "sessions/{session}/messages/", [{"role": "user"}]),
    ("post", "sessions/{session}/messages/", {"role": "nobody"}),
    ("get", "sessions/{session}/dangling/", None),
    ("post", "sessions/{session}/repair/", {}),
    ("get", "sessions/{session}/checkpoints/", None),
    ("get", "sessions/{session}/checkpoints/?namespace=", None),
    ("post", "sessions/{session}/checkpoints/", {"step": 1, "node_results": {}}),
    ("post", "sessions/{session}/checkpoints/", {"step": 1, "node_results": {}, "version": 1}),
    ("post", "sessions/{session}/checkpoints/", {"step": "x", "node_results": {}}),
    ("get", "sessions/{session}/checkpoints/latest/", None),
    ("get", "sessions/{session}/events/", None),
    ("get", "checkpoints/{checkpoint}/", None),
    ("get", "checkpoints/{checkpoint}/lineage/", None),
    ("post", "checkpoints/{checkpoint}/fork/", {}),
    ("post", "checkpoints/{checkpoint}/fork/", {"title": 1}),
    ("post", "messages/{message}/fork/", {}),
    ("get", "entities/?session_id={session}", None),
    ("post", "entities/", {"session_id": "{session}", "workspace_id": "own", "name": "n", "type": "t"}),
    ("post", "entities/search/", {"embedding": VECTOR, "session_id": "{session}"}),
    ("get", "entities/{entity}/", None),
    ("patch", "entities/{entity}/", {"name": "x"}),
    ("delete", "entities/{entity}/", None),
    ("get", "entities/{entity}/related/?depth=5", None),
    ("post", "facts/", {"content": "x", "workspace_id": "own", "source_session_id": "{session}"}),
    ("post", "facts/search/", {"embedding": VECTOR, "workspace_id": "{workspace}"}),
    ("get", "facts/?workspace_id={workspace}", None),
    ("get", "facts/{fact}/", None),
    ("delete", "facts/{fact}/", None),
    ("get", "sessions/?workspace_id={workspace}", None),
    ("get", "sessions/summaries/?workspace_id={workspace}", None),
    ("get", "sessions/latest/?workspace_id={workspace}", None),
]


def scope(request: Any) -> list[str]:
    return ["own"]


@pytest.fixture
def foreign(store: DjangoCheckpointStore, api: Client, settings: Any) -> dict[str, str]:
    """Ids of another workspace, where there is much of everything."""
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "WORKSPACE_SCOPE": "tests.api.test_guessing.scope"}
    workspace = "foreign-workspace-of-somebody"
    session = store.create_session("/", workspace_id=workspace, id="foreign-session-of-somebody").id
    messages = store.add_messages(session, [{"role": "user"}] * MANY)
    parent = None
    edges: list[Any] = []
    for number in range(MANY // 10):
        parent = store.save_checkpoint(session, step=1, node_results={}, parent_id=parent).id
        id = f"foreign-entity-{number}"
        own: Any = {"workspace_id": workspace, "embedding": VECTOR, "relationships": edges}
        edges = [{"targetId": store.save_entity(session, id=id, name=id, type="t", **own).id, "type": "r"}]
        fact = store.save_fact("x", workspace_id=workspace, embedding=VECTOR).id
    assert parent
    return {
        "workspace": workspace,
        "session": session,
        "message": str(messages[-1].id),
        "checkpoint": parent,
        "entity": id,
        "fact": fact,
    }


def filled(given: Any, ids: dict[str, str]) -> Any:
    if isinstance(given, dict):
        return {name: filled(value, ids) for name, value in given.items()}
    return given.format_map(ids) if isinstance(given, str) else given


@pytest.mark.parametrize(("method", "path", "body"), GUESSES)
def test_a_foreign_id_is_as_one_that_nobody_has(
    api: Client, store: DjangoCheckpointStore, foreign: dict[str, str], method: str, path: str, body: Any
) -> None:
    """The same answer, of the same statements, for the same work."""
    nobodys = {name: id[::-1] for name, id in foreign.items()} | {"message": str(int(foreign["message"]) + MANY)}
    connection: Any = connections[store.using]
    connection.ensure_connection()
    told: list[Any] = []
    counts: list[int] = []
    for ids in (foreign, nobodys, foreign, nobodys):  # the first of each may have more to prepare
        with CaptureQueriesContext(connection) as asked, work(connection) as done:
            answer = getattr(api, method)(f"/api/{filled(path, ids)}", filled(body, ids))
        text = answer.content.decode()
        for id in ids.values():
            text = text.replace(id, "…")
        told.append((answer.status_code, text, len(asked)))
        counts.append(done[0])
    assert told[2] == told[3]
    assert abs(counts[2] - counts[3]) < {"sqlite": 50, "postgresql": 20}[connection.vendor]


@contextmanager
def work(connection: Any) -> Iterator[list[int]]:
    """What statements cost: SQLite's own steps, or the rows that PostgreSQL has read."""
    done = [0]

    def step() -> int:
        done[0] += 1
        return 0

    if connection.vendor == "sqlite":
        connection.connection.set_progress_handler(step, 1)
        yield done
        connection.connection.set_progress_handler(None, 0)
        return
    before = _rows_read(connection)
    yield done
    done[0] = _rows_read(connection) - before


def _rows_read(connection: Any) -> int:
    if connection.pg_version < 150000:
        return 0  # older ones tell it some time later
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int FROM pg_stat_user_tables "
            "WHERE relname IN ('sessions', 'messages', 'checkpoints', 'entities', 'facts')"
        )
        return int(cursor.fetchone()[0])


def test_every_route_that_takes_an_id_is_guessed_at() -> None:
    wanted = {
        (method, pattern.pattern._route.split("<")[0], pattern.pattern._route.rpartition(">")[2])  # type: ignore[union-attr]  # of a path
        for pattern in urls.urlpatterns
        for method in pattern.callback.actions  # type: ignore[attr-defined]  # a viewset's
        if "<" in str(pattern.pattern) and method != "head"
    }
    guessed = {(method, path.split("{")[0], path.partition("?")[0].rpartition("}")[2]) for method, path, _ in GUESSES}
    assert wanted <= guessed
