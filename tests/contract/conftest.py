"""The databases of the contract: set up once, never emptied between tests (the suite tolerates other rows)."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql

from obsku_checkpoint.testing import Corrupt


@pytest.fixture
def _django_db_helper(committed: None) -> None:
    """Takes the place of pytest-django's, which empties every table of every database after each test.

    The mark ``django_db`` then only says which databases are to be set up.
    """


@pytest.fixture(scope="module")
def database_of_its_own(postgres_database: Callable[[], str]) -> str:
    """For the stores that do not work through this process's Django."""
    return postgres_database()


@pytest.fixture
def corrupt_in_database_of_its_own(database_of_its_own: str) -> Corrupt:
    def corrupt(table: str, id: str | int, column: str, text: str) -> None:
        update = sql.SQL("UPDATE {} SET {} = %s WHERE id = %s").format(sql.Identifier(table), sql.Identifier(column))
        with psycopg.connect(database_of_its_own) as connection:
            connection.execute(update, [text, id])

    return corrupt
