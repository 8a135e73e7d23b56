"""The contract on SQLite, with nothing of this repository's fixtures."""

from __future__ import annotations

import pytest
from django.db import connections

from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.testing import CheckpointStoreConformance, Corrupt

pytestmark = pytest.mark.django_db


@pytest.fixture
def _django_db_helper(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> object:
    """Takes the place of pytest-django's, which empties every table after each test: the contract tolerates rows."""
    return django_db_blocker.unblock()  # type: ignore[attr-defined]  # the fixture's type is private


class TestDjangoStore(CheckpointStoreConformance):
    @pytest.fixture
    def store(self) -> CheckpointStore:
        return DjangoCheckpointStore()

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        def corrupt(table: str, id: str | int, column: str, text: str) -> None:
            with connections["default"].cursor() as cursor:
                cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [text, id])

        return corrupt

    def thread_ends(self, store: CheckpointStore) -> None:
        connections.close_all()
