"""What other answers than the API's come to, and the API's refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from obsku_checkpoint import codec
from obsku_checkpoint.errors import (
    AccessDeniedError,
    CheckpointCorruptionError,
    CheckpointStoreError,
    ConfigurationError,
    InvalidRecordError,
)
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import CorruptValue
from tests.client.conftest import SESSION, Open
from tests.client.socket_server import answer, socket_server

REFUSALS: list[tuple[int, Any, type[CheckpointStoreError], str]] = [
    (400, {"record": ["is refused by the database"]}, InvalidRecordError, "record: is refused by the database"),
    (400, {"detail": "The body is not JSON-plus"}, InvalidRecordError, "detail: The body is not JSON-plus"),
    (400, {"errors": [{"message": "bad"}]}, InvalidRecordError, "errors: {'message': 'bad'}"),
    (400, b"<h1>Bad Request</h1>", ConfigurationError, "answers 400, but not as the API does"),
    (401, {"detail": "Invalid token."}, AccessDeniedError, "Invalid token."),
    (403, {"detail": "This workspace is not among yours."}, AccessDeniedError, "not among yours"),
    (403, b"", AccessDeniedError, "So"),
    (404, b"<h1>Not Found</h1>", ConfigurationError, "is it the API that answers there"),
    (404, {"detail": "Not Found"}, ConfigurationError, "is it the API that answers there"),
    (404, ["Not Found"], ConfigurationError, "is it the API that answers there"),
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


CALLS: dict[str, Callable[[CheckpointStore], object]] = {
    "get_session": lambda store: store.get_session("s"),
    "list_sessions": lambda store: store.list_sessions(),
    "list_session_summaries": lambda store: store.list_session_summaries(),
    "continue_latest": lambda store: store.continue_latest(),
    "get_session_summary": lambda store: store.get_session_summary("s"),
    "get_messages": lambda store: store.get_messages("s"),
    "get_lineage": lambda store: store.get_lineage("c"),
    "add_message": lambda store: store.add_message("s", "user"),
    "add_messages": lambda store: store.add_messages("s", [{"role": "user"}]),
    "save_checkpoint": lambda store: store.save_checkpoint("s", step=1, node_results={}),
    "fork": lambda store: store.fork("c"),
    "fork_at": lambda store: store.fork_at(1),
    "find_dangling": lambda store: store.find_dangling("s"),
    "repair": lambda store: store.repair("s"),
}
PAGE = {"next": None, "previous": None}
FOREIGN: dict[str, Any] = {
    "empty": b"",
    "cut off": b'{"id": ',
    "no JSON": b"OK",
    "not UTF-8": b'"\xff"',
    "far too deep": b"[" * 100_000,
    "object": {"status": "ok"},
    "array": [["ok"]],
    "text": "ok",
    "number": 7,
    "null": b"null",
    "record that lacks something": {name: value for name, value in SESSION.items() if name != "title"},
    "page of something else": {**PAGE, "results": "ok"},
    "page of others": {**PAGE, "results": [{"id": 1}]},
}


@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN)
def test_json_that_is_not_the_apis_is_a_wrong_url(open_store: Open, body: Any) -> None:
    with socket_server(*[answer(200, body)] * len(CALLS)) as server:
        store = open_store(server.url)
        for call in CALLS.values():
            with pytest.raises(ConfigurationError, match="is it the API that answers there"):
                call(store)


@pytest.mark.parametrize(
    "wrong", [{"created_at": "today"}, {"created_at": None}, {"corrupt": 5}, {"corrupt": {"metadata": "cut off"}}]
)
def test_a_record_that_is_not_the_apis_is_a_wrong_url(open_store: Open, wrong: Any) -> None:
    with (
        socket_server(answer(200, {**SESSION, **wrong})) as server,
        pytest.raises(ConfigurationError, match="is it the API that answers there"),
    ):
        open_store(server.url).get_session("s")


@pytest.mark.parametrize("further", ["", 5, "http://[", "http://inside/sessions/?limit=5"])
def test_a_page_that_leads_nowhere_is_a_wrong_url(open_store: Open, further: Any) -> None:
    with (
        socket_server(answer(200, {"results": [SESSION], "next": further, "previous": None})) as server,
        pytest.raises(ConfigurationError, match="without a cursor"),
    ):
        open_store(server.url).list_sessions()


class Money:
    """A type that this process has registered, and cannot read back."""


def refuse(value: Any) -> Money:
    raise LookupError


def test_a_value_that_this_process_cannot_decode_leaves_the_others_alone(open_store: Open) -> None:
    codec.register(Money, "Money", lambda money: 1, refuse)
    try:
        bad = {**SESSION, "id": "bad", "metadata": {"spent": [{"__type": "Money", "value": "5 €"}], "who": "\ud800"}}
        good = {**SESSION, "id": "good", "metadata": {"seen": {"__type": "Set", "value": [1]}}}
        pages = [answer(200, {"next": None, "previous": None, "results": [bad, good]})] * 2
        with socket_server(*pages) as server:
            store = open_store(server.url)
            with pytest.raises(CheckpointCorruptionError) as caught:
                store.list_sessions()
            assert (caught.value.table, caught.value.id, caught.value.column) == ("sessions", "bad", "metadata")
            kept, whole = store.list_sessions(on_corrupt="keep")
    finally:
        codec.unregister("Money")
    assert whole.metadata == {"seen": {1}}
    assert isinstance(kept.metadata, CorruptValue)
    assert json.loads(kept.metadata.text) == bad["metadata"]
    assert "$.spent[0]: Money: its decoder failed: LookupError" in kept.metadata.reason


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
