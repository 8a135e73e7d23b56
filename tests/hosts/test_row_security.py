"""Row-level security: policies that show a tenant its own rows, by a variable of the database session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from obsku_checkpoint.errors import SessionNotFoundError
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from tests import processes
from tests.hosts.middleware import set_tenant

TENANTS = ["acme", "globex"]
MIDDLEWARE = ["tests.hosts.middleware.TenantOfSession"]

POLICIES = """
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON sessions USING (workspace_id = current_setting('app.tenant', true));
ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON messages USING (session_id IN (SELECT id FROM sessions));
ALTER TABLE checkpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON checkpoints USING (session_id IN (SELECT id FROM sessions));
"""


@pytest.fixture(scope="module")
def guarded_url(postgres_database: Callable[[], str]) -> Iterator[str]:
    """A database as a role sees it that the policies bind: the owner of the tables, and a superuser, sees all."""
    url = postgres_database()
    with PostgresCheckpointStore(url) as store:
        store.setup()
    role = f"{conninfo_to_dict(url)['dbname']}_tenant"
    name = sql.Identifier(role)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(POLICIES)
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'tenant'").format(name))
        owner.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}").format(name))
        owner.execute(sql.SQL("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {}").format(name))
        yield make_conninfo(url, user=role, password="tenant")
        owner.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(name))


@pytest.mark.parametrize("view", ["sync", "async"])
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["gunicorn", "-b", "127.0.0.1:0", "--threads", "4", "django.core.wsgi:get_wsgi_application()"]),
        pytest.param(["uvicorn", "--port", "0", "--factory", "django.core.asgi:get_asgi_application"]),
    ],
    ids=["wsgi", "asgi"],
)
def test_requests_see_the_rows_of_their_tenant_with_the_setting(
    guarded_url: str, command: list[str], view: str
) -> None:
    asked = TENANTS * 6
    overrides = {"MIDDLEWARE": MIDDLEWARE, "OBSKU_CHECKPOINT": {"ASYNC": "django"}}
    with processes.server(*command, url=guarded_url, overrides=overrides) as server:
        answers = server.ask_at_once(view, asked)
    assert answers == [{"written": [name], "workspaces": [name]} for name in asked]


def test_async_calls_see_what_the_project_sets_on_each_connection(guarded_url: str) -> None:
    processes.run(_write_with_a_receiver, guarded_url)


def _write_with_a_receiver() -> None:
    def prepare(connection: BaseDatabaseWrapper, **_: Any) -> None:
        set_tenant(connection, "initech")

    connection_created.connect(prepare)
    store = DjangoCheckpointStore()

    async def write() -> None:
        session = await store.acreate_session(".", workspace_id="initech")
        assert await store.alist_sessions() == [session]

    asyncio.run(write())


def test_without_the_setting_async_calls_see_no_tenants_rows(guarded_url: str) -> None:
    """Native calls have connections of their own, for which the request has set nothing: the setting is needed."""
    processes.run(_write_on_two_connections, guarded_url)


def _write_on_two_connections() -> None:
    store = DjangoCheckpointStore()
    set_tenant(connection, "hooli")
    session = store.create_session(".", workspace_id="hooli")
    assert asyncio.run(store.aget_session(session.id)) is None
    with pytest.raises(SessionNotFoundError):
        asyncio.run(store.aadd_message(session.id, "user", "x"))
