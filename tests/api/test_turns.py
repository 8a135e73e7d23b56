"""Heavy requests are worked on in turn, and small ones pass by."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.contrib.auth.models import User
from django.db import connections

from obsku_checkpoint.api import turns
from obsku_checkpoint.api.errors import Busy
from obsku_checkpoint.api.turns import Turn
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client
from tests.api.test_bodies import over_asgi
from tests.client.live_server import live_server

HEAVY = "x" * 300_000


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def waiting() -> int:
    return sum(map(len, turns._waiting.values()))


@contextmanager
def somebodys_turn(user: int = 7) -> Iterator[None]:
    turn = Turn()
    turn.take(SimpleNamespace(user=User(pk=user), _request=None))
    try:
        yield
    finally:
        turn.end()


def test_threads_give_way_sooner_while_something_heavy_is_at_work() -> None:
    usual = sys.getswitchinterval()
    with somebodys_turn():
        assert sys.getswitchinterval() < usual / 10
    assert sys.getswitchinterval() == usual


def test_heavy_requests_wait_and_others_do_not(store: DjangoCheckpointStore) -> None:
    small, large = (store.create_session("/").id for _ in range(2))
    store.add_message(small, "user", "hello")
    checkpoint: str | None = None
    for _ in range(2):
        store.add_message(large, "user", HEAVY)
        output: Any = {"a": {"status": "completed", "output": HEAVY}}
        checkpoint = store.save_checkpoint(large, step=1, node_results=output, parent_id=checkpoint).id
        store.save_fact(HEAVY, embedding=[1.0])
    call: Any = {"name": "n", "toolUseId": "use", "input": {"text": HEAVY}}
    store.add_message(large, "assistant", tool_calls=[call])
    far = store.save_entity(large, name="far", type="t", attributes={"text": HEAVY}).id
    edges: Any = [{"targetId": far, "type": HEAVY}]
    near = store.save_entity(large, name="near", type="t", relationships=edges).id
    heavy = [
        f"sessions/{large}/messages/",
        f"sessions/{large}/messages/?limit=500",
        f"sessions/{large}/checkpoints/",
        f"checkpoints/{checkpoint}/lineage/",
        f"sessions/{large}/dangling/",
        f"entities/{near}/related/",
        f"entities/{near}/related/?depth=2",
    ]
    with live_server(store.using) as url, httpx.Client(base_url=url, timeout=30) as http, ThreadPoolExecutor() as pool:
        with somebodys_turn():
            waiting = [pool.submit(http.get, path) for path in heavy]
            waiting.append(
                pool.submit(http.post, f"sessions/{small}/messages/", json={"role": "user", "content": HEAVY})
            )
            waiting.append(pool.submit(http.post, "facts/search/", json={"embedding": [1.0]}))
            waiting.append(pool.submit(http.post, f"sessions/{large}/repair/", json={}))
            assert http.get(f"sessions/{small}/messages/").status_code == 200
            assert http.post(f"sessions/{small}/messages/", json={"role": "user"}).status_code == 201
            assert http.get(f"sessions/{small}/checkpoints/").json()["results"] == []
            assert http.get(f"sessions/{small}/dangling/").json() == []
            assert not wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED).done
        assert [one.result(30).status_code for one in waiting] == [200] * 7 + [201, 200, 200]
        refused = http.post(f"sessions/{small}/messages/", json={"role": "nobody", "content": HEAVY})
        assert refused.status_code == 400
    with somebodys_turn():  # which those that failed have given back, too
        pass


def test_one_reader_does_not_stand_in_anothers_way() -> None:
    order: list[int] = []

    def work(user: int) -> None:
        with somebodys_turn(user):
            order.append(user)

    with ThreadPoolExecutor(20) as pool:
        with somebodys_turn(0):
            greedy = [pool.submit(work, 1) for _ in range(10)]
            eventually(lambda: waiting() == len(greedy))
            honest = pool.submit(work, 2)
            eventually(lambda: waiting() == len(greedy) + 1)
        for one in [*greedy, honest]:
            one.result(30)
    assert order.index(2) <= 1


@pytest.mark.parametrize("most", [10.0, 0.0])
def test_between_two_that_are_heavy_is_a_pause(monkeypatch: pytest.MonkeyPatch, most: float) -> None:
    monkeypatch.setattr(turns, "PAUSE", most)

    def begin() -> float:
        with somebodys_turn():
            return time.monotonic()

    with ThreadPoolExecutor() as pool:
        with somebodys_turn():
            began = time.monotonic()
            following = pool.submit(begin)
            eventually(lambda: waiting() == 1)
            time.sleep(max(0.0, began + 2 - time.monotonic()))
            ended = time.monotonic()
        assert (following.result(30) - ended >= 2) == bool(most)


def test_so_many_wait_and_one_more_does_not() -> None:
    def work(user: int) -> None:
        with somebodys_turn(user):
            pass

    readers = turns.WAITING // turns.WAITING_OF_READER
    with ThreadPoolExecutor(turns.WAITING) as pool, somebodys_turn():
        for user in range(1, readers + 1):
            for _ in range(turns.WAITING_OF_READER):
                pool.submit(work, user)
            eventually(lambda wanted=user * turns.WAITING_OF_READER: waiting() == wanted)  # type: ignore[misc]  # a bool
            with pytest.raises(Busy):
                work(user)
        with pytest.raises(Busy):
            work(readers + 1)
    assert not waiting()
    work(1)


@pytest.mark.parametrize("bound", ["WAITING", "WAITING_OF_READER"])
def test_who_may_not_wait_is_told_to_come_again(
    store: DjangoCheckpointStore, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    session = store.create_session("/").id
    path = f"sessions/{session}/messages/"
    store.add_message(session, "user", HEAVY)
    monkeypatch.setattr(turns, bound, 0)
    with live_server(store.using) as url, httpx.Client(base_url=url, timeout=30) as http:
        with somebodys_turn():
            for answer in (http.get(path), http.post(path, json={"role": "user", "content": HEAVY})):
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
                assert {**answer.json(), "detail": ""} == {"detail": "", "code": "busy", "maybe_written": False}
        assert http.post(path, json={"role": "user", "content": HEAVY}).status_code == 201
    assert len(store.get_messages(session)) == 2


def test_under_asgi_who_may_not_wait_is_refused_without_a_query_and_not_at_once(
    api: Client, path: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OBSKU_CHECKPOINT |= {"PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"]}
    monkeypatch.setattr(turns, "RETRY_AFTER", 1)
    body = b'{"role": "user", "content": "%s"}' % HEAVY.encode()

    def post(path: str) -> int:
        return over_asgi(path, body, (b"content-length", str(len(body)).encode()))

    unknown = "/api/sessions/unknown/"  # which a query says
    with ThreadPoolExecutor() as pool:
        with somebodys_turn():
            waits = [pool.submit(post, path), pool.submit(post, unknown)]
            eventually(lambda: waiting() == len(waits))
            with monkeypatch.context() as patch:
                patch.setattr(turns, "WAITING", 0)
                began = time.monotonic()
                assert post(unknown) == 503
                assert time.monotonic() - began >= 0.5
        assert [one.result(30) for one in waits] == [201, 404]


def test_who_waits_has_no_connection(committed: None) -> None:
    connection: list[Any] = []

    def work() -> None:
        connections["postgres"].ensure_connection()
        connection.append(connections["postgres"])
        with somebodys_turn():
            pass

    with ThreadPoolExecutor() as pool, somebodys_turn():
        waiting = pool.submit(work)
        eventually(lambda: bool(connection) and connection[0].connection is None)
        assert not waiting.done()
    waiting.result()


def test_a_body_that_trickles_takes_no_turn(store: DjangoCheckpointStore) -> None:
    session = store.create_session("/").id
    with live_server(store.using) as url, httpx.Client(base_url=url, timeout=30) as http:
        at = urlsplit(url)
        with socket.create_connection((str(at.hostname), int(at.port or 0))) as slow:
            head = f"POST /api/sessions/{session}/messages/ HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: 400000\r\n"
            slow.sendall(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
            answer = http.post(f"sessions/{session}/messages/", json={"role": "user", "content": HEAVY})
            assert answer.status_code == 201
