"""A server that misbehaves gives one clear error, soon, and whatever it sends the memory stays bounded."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
import tracemalloc
import zlib
from contextlib import suppress
from typing import Any

import pytest

from obsku_checkpoint.errors import ConfigurationError, InvalidResponseError, StoreUnavailableError
from tests.client.conftest import MESSAGE, SESSION, Open
from tests.client.socket_server import Behaviour, answer, socket_server

MEGABYTE = 2**20


def bomb(packing: str, megabytes: int = 300) -> Behaviour:
    """Spaces before a record, packed a thousandfold."""
    packer = zlib.compressobj(9, wbits=31 if packing == "gzip" else 15)
    parts = [packer.compress(b" " * MEGABYTE) for _ in range(megabytes)]
    return answer(200, b"".join([*parts, packer.flush()]), Content_Encoding=packing)


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_a_packed_answer_is_unpacked_no_further_than_it_may_be_long(open_store: Open, packing: str) -> None:
    with socket_server(bomb(packing)) as server:
        tracemalloc.start()
        try:
            with pytest.raises(InvalidResponseError, match="more than 1048576 bytes"):
                open_store(server.url, max_bytes=MEGABYTE).get_session("s")
            assert tracemalloc.get_traced_memory()[1] < 20 * MEGABYTE
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (answer(200, b" " * 2 * MEGABYTE), "more than 1048576 bytes"),
        (answer(500, b" " * 2 * MEGABYTE), "more than 1048576 bytes"),
        (answer(200, gzip.compress(b"") * 60_000, Content_Encoding="gzip"), "more than 1048576 bytes"),
        (answer(200, b"{}", Content_Encoding="br"), "packed as 'br'"),
        (answer(200, b"{}", Content_Encoding="zstd"), "packed as 'zstd'"),
        (answer(200, b"{}", Content_Encoding="gzip"), "not packed as it says"),
        (answer(200, gzip.compress(b'{"id": 1}' * 1000)[:-20], Content_Encoding="gzip"), "not as the API does"),
    ],
)
def test_what_cannot_be_taken_is_an_invalid_response(open_store: Open, behaviour: Behaviour, words: str) -> None:
    with socket_server(behaviour) as server, pytest.raises(InvalidResponseError, match=words):
        open_store(server.url, max_bytes=MEGABYTE).get_session("s")


def test_packed_answers_are_read(open_store: Open) -> None:
    packed = gzip.compress(answer_body := b'{"results": [], "next": null, "previous": null}')
    with socket_server(answer(200, packed, Content_Encoding="gzip"), answer(200, answer_body)) as server:
        store = open_store(server.url)
        assert (store.list_sessions(), store.list_sessions()) == ([], [])
        assert {one.headers["accept-encoding"] for one in server.received} == {"gzip"}


def drip(connection: socket.socket) -> bool:
    """A byte now and then, without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    return drip_head(connection)


def drip_head(connection: socket.socket) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    done = threading.Event()
    try:
        while not done.wait(0.05):
            connection.sendall(b" ")
    except OSError:
        pass
    return False


@pytest.mark.parametrize("behaviour", [drip, drip_head])
def test_an_answer_that_trickles_ends(open_store: Open, behaviour: Behaviour) -> None:
    with socket_server(answer(200, SESSION), behaviour, behaviour, behaviour) as server:
        store = open_store(server.url, timeout=5, max_seconds=0.3, retries=1)
        assert store.get_session("s")  # over a connection that is kept
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="ReadTimeout") as read:
            store.get_session("s")
        assert read.value.maybe_written is False
        with pytest.raises(StoreUnavailableError, match="may have been carried out") as written:
            store.add_message("s", "user")
        assert written.value.maybe_written is True
        assert time.monotonic() - began < 3


