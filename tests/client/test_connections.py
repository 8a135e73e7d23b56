"""Connections: kept, closed with their event loop, and never shared with a forked process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import httpx
import pytest

from obsku_checkpoint.client import HTTPCheckpointStore
from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.records import SessionRecord
from tests.client.conftest import MESSAGE, SESSION, Open
from tests.client.socket_server import answer, socket_server

FOUND = answer(200, SESSION)
PATIENCE = 30


def test_a_connection_is_used_again(open_store: Open) -> None:
    with socket_server(FOUND, FOUND, answer(201, MESSAGE)) as server:
        store = open_store(server.url)
        store.get_session("s")
        store.get_session("s")
        store.add_message("s", "user", "hello")
        assert [request.connection for request in server.received] == [0, 0, 0]
        store.close()
        assert server.closed[0].wait(PATIENCE)


def test_a_connection_that_the_server_has_closed_meanwhile_is_not_used(open_store: Open) -> None:
    with socket_server(answer(200, SESSION, keep=False), answer(201, MESSAGE)) as server:
        store = open_store(server.url)
        store.get_session("s")
        assert server.closed[0].wait(PATIENCE)
        assert store.add_message("s", "user", "hello").id == 1
        assert [request.connection for request in server.received] == [0, 1]


def test_a_closed_store_can_be_used_again(open_store: Open) -> None:
    with socket_server(FOUND, FOUND) as server:
        store = open_store(server.url)
        for number in range(2):
            store.get_session("s")
            store.close()
            store.close()
            assert server.closed[number].wait(PATIENCE)


def test_an_event_loop_closes_its_connections_when_it_ends() -> None:
    with socket_server(FOUND, FOUND, FOUND) as server:
        store = HTTPCheckpointStore(server.url)

        async def twice() -> None:
            assert await store.aget_session("s") == await store.aget_session("s")

        asyncio.run(twice())
        assert server.closed[0].wait(PATIENCE)
        asyncio.run(store.aget_session("s"))
        assert [request.connection for request in server.received] == [0, 0, 1]


def test_a_store_is_a_context_manager() -> None:
    with socket_server(FOUND, FOUND) as server:

        async def run() -> None:
            async with HTTPCheckpointStore(server.url) as store:
                await store.aget_session("s")
            assert await asyncio.to_thread(server.closed[0].wait, PATIENCE)

        asyncio.run(run())
        with HTTPCheckpointStore(server.url) as store:
            store.get_session("s")
        assert server.closed[1].wait(PATIENCE)


def test_a_task_that_is_cancelled_leaves_the_store_usable() -> None:
    def wait_for_the_end(connection: Any) -> bool:
        return bool(connection.recv(1))

    with socket_server(wait_for_the_end, FOUND) as server:

        async def run() -> None:
            async with HTTPCheckpointStore(server.url) as store:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(store.aget_session("s"), 0.3)
                assert await store.aget_session("s") is not None

        asyncio.run(run())


FORKED = """
import asyncio, os, sys
from obsku_checkpoint.client import HTTPCheckpointStore
store = HTTPCheckpointStore(sys.argv[1])
store.get_session("s")
if os.fork() == 0:
    store.get_session("s")
    asyncio.run(store.aget_session("s"))
    store.close()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
store.get_session("s")
store.close()
assert "django" not in sys.modules
"""


def test_a_forked_process_has_connections_of_its_own_and_nobody_needs_django() -> None:
    with socket_server(FOUND, FOUND, FOUND, FOUND) as server:
        done = subprocess.run(
            [sys.executable, "-c", FORKED, server.url], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert [request.connection for request in server.received] == [0, 1, 2, 0]


def test_a_subclass_overrides_the_sync_method_only() -> None:
    class Counting(HTTPCheckpointStore):
        asked = 0

        def get_session(self, session_id: str, **options: Any) -> SessionRecord | None:
            self.asked += 1
            return super().get_session(session_id, **options)

    with socket_server(FOUND, FOUND) as server, Counting(server.url) as store:
        assert store.get_session("s") == asyncio.run(store.aget_session("s"))
        assert store.asked == 2


# -- options


def test_a_caller_says_who_it_is(open_store: Open) -> None:
    with socket_server(FOUND, FOUND, FOUND) as server:
        open_store(server.url, token="abc").get_session("s")
        open_store(server.url, auth=httpx.BasicAuth("agent", "secret")).get_session("s")
        open_store(server.url, headers={"Authorization": "Bearer xyz", "X-Agent": "7"}).get_session("s")
        headers = [request.headers for request in server.received]
    assert [each["authorization"] for each in headers] == ["Token abc", "Basic YWdlbnQ6c2VjcmV0", "Bearer xyz"]
    assert headers[2]["x-agent"] == "7"
    assert {each["accept"] for each in headers} == {"application/json"}
    assert {each["cache-control"] for each in headers} == {"no-cache"}, "which a replica may not serve"


@pytest.mark.parametrize("url", ["", "api/", "//host/api/", "ftp://host/", "http://", "http://[::1", None, 5])
def test_a_url_that_leads_nowhere_is_refused(url: Any) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        HTTPCheckpointStore(url)


@pytest.mark.parametrize("retries", [-1, 1.5, None, True])
def test_retries_are_a_number(retries: Any) -> None:
    with pytest.raises(ConfigurationError, match="retries"):
        HTTPCheckpointStore("http://host/", retries=retries)


def test_a_header_that_http_does_not_allow_is_refused(open_store: Open) -> None:
    with socket_server() as server, pytest.raises(ConfigurationError, match="cannot be sent") as error:
        open_store(server.url, headers={"X-Key": "secret\n"}).get_session("s")
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("token", ["secret\n", "", "a b", "sécret"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigurationError, match="token must be visible ASCII") as error:
        HTTPCheckpointStore("http://host/", token=token)
    assert "cret" not in str(error.value)


@pytest.mark.parametrize("url", ["http://host/api/?x=1", "http://host/api/#x"])
def test_a_base_url_has_no_query(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no query and no fragment"):
        HTTPCheckpointStore(url)
