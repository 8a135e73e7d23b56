"""The store for programs that have no Django project."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections

from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.postgres import PostgresCheckpointStore


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
