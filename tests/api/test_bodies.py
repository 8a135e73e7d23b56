"""Bodies that are too long, or whose length nobody told: refused before they are read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler

from tests.api.conftest import Client

LIMIT = 1000


@pytest.fixture(autouse=True)
def small(api: Client, settings: Any) -> None:
    settings.OBSKU_CHECKPOINT = {
        **settings.OBSKU_CHECKPOINT,
        "MAX_BODY_BYTES": LIMIT,
        "PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    }


class Unread:
    """A body that nobody may touch."""

    def read(self, *size: int) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def over_wsgi(path: str, **environ: Any) -> int:
    codes: list[str] = []
    given = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": f"{path}messages/",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": "application/json",
        "wsgi.input": Unread(),
        "wsgi.url_scheme": "http",
        **environ,
    }

    def start(status: str, headers: Any, error: Any = None) -> Any:
        codes.append(status)

    WSGIHandler()(given, start)
    return int(codes[0].split()[0])


def over_asgi(path: str, body: bytes, *headers: tuple[bytes, bytes]) -> int:
    sent: list[dict[str, Any]] = []
    chunks = [body[start : start + 100] for start in range(0, len(body), 100)] or [b""]
    events: list[dict[str, Any]] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    events[-1]["more_body"] = False

    async def receive() -> dict[str, Any]:
        if events:
            return events.pop(0)
        await asyncio.sleep(60)
        raise AssertionError("nothing more is to come")

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"{path}messages/",
        "query_string": b"",
        "headers": [(b"host", b"testserver"), (b"content-type", b"application/json"), *headers],
    }
    asyncio.run(ASGIHandler()(scope, receive, send))
    return int(sent[0]["status"])


def body(length: int) -> bytes:
    frame = b'{"role": "user", "content": "%s"}'
    return frame % (b"x" * (length - len(frame) + 2))


def test_a_body_up_to_the_limit_is_read(api: Client, path: str) -> None:
    assert len(body(LIMIT)) == LIMIT
    for length, code in ((LIMIT, 201), (LIMIT + 1, 413)):
        assert api.post(f"{path}messages/", body(length), content_type="application/json").status_code == code


def test_under_wsgi_a_body_is_refused_unread(path: str) -> None:
    assert over_wsgi(path, CONTENT_LENGTH=str(LIMIT + 1)) == 413
    assert over_wsgi(path, CONTENT_LENGTH=str(10**15)) == 413
    assert over_wsgi(path, HTTP_TRANSFER_ENCODING="chunked") == 411
    assert over_wsgi(path, HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="") == 411


def test_under_asgi_a_body_needs_its_length(path: str) -> None:
    def length(size: int) -> tuple[bytes, bytes]:
        return b"content-length", str(size).encode()

    assert over_asgi(path, body(LIMIT), length(LIMIT)) == 201
    assert over_asgi(path, body(LIMIT + 1), length(LIMIT + 1)) == 413
    assert over_asgi(path, body(LIMIT), (b"transfer-encoding", b"chunked")) == 411
    assert over_asgi(path, body(50)) == 411  # as HTTP/2 may send it
    assert over_asgi(path, b"") == 400


@pytest.mark.parametrize("length", ["x", "-5", "1e3"])
def test_a_length_that_is_none_is_no_error_of_the_server(path: str, length: str) -> None:
    assert over_wsgi(path, CONTENT_LENGTH=length) == 400
