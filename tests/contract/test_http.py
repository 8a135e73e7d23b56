"""What we promise, over HTTP: the whole suite over a live server on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections

from obsku_checkpoint.client import HTTPCheckpointStore
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.testing import CheckpointStoreConformance, Corrupt
from tests.live_server import live_server

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
USING = "postgres"


@pytest.fixture(scope="module", params=[USING])
def http_store(committed: None) -> Iterator[HTTPCheckpointStore]:
    with live_server(USING) as url, HTTPCheckpointStore(url) as store:
        yield store


class TestStoreOverHTTP(CheckpointStoreConformance):
    """``-k postgres`` selects it, too."""

    @pytest.fixture
    def store(self, http_store: HTTPCheckpointStore) -> CheckpointStore:
        return http_store

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        def corrupt(table: str, id: str | int, column: str, text: str) -> None:
            with connections[USING].cursor() as cursor:
                cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [text, id])

        return corrupt