def test_a_request_that_nobody_reads_ends(open_store: Open) -> None:
    """A server that takes some bytes now and then."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        done = threading.Event()

        def sip() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                while not done.wait(0.05):
                    connection.recv(1000)

        sipping = threading.Thread(target=sip)
        sipping.start()
        store = open_store(f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout=5, max_seconds=0.3, retries=0)
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError) as written:
            store.add_message("s", "user", "x" * 20 * MEGABYTE)
        assert written.value.maybe_written is True
        assert time.monotonic() - began < 3
        done.set()
        sipping.join()


def page(results: list[Any], cursor: str, towards: str = "next") -> Behaviour:
    links = {"next": None, "previous": None, towards: f"http://elsewhere/sessions/?cursor={cursor}"}
    return answer(200, {"results": results, **links})


def found(cursor: str) -> Behaviour:
    return answer(200, [], Link=f'<http://elsewhere/facts/search/?cursor={cursor}>; rel="next"')


def test_searches_without_end_are_not_followed(open_store: Open) -> None:
    with (
        socket_server(found("a"), found("b"), found("a")) as server,
        pytest.raises(InvalidResponseError, match="comes round"),
    ):
        open_store(server.url).search_facts([1.0])
    with (
        socket_server(*(found(str(number)) for number in range(5))) as server,
        pytest.raises(InvalidResponseError, match="more than 5 pages"),
    ):
        open_store(server.url, max_pages=5).search_facts([1.0])
    for link in ("<nowhere>; rel=next", '<http://elsewhere/?page=2>; rel="next"', '; rel="next"'):
        with socket_server(answer(200, [], Link=link)) as server, pytest.raises(InvalidResponseError):
            open_store(server.url).search_facts([1.0])


def test_pages_without_end_are_not_followed(open_store: Open) -> None:
    with (
        socket_server(page([SESSION], "a"), page([SESSION], "b"), page([SESSION], "a")) as server,
        pytest.raises(InvalidResponseError, match="comes round"),
    ):
        open_store(server.url).list_sessions()
    with (
        socket_server(*(page([SESSION], str(number)) for number in range(5))) as server,
        pytest.raises(InvalidResponseError, match="more than 5 pages"),
    ):
        open_store(server.url, max_pages=5).list_sessions()
    with (  # an empty page may lead on, but not for ever
        socket_server(*(page([], str(number), "previous") for number in range(5))) as server,
        pytest.raises(InvalidResponseError, match="more than 5 pages"),
    ):
        open_store(server.url, max_pages=5).get_messages("s")
    latest = {"session": SESSION, "messages": [MESSAGE], "checkpoint": None}
    further = {**latest, "messages_previous": "http://elsewhere/?cursor=a"}
    with (
        socket_server(answer(200, further), page([MESSAGE], "a", "previous")) as server,
        pytest.raises(InvalidResponseError, match="comes round"),
    ):
        open_store(server.url).continue_latest()


def test_what_the_server_is_not_set_up_for_is_a_configuration_error_at_once(open_store: Open) -> None:
    body = {"detail": "The server cannot do this as it is set up.", "code": "misconfigured", "maybe_written": False}
    with socket_server(answer(503, body)) as server, pytest.raises(ConfigurationError, match="as it is set up"):
        open_store(server.url).add_message("s", "user")


def test_a_password_in_the_url_is_sent_and_stands_in_no_log(open_store: Open, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    with socket_server(answer(200, SESSION)) as server:
        store = open_store(server.url.replace("//", "//agent:se%40cret@"))
        assert store.get_session("s")
        assert server.received[0].headers["authorization"] == "Basic YWdlbnQ6c2VAY3JldA=="
    assert "HTTP Request: GET" in caplog.text
    for secret in ("se%40cret", "se@cret", "YWdlbnQ6"):
        assert secret not in caplog.text
        assert secret not in repr(vars(store))


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://agent:secret@127.0.0.1/", {"token": "abc"}),
        ("http://agent:secret@127.0.0.1/", {"auth": ("a", "b")}),
        ("http://agent:secret@127.0.0.1:port/", {}),
        ("http://127.0.0.1/", {"follow_redirects": True}),
        ("http://127.0.0.1/", {"max_bytes": 0}),
        ("http://127.0.0.1/", {"max_seconds": "60"}),
        ("http://127.0.0.1/", {"max_pages": True}),
    ],
)
def test_options_that_contradict_or_expose_are_refused(open_store: Open, url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_store(url, **options)
    assert "secret" not in str(refused.value)
