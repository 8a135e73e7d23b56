"""The API behind a port: a server in threads of this process, over the tests' databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import connections
from django.test import override_settings

ANYBODY = ["rest_framework.permissions.AllowAny"]


class Handler(WSGIRequestHandler):
    disable_nagle_algorithm = True  # head and body are written apart, and the client's system waits before it says so

    def log_message(self, format: str, *args: object) -> None:
        """Requests are no news here."""


class Server(ThreadedWSGIServer):
    request_queue_size = 100

    def close_request(self, request: Any) -> None:
        connections.close_all()  # this thread's
        super().close_request(request)


@contextmanager
def live_server(using: str, **options: Any) -> Iterator[str]:
    """The API's URL. ``options`` are further keys of OBSKU_CHECKPOINT; anybody may do anything by default."""
    project = override_settings(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASE_ROUTERS=["obsku_checkpoint.routers.CheckpointRouter"],
        OBSKU_CHECKPOINT={"DATABASE": using, "PERMISSION_CLASSES": ANYBODY, **options},
    )
    with project, Server(("127.0.0.1", 0), Handler) as server:
        server.set_app(WSGIHandler())
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api/"
        finally:
            server.shutdown()
            thread.join()
