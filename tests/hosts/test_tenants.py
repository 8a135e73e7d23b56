"""A schema for each tenant, by django-tenants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django_tenants.utils import get_tenant_model, schema_context  # type: ignore[import-untyped]  # it has no types
from psycopg import sql

from obsku_checkpoint.store import DjangoCheckpointStore
from tests import processes

SETTINGS = "tests.hosts.tenants.settings"
TENANTS = ["acme", "globex"]


@pytest.fixture(scope="module")
def tenants_url(postgres_database: Callable[[], str]) -> str:
    """A database with the schemas of both tenants."""
    url = postgres_database()
    processes.run(_make_tenants, url, settings=SETTINGS)
    return url


def _make_tenants() -> None:
    call_command("migrate_schemas", shared=True, run_syncdb=True, verbosity=0)
    for name in TENANTS:
        tenant = get_tenant_model().objects.create(schema_name=name)  # with its schema, migrated
        tenant.domains.create(domain=f"{name}.localhost")


def test_a_tenant_has_what_it_wrote_sync_and_async(tenants_url: str) -> None:
    processes.run(_write_in_turn, tenants_url, settings=SETTINGS)
    for name in TENANTS:
        assert _workspaces(tenants_url, name, "/in-turn") == [name, name]


def _write_in_turn() -> None:
    store = DjangoCheckpointStore()
    made = {}
    for name in TENANTS:
        with schema_context(name):
            made[name] = [
                store.create_session("/in-turn", workspace_id=name),
                async_to_sync(store.acreate_session)("/in-turn", workspace_id=name),
            ]
    for name in reversed(TENANTS):
        for other, sessions in made.items():
            with schema_context(name):
                expected = [session if name == other else None for session in sessions]
                ids = [session.id for session in sessions]
                assert [store.get_session(id) for id in ids] == expected
                assert [async_to_sync(store.aget_session)(id) for id in ids] == expected
                assert async_to_sync(_at_once)(store, ids) == expected


async def _at_once(store: DjangoCheckpointStore, ids: list[str]) -> list[object]:
    return list(await asyncio.gather(*(store.aget_session(id) for id in ids)))


@pytest.mark.parametrize("view", ["sync", "async"])
def test_requests_of_several_tenants_at_once_see_their_own_rows(tenants_url: str, view: str) -> None:
    asked = TENANTS * 12
    application = ["--factory", "django.core.asgi:get_asgi_application"]
    with processes.server("uvicorn", "--port", "0", *application, url=tenants_url, settings=SETTINGS) as server:
        answers = server.ask_at_once(view, asked)
    assert [answer["written"] for answer in answers] == [[name] for name in asked]
    assert [answer["workspaces"] for answer in answers] == [[name] for name in asked]
    for name in TENANTS:
        assert set(_workspaces(tenants_url, name, ".")) == {name}


def _workspaces(url: str, schema: str, directory: str) -> list[str]:
    """Of the sessions that stand in the schema."""
    query = sql.SQL("SELECT workspace_id FROM {}.sessions WHERE directory = %s").format(sql.Identifier(schema))
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(query, [directory])]
