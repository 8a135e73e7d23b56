"""The store for programs that have no Django project."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections
from psycopg import sql

from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.processes import assert_database_is_left


def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program that knows no Django, run away from this project's settings."""
    root = Path(__file__).parent.parent
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PYTHONPATH": str(root), **environment},
        check=False,
    )


def test_a_program_without_django_settings_uses_the_store(postgres_database: Any) -> None:
    program = """
import obsku_checkpoint
from obsku_checkpoint.postgres import PostgresCheckpointStore

with PostgresCheckpointStore() as store:
    assert isinstance(store, obsku_checkpoint.CheckpointStore)
    store.setup()
    session = store.create_session(".")
    store.add_message(session.id, "user", "hello")
    print(store.continue_latest().messages[0].content)
"""
    done = run(program, POSTGRES_URL=postgres_database())
    assert (done.stdout, done.stderr) == ("hello\n", "")


def test_importing_the_package_loads_neither_django_nor_an_event_loop() -> None:
    program = """
import sys
import obsku_checkpoint
obsku_checkpoint.codec.dumps({"a": {1}})
assert not [name for name in sys.modules if name.partition(".")[0] in ("django", "psycopg", "asyncio")]
"""
    done = run(program)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_project_that_lacks_the_app_is_told_so() -> None:
    program = """
from django.conf import settings
settings.configure()
import obsku_checkpoint.postgres
"""
    done = run(program)
    assert "ConfigurationError: add 'obsku_checkpoint' to INSTALLED_APPS" in done.stderr


def test_without_a_connection_string_the_message_says_where_it_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("POSTGRES_URL", raising=False)
    with pytest.raises(ConfigurationError, match="POSTGRES_URL"):
        PostgresCheckpointStore()
    with pytest.raises(ConfigurationError, match="connection string"):
        PostgresCheckpointStore("not a connection string")
    with pytest.raises(ConfigurationError, match="colour"):
        PostgresCheckpointStore("dbname=x", colour="blue")


@pytest.mark.parametrize(
    "option",
    [
        {"max_size": 0}, {"max_size": "10"}, {"min_size": 3, "max_size": 2}, {"min_size": -1}, {"timeout": "x"},
        {"timeout": 0}, {"timeout": True}, {"prepare_threshold": -1}, {"prepare_threshold": "5"}, {"check": print},
        {"kwargs": {}}, {"configure": print}, {"open": True}, {"reconnect_timeout": 2}, {"connection_class": object},
    ],
    ids=str,
)  # fmt: skip
def test_an_option_that_cannot_be_used_is_refused_by_its_name(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(option))):
        PostgresCheckpointStore("dbname=x", **option)


def test_a_connection_string_that_cannot_be_read_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        PostgresCheckpointStore("postgresql://user:hunter%ZZ@host/db")
    assert "hunter" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("string", "name"), [("host=h user=u", "u"), ("host=h dbname=d user=u", "d")])
def test_the_database_is_named_as_the_user_by_default(string: str, name: str) -> None:
    with PostgresCheckpointStore(string) as store:
        assert connections[store.using].settings_dict["NAME"] == name


def test_setup_adopts_the_tables_of_the_npm_package_and_may_be_repeated(postgres_database: Any) -> None:
    url = postgres_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((Path(__file__).parent / "interop" / "upstream_database.sql").read_text())
    with PostgresCheckpointStore(url) as store:
        store.setup()
        store.setup()
        assert len(store.list_sessions()) == 7


def test_a_thread_holds_no_connection_between_calls(postgres_database: Any) -> None:
    with PostgresCheckpointStore(postgres_database(), min_size=1, max_size=1, timeout=2) as store:
        store.setup()
        session = store.create_session(".")
        assert connections[store.using].connection is None
        # With one connection in the pool, another thread could not work if this one held it.
        assert asyncio.run(store.aget_session(session.id)) == session


def test_two_stores_of_one_process_keep_their_databases_apart(postgres_database: Any) -> None:
    with PostgresCheckpointStore(postgres_database()) as one, PostgresCheckpointStore(postgres_database()) as other:
        one.setup()
        other.setup()
        session = one.create_session(".")
        assert other.get_session(session.id) is None


def test_the_store_is_an_async_context_manager_and_works_again_after_closing(postgres_database: Any) -> None:
    async def main() -> None:
        async with PostgresCheckpointStore(postgres_database()) as store:
            await store.asetup()
            session = await store.acreate_session(".")
        assert await store.aget_session(session.id) == session
        await store.aclose()

    asyncio.run(main())


def test_tables_can_live_in_a_schema_of_their_own(postgres_database: Any) -> None:
    url = postgres_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA agents")
    with PostgresCheckpointStore(f"{url} options='-c search_path=agents'") as store:
        store.setup()
        store.create_session(".")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM agents.sessions").fetchone() == (1,)


def test_in_a_schema_before_others_the_tables_of_the_others_are_not_taken_for_its_own(postgres_database: Any) -> None:
    url = postgres_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA a")
        connection.execute("CREATE SCHEMA c")
    with PostgresCheckpointStore(f"{url} options='-c search_path=a'") as store:
        store.setup()
        store.create_session(".")
    with PostgresCheckpointStore(f"{url} options='-c search_path=c,a'") as store:
        store.setup()
        assert store.list_sessions() == []
        with psycopg.connect(url) as connection:
            found = connection.execute(
                "SELECT to_regclass('c.sessions'), to_regclass('c.django_migrations')"
            ).fetchone()
        assert found is not None
        assert None not in found


def test_a_schema_that_does_not_exist_is_told(postgres_database: Any) -> None:
    with (
        PostgresCheckpointStore(f"{postgres_database()} options='-c search_path=nowhere'") as store,
        pytest.raises(ConfigurationError, match="no schema of the search_path"),
    ):
        store.setup()


@pytest.fixture
def role(postgres_database: Any) -> Iterator[tuple[str, str]]:
    """An empty database, and a connection string of a role without rights to it."""
    url, name = postgres_database(), f"reader_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        yield url, f"{url} user={name}"
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_a_role_without_rights_is_told_what_it_lacks_only_where_something_is_to_be_done(role: tuple[str, str]) -> None:
    url, restricted = role
    with PostgresCheckpointStore(restricted) as store:
        with pytest.raises(ConfigurationError, match="may not create in the schema 'public'"):
            store.setup()
        with PostgresCheckpointStore(url) as owner:
            owner.setup()
        store.setup()


def test_setup_leaves_no_lock_and_changes_nothing_in_a_finished_database(postgres_database: Any) -> None:
    url = postgres_database()
    with PostgresCheckpointStore(url) as store, psycopg.connect(url, autocommit=True) as connection:
        store.setup()
        tables = "SELECT array_agg(format('%s %s', relname, relfilenode) ORDER BY relname) FROM pg_class"
        before = connection.execute(tables).fetchone()
        store.setup()
        assert connection.execute(tables).fetchone() == before
        locks = (
            "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database"
            " WHERE locktype = 'advisory' AND datname = current_database()"
        )
        assert connection.execute(locks).fetchone() == (0,)


def test_a_store_that_is_dropped_takes_its_connections_with_it(postgres_database: Any) -> None:
    url = postgres_database()
    store = PostgresCheckpointStore(url)
    store.setup()
    using = store.using
    del store
    gc.collect()
    assert using not in connections.settings
    assert_database_is_left(url)
