"""A database role that may only read: reads work, and every write says that the server is not set up for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client

ALIAS = "read_only"
#: a server's roles are those of all its databases
ROLE = f"reader_{uuid.uuid4().hex}"
RIGHTS = {
    "no rights to write": f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ROLE}",
    "a read-only server": f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE};"
    f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {ROLE};"
    f"ALTER ROLE {ROLE} SET default_transaction_read_only = on",
}


@pytest.fixture(params=RIGHTS.values(), ids=list(RIGHTS))
def checkpoint(request: Any, postgres_database: Callable[[], str], settings: Any, committed: None) -> Iterator[str]:
    """The id of a checkpoint in a database of its own, which the API's role may only read."""
    owner = postgres_database()
    address = conninfo_to_dict(owner)
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    database = {"ENGINE": "django.db.backends.postgresql", **{names[key]: address[key] for key in address}}
    settings.OBSKU_CHECKPOINT = {"DATABASE": ALIAS}
    settings.DATABASE_ROUTERS = ["obsku_checkpoint.routers.CheckpointRouter"]

    def become(user: Any) -> None:
        if ALIAS in connections.settings:
            connections[ALIAS].close()
            del connections[ALIAS]
        configured = {**connections.settings, ALIAS: {**database, "USER": user}}
        connections.settings[ALIAS] = connections.configure_settings(configured)[ALIAS]

    become(address["user"])
    call_command("migrate", database=ALIAS, verbosity=0)
    store = DjangoCheckpointStore()
    session = store.create_session("/", id="one")
    store.add_message(session.id, "user", "hello")
    saved = store.save_checkpoint(session.id, step=1, node_results={})
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{address.get('password', '')}'")
        connection.execute(request.param)
        become(ROLE)
        try:
            yield saved.id
        finally:
            connections[ALIAS].close()
            del connections[ALIAS]
            del connections.settings[ALIAS]
            connection.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


def test_every_write_says_so_and_every_read_works(checkpoint: str, user: Any) -> None:
    api = Client(user)
    messages, checkpoints = "/api/sessions/one/messages/", "/api/sessions/one/checkpoints/"
    for path in ("/api/sessions/", "/api/sessions/one/", messages, checkpoints, f"/api/checkpoints/{checkpoint}/"):
        assert api.get(path).status_code == 200, path
    writes: list[Any] = [
        lambda: api.post("/api/sessions/", {"directory": "/"}),
        lambda: api.patch("/api/sessions/one/", {"title": "T"}),
        lambda: api.patch("/api/sessions/one/", {"title": "T"}, headers={"If-Match": "*"}),
        lambda: api.post(messages, {"role": "user"}),
        lambda: api.post(messages, [{"role": "user"}, {"role": "user"}]),
        lambda: api.post(checkpoints, {"step": 1, "node_results": {}}),
        lambda: api.post(f"/api/checkpoints/{checkpoint}/fork/", {}),
        lambda: api.delete("/api/sessions/one/"),
    ]
    for write in writes:
        answer = write()
        assert answer.status_code == 503, answer.content
        assert answer.json() == {
            "detail": "The server cannot do this as it is set up; its operator finds the reason in its log.",
            "code": "misconfigured",
            "maybe_written": False,
        }
        assert answer["Retry-After"] == "1"
