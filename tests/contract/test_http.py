"""What we promise, over HTTP: the whole suite over a live server on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import connections
from django.test import override_settings

from obsku_checkpoint.client import HTTPCheckpointStore
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.testing import CheckpointStoreConformance, Corrupt

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
USING = "postgres"


class Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Requests are no news here."""


class Server(ThreadedWSGIServer):
    request_queue_size = 100

    def close_request(self, request: object) -> None:
        connections.close_all()  # this thread's
        super().close_request(request)  # type: ignore[arg-type]  # a socket


@pytest.fixture(scope="module")
def url(committed: None) -> Iterator[str]:
    """The API of a server in threads of this process; anybody may do anything."""
    api = {"DATABASE": USING, "PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"]}
    with (
        override_settings(
            ALLOWED_HOSTS=["127.0.0.1"],
            DATABASE_ROUTERS=["obsku_checkpoint.routers.CheckpointRouter"],
            OBSKU_CHECKPOINT=api,
        ),
        Server(("127.0.0.1", 0), Handler) as server,
    ):
        server.set_app(WSGIHandler())
        thread = threading.Thread(target=server.serve_forever, name="api")
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module", params=[USING])
def http_store(url: str) -> Iterator[HTTPCheckpointStore]:
    with HTTPCheckpointStore(url) as store:
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
