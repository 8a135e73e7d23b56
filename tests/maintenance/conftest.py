from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore

_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_store(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_database: Callable[[], str]
) -> Iterator[Callable[[], DjangoCheckpointStore]]:
    """Makes stores over databases of their own, which are empty."""
    made: list[DjangoCheckpointStore] = []

    def make() -> DjangoCheckpointStore:
        if request.param == "postgres":
            made.append(_postgres(postgres_database()))
        else:
            made.append(_sqlite(tmp_path))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def postgres_store(postgres_database: Callable[[], str]) -> Iterator[DjangoCheckpointStore]:
    """A store over an empty PostgreSQL database."""
    store = _postgres(postgres_database())
    yield store
    store.close()


def _postgres(url: str) -> DjangoCheckpointStore:
    store = PostgresCheckpointStore(url)
    store.setup()
    return store


def _sqlite(directory: Path) -> DjangoCheckpointStore:
    alias = f"maintenance_{next(_numbers)}"
    database: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(directory / f"{alias}.sqlite3")}
    connections.configure_settings({"default": {}, alias: database})
    connections.settings[alias] = database
    call_command("migrate", database=alias, verbosity=0)
    return DjangoCheckpointStore(using=alias)
