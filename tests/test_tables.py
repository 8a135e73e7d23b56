"""The tables that ``migrate`` makes are those of the npm package."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections

UPSTREAM = Path(__file__).parent / "interop" / "upstream_database.sql"

COLUMNS = """
    SELECT table_name, ordinal_position, column_name, data_type, is_nullable,
           CASE WHEN column_default LIKE 'nextval(%%' THEN NULL ELSE column_default END
    FROM information_schema.columns
    WHERE table_schema = %s AND table_name IN ('sessions', 'messages', 'checkpoints', 'entities', 'facts')
"""
INDEXES = """
    SELECT tablename, indexname, replace(indexdef, schemaname || '.', '') FROM pg_indexes
    WHERE schemaname = %s AND tablename IN ('sessions', 'messages', 'checkpoints', 'entities', 'facts')
"""
# The text of a definition names the schema of a referenced table unless it is on the search path.
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, contype, replace(pg_get_constraintdef(oid), %s || '.', '')
    FROM pg_constraint WHERE connamespace = %s::regnamespace
    AND conrelid::regclass::text ~ '^(upstream[.])?(sessions|messages|checkpoints|entities|facts)$'
"""


@pytest.fixture
def upstream_schema(postgres_db: None) -> str:
    """The npm package's tables in a schema of their own, beside those of ``migrate``."""
    sql = UPSTREAM.read_text().replace("public.", "upstream.")
    with connections["postgres"].cursor() as cursor:
        cursor.execute("CREATE SCHEMA upstream")
        cursor.cursor.connection.execute(sql)
    return "upstream"


def described(question: str, *parameters: str) -> set[tuple[object, ...]]:
    with connections["postgres"].cursor() as cursor:
        cursor.execute(question, parameters)
        return {tuple(str(part).replace("upstream.", "") for part in row) for row in cursor.fetchall()}


@pytest.mark.parametrize("question", [COLUMNS, INDEXES], ids=["columns", "indexes"])
def test_migrate_makes_the_npm_packages_columns_and_indexes(upstream_schema: str, question: str) -> None:
    assert described(question, "public") == described(question, upstream_schema)


def test_migrate_makes_the_npm_packages_constraints(upstream_schema: str) -> None:
    ours, theirs = described(CONSTRAINTS, "public", "public"), described(CONSTRAINTS, "upstream", "upstream")
    assert len(theirs) > 10
    assert ours == theirs


def test_sqlite_has_the_same_columns_in_the_same_order(sqlite_db: None, upstream_schema: str) -> None:
    with connections["postgres"].cursor() as cursor:
        cursor.execute(COLUMNS, ["public"])
        postgres = {row[:3] for row in cursor.fetchall()}
    sqlite = set()
    with connections["default"].cursor() as cursor:
        for table in ("sessions", "messages", "checkpoints", "entities", "facts"):
            cursor.execute(f"SELECT '{table}', cid + 1, name FROM pragma_table_info('{table}')")
            sqlite |= set(cursor.fetchall())
    assert sqlite == postgres


@pytest.mark.parametrize("alias", ["default", "postgres"])
def test_the_database_itself_deletes_what_belongs_to_a_session(sqlite_db: None, postgres_db: None, alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("INSERT INTO sessions VALUES ('gone', NULL, NULL, '.', 1, 1, NULL)")
        cursor.execute("INSERT INTO messages (session_id, role, created_at) VALUES ('gone', 'user', 1)")
        cursor.execute(
            "INSERT INTO checkpoints (id, session_id, step, node_results, source, created_at)"
            " VALUES ('gone', 'gone', 0, '{}', 'loop', 1)"
        )
        cursor.execute(
            "INSERT INTO entities (id, session_id, name, type, created_at, updated_at)"
            " VALUES ('gone', 'gone', 'n', 't', 1, 1)"
        )
        cursor.execute("INSERT INTO facts (id, content, source_session_id, created_at) VALUES ('f', 'c', 'gone', 1)")
        cursor.execute("DELETE FROM sessions WHERE id = 'gone'")
        for table in ("messages", "checkpoints", "entities"):
            cursor.execute(f"SELECT count(*) FROM {table} WHERE session_id = 'gone'")
            assert cursor.fetchone() == (0,)
        cursor.execute("SELECT source_session_id, confidence FROM facts WHERE id = 'f'")
        assert cursor.fetchone() == (None, 1.0)


def test_no_migration_is_missing(sqlite_db: None) -> None:
    output = StringIO()
    call_command("makemigrations", "obsku_checkpoint", check=True, dry_run=True, stdout=output)
    assert "No changes" in output.getvalue()


@pytest.mark.parametrize("alias", ["default", "postgres"])
@pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
def test_the_migration_can_be_taken_back(alias: str) -> None:
    output = StringIO()
    call_command("sqlmigrate", "obsku_checkpoint", "0001", backwards=True, database=alias, stdout=output)
    assert output.getvalue().count("DROP TABLE") == 5
