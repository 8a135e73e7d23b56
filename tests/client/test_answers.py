"""What other answers than the API's come to, and the API's refusals."""

from __future__ import annotations

from typing import Any

import pytest

from obsku_checkpoint.errors import (
    AccessDeniedError,
    CheckpointCorruptionError,
    CheckpointStoreError,
    ConfigurationError,
    InvalidRecordError,
)
from tests.client.conftest import SESSION, Open
from tests.client.socket_server import answer, socket_server

REFUSALS: list[tuple[int, Any, type[CheckpointStoreError], str]] = [
    (400, {"record": ["is refused by the database"]}, InvalidRecordError, "record: is refused by the database"),
    (400, {"detail": "The body is not JSON-plus"}, InvalidRecordError, "detail: The body is not JSON-plus"),
    (400, b"<h1>Bad Request</h1>", ConfigurationError, "answers 400, but not as the API does"),
    (401, {"detail": "Invalid token."}, AccessDeniedError, "Invalid token."),
    (403, {"detail": "This workspace is not among yours."}, AccessDeniedError, "not among yours"),
    (403, b"", AccessDeniedError, "So"),
    (404, b"<h1>Not Found</h1>", ConfigurationError, "is it mounted there"),
    (404, {"detail": "Not Found"}, ConfigurationError, "is it mounted there"),
    (404, ["Not Found"], ConfigurationError, "is it mounted there"),
    (409, {"detail": "It cannot be decoded", "code": "corrupt"}, CheckpointCorruptionError, "cannot be decoded"),
    (413, {"detail": "The body has more than 10 bytes."}, InvalidRecordError, "more than 10 bytes"),
    (414, b"", InvalidRecordError, "longer than the server takes"),
    (301, b"", ConfigurationError, "answers 301"),
    (200, b"<html>", ConfigurationError, "answers 200"),
]


@pytest.mark.parametrize(("status", "body", "error", "words"), REFUSALS)
def test_a_refusal_is_an_error_of_the_stores(
    open_store: Open, status: int, body: Any, error: type[CheckpointStoreError], words: str
) -> None:
    kind = "text/html" if isinstance(body, bytes) else "application/json"
    with socket_server(answer(status, body, Content_Type=kind)) as server:
        store = open_store(server.url)
        with pytest.raises(error, match=words):
            store.create_session("/repo")


def test_a_wrong_url_is_not_taken_for_an_empty_store(open_store: Open) -> None:
    with (
        socket_server(answer(404, b"<h1>Not Found</h1>", Content_Type="text/html")) as server,
        pytest.raises(ConfigurationError, match=r"GET http://127.0.0.1:\d+/api/sessions/s/ answers 404"),
    ):
        open_store(server.url).get_session("s")


def test_a_record_may_have_further_fields(open_store: Open) -> None:
    with socket_server(answer(200, {**SESSION, "colour": "red"})) as server:
        session = open_store(server.url).get_session("s")
    assert session is not None
    assert session.directory == "/repo"


def test_pages_are_asked_of_the_same_url_whatever_the_server_takes_it_for(open_store: Open) -> None:
    page = {"next": "https://inside:8000/other/sessions/?cursor=abc%3D&limit=500", "previous": None}
    pages = [
        {**page, "results": [SESSION]},
        {"next": None, "previous": None, "results": [{**SESSION, "id": "t"}]},
    ]
    with socket_server(*(answer(200, each) for each in pages)) as server:
        sessions = open_store(server.url).list_sessions("w")
    assert [session.id for session in sessions] == ["s", "t"]
    assert [request.path for request in server.received] == [
        "sessions/?workspace_id=w&limit=500",
        "sessions/?workspace_id=w&limit=500&cursor=abc%3D",
    ]


def test_an_address_that_is_too_long_is_refused(open_store: Open) -> None:
    with pytest.raises(InvalidRecordError):
        open_store("http://127.0.0.1:9/").get_session("x" * 100_000)
