"""The same rows in a SQLite file: our migrations make its tables, the rows are PostgreSQL's."""

from __future__ import annotations

from typing import Any

import psycopg
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections

from benchmarks.systems.ours import django_database

ALIAS = "sqlite"
ROWS_AT_ONCE = 10_000


def create(url: str, source: psycopg.Connection[Any]) -> None:
    database = django_database(url)
    # Django completes the dict in place with the defaults of the other keys.
    connections.configure_settings({DEFAULT_DB_ALIAS: {}, ALIAS: database})
    connections.settings[ALIAS] = database
    call_command("migrate", "obsku_checkpoint", database=ALIAS, verbosity=0)
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("PRAGMA synchronous = OFF")  # of this connection, which ends here
        for table in ("sessions", "messages", "checkpoints"):
            _copy(source, cursor, table)
        cursor.execute("ANALYZE")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connections[ALIAS].close()


def _copy(source: psycopg.Connection[Any], target: Any, table: str) -> None:
    with source.transaction(), source.cursor(name="rows") as rows:
        rows.execute(f"SELECT * FROM {table}".encode())
        insert = f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows.description or ()))})"
        target.execute("BEGIN")
        while found := rows.fetchmany(ROWS_AT_ONCE):
            target.executemany(insert, found)
        target.execute("COMMIT")
