"""Heavy requests are worked on in turn, and small ones pass by."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.contrib.auth.models import User

from obsku_checkpoint.api.turns import Turn
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.client.live_server import live_server

HEAVY = "x" * 300_000


@contextmanager
def somebodys_turn(user: int = 7) -> Iterator[None]:
    turn = Turn()
    turn.take(SimpleNamespace(user=User(pk=user)))
    try:
        yield
    finally:
        turn.end()


def waits(answer: Future[httpx.Response]) -> bool:
    try:
        answer.result(0.5)
    except TimeoutError:
        return True
    return False


def test_heavy_requests_wait_and_others_do_not(store: DjangoCheckpointStore) -> None:
    small, large = (store.create_session("/").id for _ in range(2))
    store.add_message(small, "user", "hello")
    checkpoint: str | None = None
    for _ in range(2):
        store.add_message(large, "user", HEAVY)
        output: Any = {"a": {"status": "completed", "output": HEAVY}}
        checkpoint = store.save_checkpoint(large, step=1, node_results=output, parent_id=checkpoint).id
    heavy = [
        f"sessions/{large}/messages/",
        f"sessions/{large}/messages/?limit=500",
        f"sessions/{large}/checkpoints/",
        f"checkpoints/{checkpoint}/lineage/",
    ]
    with live_server(store.using) as url, httpx.Client(base_url=url, timeout=30) as http, ThreadPoolExecutor() as pool:
        with somebodys_turn():
            waiting = [pool.submit(http.get, path) for path in heavy]
            waiting.append(
                pool.submit(http.post, f"sessions/{small}/messages/", json={"role": "user", "content": HEAVY})
            )
            assert http.get(f"sessions/{small}/messages/").status_code == 200
            assert http.post(f"sessions/{small}/messages/", json={"role": "user"}).status_code == 201
            assert http.get(f"sessions/{small}/checkpoints/").json()["results"] == []
            assert all(map(waits, waiting))
        assert [one.result(30).status_code for one in waiting] == [200, 200, 200, 200, 201]
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
            assert not any(one.done() for one in greedy)
            honest = pool.submit(work, 2)
        for one in [*greedy, honest]:
            one.result(30)
    assert order.index(2) <= 2


def test_a_body_that_trickles_takes_no_turn(store: DjangoCheckpointStore) -> None:
    session = store.create_session("/").id
    with live_server(store.using) as url, httpx.Client(base_url=url, timeout=30) as http:
        at = urlsplit(url)
        with socket.create_connection((str(at.hostname), int(at.port or 0))) as slow:
            head = f"POST /api/sessions/{session}/messages/ HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: 400000\r\n"
            slow.sendall(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
            answer = http.post(f"sessions/{session}/messages/", json={"role": "user", "content": HEAVY})
            assert answer.status_code == 201
