"""A database that goes away and comes back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import close_old_connections, connections
from psycopg.conninfo import conninfo_to_dict
from rest_framework.request import Request

from obsku_checkpoint import conf
from obsku_checkpoint.api.stream.poller import Poller
from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client
from tests.postgres_server import postgres_server, stopped

ALIAS = "coming_and_going"


@pytest.fixture
def server(committed: None, settings: Any, user: Any) -> Iterator[str]:
    """A server of its own, as the database that the API uses."""
    with postgres_server() as url:
        found: dict[str, Any] = dict(conninfo_to_dict(url))
        connections.settings[ALIAS] = connections.configure_settings(
            {
                **connections.settings,
                ALIAS: {
                    "ENGINE": "django.db.backends.postgresql",
                    "NAME": found["dbname"],
                    "USER": found["user"],
                    "HOST": found["host"],
                },
            }
        )[ALIAS]
        settings.OBSKU_CHECKPOINT = {"DATABASE": ALIAS}
        settings.DATABASE_ROUTERS = ["obsku_checkpoint.routers.CheckpointRouter"]
        call_command("migrate", database=ALIAS, verbosity=0)
        try:
            yield url
        finally:
            connections[ALIAS].close()
            del connections[ALIAS]
            del connections.settings[ALIAS]
    assert ALIAS not in django_settings.DATABASES


def test_a_database_that_is_away_answers_503_and_serves_again_when_it_is_back(server: str, user: Any) -> None:
    api = Client(user)
    body = {"directory": "/", "id": "one"}
    assert api.post("/api/sessions/", body).status_code == 201
    requests: list[Any] = [
        lambda: api.get("/api/sessions/"),
        lambda: api.get("/api/sessions/one/"),
        lambda: api.get("/api/sessions/one/summary/"),
        lambda: api.post("/api/sessions/", body),
        lambda: api.patch("/api/sessions/one/", {"title": "T"}, headers={"If-Match": "*"}),
        lambda: api.post("/api/sessions/one/messages/", {"role": "user"}),
        lambda: api.post("/api/sessions/one/checkpoints/", {"step": 1, "node_results": {}}),
    ]
    with stopped(server):
        for request in requests:
            close_old_connections()  # as Django does at the beginning of every request that comes from a server
            answer = request()
            assert answer.status_code == 503
            assert answer["Retry-After"] == "1"
            told = answer.json()
            # Nothing was sent; only of an edit's own transaction that is not known.
            assert told.pop("maybe_written") in (False, answer.wsgi_request.method == "PATCH")
            assert told == {"detail": "The database is unavailable: try again.", "code": "unavailable"}
    for request in requests:
        close_old_connections()
        assert request().status_code in (200, 201)


def test_a_stream_outlasts_a_database_that_is_away(server: str, settings: Any) -> None:
    store = DjangoCheckpointStore()
    id = store.create_session("/").id
    store.close()

    asked = Poller(ALIAS)
    beginning = asked.feed.cursor("0")

    async def test() -> None:
        with asked.listen(id, beginning) as listener:
            with stopped(server):
                assert await listener.changes(1) is None
            message = await store.aadd_message(id, "user")
            found = await listener.changes(30)
            assert found is not None
            assert [event.record.id for event in found.events] == [message.id]
            # What time does not heal is raised to all who listen.
            with psycopg.connect(server) as connection:
                connection.execute("ALTER TABLE sessions RENAME TO others")
            with pytest.raises(ConfigurationError, match="migrate"):
                await listener.changes(30)
        for thread in threading.enumerate():
            if thread.name == "obsku-checkpoint-stream":
                await asyncio.to_thread(thread.join, 30)

    asyncio.run(test())


IN_TRANSACTION: list[bool] = []


def watch(request: Request) -> None:
    IN_TRANSACTION.append(connections[conf.current().DATABASE].in_atomic_block)


def test_no_request_is_a_transaction_that_could_fail_outside_of_the_view(api: Client, settings: Any, path: str) -> None:
    settings.OBSKU_CHECKPOINT = {
        **settings.OBSKU_CHECKPOINT,
        "WORKSPACE_SCOPE": "tests.api.test_unavailable.watch",
    }
    connection = connections[conf.current().DATABASE]
    before = connection.settings_dict["ATOMIC_REQUESTS"]
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        assert api.get(path).status_code == 200
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = before
    assert IN_TRANSACTION.pop() is False
