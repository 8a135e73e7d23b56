"""What we promise: the whole suite, sync and async, over every store we ship."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from django.db import connections

from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.testing import CheckpointStoreConformance, Corrupt
from obsku_checkpoint.testing.base import Mode


def corrupt_through_django(store: DjangoCheckpointStore) -> Corrupt:
    def corrupt(table: str, id: str | int, column: str, text: str) -> None:
        with connections[store.using].cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [text, id])

    return corrupt


pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


@pytest.mark.parametrize("using", ["default", "postgres"], ids=["sqlite", "postgres"], scope="class")
class TestDjangoStore(CheckpointStoreConformance):
    @pytest.fixture
    def store(self, committed: None, using: str) -> CheckpointStore:
        return DjangoCheckpointStore(using=using)

    @pytest.fixture
    def corrupt(self, store: DjangoCheckpointStore) -> Corrupt:
        return corrupt_through_django(store)

    def thread_ends(self, store: CheckpointStore) -> None:
        connections.close_all()


@pytest.fixture(scope="module", params=["postgres"])
def postgres_store(database_of_its_own: str) -> Iterator[PostgresCheckpointStore]:
    with PostgresCheckpointStore(database_of_its_own) as store:
        store.setup()
        yield store


class TestStoreWithoutProject(CheckpointStoreConformance):
    """The store for programs that have no Django project; ``-k postgres`` selects it, too."""

    @pytest.fixture
    def store(self, postgres_store: PostgresCheckpointStore) -> CheckpointStore:
        return postgres_store

    @pytest.fixture
    def corrupt(self, corrupt_in_database_of_its_own: Corrupt) -> Corrupt:
        return corrupt_in_database_of_its_own


class TestInDjangosThread(CheckpointStoreConformance):
    """Async calls over Django's connection, as the setting ``ASYNC`` has it; ``-k postgres`` selects it, too."""

    @pytest.fixture(params=["async"])
    def mode(self, request: pytest.FixtureRequest) -> Mode:
        return cast("Mode", request.param)

    @pytest.fixture(params=["postgres"])
    def store(self, committed: None, settings: Any, request: pytest.FixtureRequest) -> CheckpointStore:
        settings.OBSKU_CHECKPOINT = {"ASYNC": "django"}
        return DjangoCheckpointStore(using=request.param)

    @pytest.fixture
    def corrupt(self, store: DjangoCheckpointStore) -> Corrupt:
        return corrupt_through_django(store)

    def thread_ends(self, store: CheckpointStore) -> None:
        connections.close_all()
