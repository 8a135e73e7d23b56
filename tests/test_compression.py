"""Large text is compressed with lz4 where the server has it, and nothing breaks where it may not be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from obsku_checkpoint.models import Checkpoint, Entity, Fact, Message, Session
from obsku_checkpoint.postgres import PostgresCheckpointStore

UPSTREAM = Path(__file__).parent / "interop" / "upstream_database.sql"
LARGE = {
    *(("sessions", "metadata"), ("facts", "content"), ("facts", "embedding")),
    *(("messages", "content"), ("messages", "tool_calls"), ("messages", "tool_results")),
    *(("checkpoints", "node_results"), ("checkpoints", "pending_nodes"), ("checkpoints", "cycle_state")),
    *(("entities", "attributes"), ("entities", "relationships"), ("entities", "embedding")),
}


def compressions(url: str) -> dict[tuple[str, str], str]:
    """How each column that has a compression of its own compresses: ``l`` for lz4, ``p`` for pglz."""
    tables = [model._meta.db_table for model in (Session, Message, Checkpoint, Entity, Fact)]
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT attrelid::regclass::text, attname, attcompression FROM pg_attribute"
            " WHERE attrelid = ANY(%s::regclass[]) AND attcompression <> ''",
            [tables],
        )
        return {(table, column): compression for table, column, compression in rows}


@pytest.fixture
def wanted(url: str) -> dict[tuple[str, str], str]:
    """What the server allows."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'").fetchone()
    return dict.fromkeys(LARGE, "l") if row and "lz4" in row[0] else {}


@pytest.fixture
def url(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


@pytest.fixture
def adopted(url: str) -> str:
    with psycopg.connect(url) as connection:
        connection.execute(UPSTREAM.read_text())
    return url


@pytest.fixture
def other_role(adopted: str) -> Iterator[str]:
    """A role that may use the adopted tables and make its own, but owns none of them."""
    name = f"test_agent_{uuid4().hex}"
    role = sql.Identifier(name)
    with psycopg.connect(adopted, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        connection.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(role))
        connection.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}").format(role))
        yield name
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def test_new_tables_take_lz4_and_give_it_back(url: str, wanted: dict[tuple[str, str], str]) -> None:
    with PostgresCheckpointStore(url) as store:
        store.setup()
        assert compressions(url) == wanted
        call_command("migrate", "obsku_checkpoint", "0001", database=store.using, verbosity=0)
        assert compressions(url) == {}
        store.setup()
        assert compressions(url) == wanted


def test_adopted_tables_take_lz4_and_keep_a_compression_that_was_chosen(
    adopted: str, wanted: dict[tuple[str, str], str]
) -> None:
    with psycopg.connect(adopted) as connection:
        connection.execute("ALTER TABLE messages ALTER content SET COMPRESSION pglz")
    with PostgresCheckpointStore(adopted) as store:
        store.setup()
        assert len(store.list_sessions()) == 7
    assert compressions(adopted) == {**wanted, ("messages", "content"): "p"}


def test_tables_of_another_owner_are_used_as_they_are(adopted: str, other_role: str) -> None:
    with PostgresCheckpointStore(f"{adopted} options='-c role={other_role}'") as store:
        store.setup()
        assert len(store.list_sessions()) == 7
    assert compressions(adopted) == {}


def test_sqlite_takes_the_migration_and_gives_it_back(tmp_path: Path) -> None:
    alias = "migrated"
    connections.settings[alias] = {**connections.settings["default"], "NAME": tmp_path / "migrated.sqlite3"}
    try:
        for target in ("0002", "0001", "0002"):
            call_command("migrate", "obsku_checkpoint", target, database=alias, verbosity=0)
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM django_migrations WHERE app = 'obsku_checkpoint'")
            assert cursor.fetchone() == (2,)
    finally:
        connections[alias].close()
        del connections[alias], connections.settings[alias]
