"""Locks of several tables at once, while others write into them.

A migration that makes foreign keys to two tables, or changes both, locks the one while it waits for the other. Who
writes holds them in this order or that, as PostgreSQL has planned the statement: so each would wait for the other,
until the server ends one of them, after a second. Taken here, all of the locks are held, or none is.
"""

from __future__ import annotations

import random
import time
from typing import Any, Literal

from django.apps.registry import Apps
from django.db import OperationalError, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

TABLES = ("sessions", "messages", "checkpoints", "entities", "facts")
#: seconds that others wait at most for one try, and until it is given up
TRY, PATIENCE = 0.1, 30.0
#: lock not available, deadlock
TAKEN = ("55P03", "40P01")


def lock_shared_tables(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The first operation of a migration that makes foreign keys to several of the shared tables."""
    lock(schema_editor.connection, "SHARE ROW EXCLUSIVE")


def lock(connection: Any, mode: Literal["SHARE ROW EXCLUSIVE", "ACCESS EXCLUSIVE"]) -> None:
    """Lock those of the shared tables that are there, to the end of the transaction that the caller is in. On
    PostgreSQL; on SQLite there is nothing to do. Raises Django's `OperationalError` after half a minute.
    """
    if connection.vendor != "postgresql":
        return
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with transaction.atomic(using=connection.alias):
                _lock(connection, mode)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") not in TAKEN or time.monotonic() > end:
                raise
            time.sleep(random.uniform(TRY / 2, TRY * 2))
        else:
            return


def _lock(connection: Any, mode: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('lock_timeout'), array_remove(array_agg(to_regclass(name)::text), NULL)"
            " FROM unnest(%s::text[]) AS name",
            [list(TABLES)],
        )
        before, tables = cursor.fetchone()
        if tables:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{TRY * 1000:.0f}ms"])
            cursor.execute(f"LOCK TABLE {', '.join(tables)} IN {mode} MODE")
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])
