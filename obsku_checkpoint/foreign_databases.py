"""Databases of other programs, opened to read from: an SQLite file, or a PostgreSQL database. Knows no Django.

What goes wrong with one, also while the block reads from it, is a `ConfigurationError` that says ``what`` was to be
read.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from obsku_checkpoint.errors import ConfigurationError, InvalidRecordError


def is_postgres(source: str, schema: str | None) -> bool:
    """Whether it is a connection string of PostgreSQL's, and not the path of an SQLite file, which has no schemas."""
    found = "://" in source or "=" in source
    if schema is not None and not found:
        raise InvalidRecordError("schema", f"{source!r} is no connection string of PostgreSQL's, which has schemas")
    return found


@contextmanager
def sqlite_file(source: str, what: str) -> Iterator[sqlite3.Connection]:
    if not Path(source).is_file():
        raise ConfigurationError(f"{source!r} is neither a connection string nor a file")
    try:
        with closing(sqlite3.connect(f"{Path(source).resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise ConfigurationError(f"the {what} cannot be read from {source!r}: {error}") from error


@contextmanager
def postgres_database(source: str, schema: str | None, what: str, **options: Any) -> Iterator[Any]:
    """A connection of psycopg's, which must be installed; ``options`` are those of `psycopg.connect`."""
    psycopg, sql = importlib.import_module("psycopg"), importlib.import_module("psycopg.sql")
    try:
        with psycopg.connect(source, **options) as connection:
            if schema is not None:
                connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
            yield connection
    except psycopg.Error as error:
        # Without the cause, which may quote the string and so its password.
        raise ConfigurationError(f"the {what} cannot be read: {type(error).__name__} {error.sqlstate or ''}") from None
