"""What is asked once more after a broken connection, a timeout or a refusal, and what is not."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from obsku_checkpoint.client.request import Request
from obsku_checkpoint.client.retries import Outcome, Pause, exchange
from obsku_checkpoint.errors import CheckpointStoreError, StoreUnavailableError
from obsku_checkpoint.protocols import CheckpointStore
from tests.client.conftest import CHECKPOINT, MESSAGE, SESSION, Open
from tests.client.socket_server import Behaviour, answer, babble, cut_off, hang_up, say_nothing, socket_server

AWAY = {"detail": "The database is unavailable: try again."}
FAILURES: dict[str, Behaviour] = {
    "closed without an answer": hang_up,
    "closed in the middle of the answer": cut_off,
    "another protocol": babble,
    "no answer": say_nothing,
    "503": answer(503, AWAY, Retry_After="0"),
    "502 of a proxy": answer(502, b"<html>", Content_Type="text/html"),
    "504 of a proxy": answer(504, b"", Content_Type="text/html"),
}
REPEATABLE: dict[str, tuple[Callable[[CheckpointStore], object], Behaviour]] = {
    "create_session": (lambda store: store.create_session("/repo"), answer(201, SESSION)),
    "update_session": (lambda store: store.update_session("s", title="T"), answer(200, SESSION)),
    "delete_session": (lambda store: store.delete_session("s"), answer(204)),
    "get_session": (lambda store: store.get_session("s"), answer(200, SESSION)),
    "save_checkpoint": (lambda store: store.save_checkpoint("s", step=1, node_results={}), answer(201, CHECKPOINT)),
    "repair": (lambda store: store.repair("s"), answer(200, {"repaired": 2})),
}
ONCE: dict[str, tuple[Callable[[CheckpointStore], object], Behaviour]] = {
    "add_message": (lambda store: store.add_message("s", "user", "hello"), answer(201, MESSAGE)),
    "add_messages": (lambda store: store.add_messages("s", [{"role": "user"}]), answer(201, [MESSAGE])),
    "fork": (lambda store: store.fork("c"), answer(201, SESSION)),
    "fork_at": (lambda store: store.fork_at(1), answer(201, SESSION)),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_what_may_be_repeated_is_sent_again_as_it_was(open_store: Open, failure: Behaviour) -> None:
    for call, success in REPEATABLE.values():
        with socket_server(failure, success) as server:
            assert call(open_store(server.url, timeout=0.3))
        first, second = server.received
        assert (first.method, first.path, first.body) == (second.method, second.path, second.body)


def test_ids_are_given_before_the_first_try(open_store: Open) -> None:
    with socket_server(hang_up, answer(201, SESSION), hang_up, answer(201, CHECKPOINT)) as server:
        store = open_store(server.url)
        store.create_session("/repo")
        store.save_checkpoint("s", step=1, node_results={})
    ids = [request.body["id"] for request in server.received]
    assert len(ids[0]) == len(ids[2]) == 36
    assert (ids[0], ids[2]) == (ids[1], ids[3])
    assert ids[0] != ids[2]


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_what_may_have_been_carried_out_is_not_sent_again(open_store: Open, failure: Behaviour) -> None:
    for name, (call, _) in ONCE.items():
        with socket_server(failure) as server:
            with pytest.raises(StoreUnavailableError, match="may have been carried out"):
                call(open_store(server.url, timeout=0.3))
            assert len(server.received) == 1, name


def test_what_was_certainly_not_carried_out_is_sent_again(open_store: Open) -> None:
    for call, success in (*REPEATABLE.values(), *ONCE.values()):
        with socket_server(answer(429, {"detail": "Request was throttled."}, Retry_After="0"), success) as server:
            assert call(open_store(server.url))
        assert len(server.received) == 2


def test_tries_come_to_an_end(open_store: Open) -> None:
    with socket_server(hang_up, cut_off, hang_up) as server:
        with pytest.raises(StoreUnavailableError) as caught:
            open_store(server.url, retries=2).get_session("s")
        assert len(server.received) == 3
    assert isinstance(caught.value.__cause__, httpx.RemoteProtocolError)
    with socket_server(answer(503, AWAY)) as server, pytest.raises(StoreUnavailableError, match="answers 503"):
        open_store(server.url, retries=0).get_session("s")


def test_a_server_that_is_not_there_is_unavailable(open_store: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
    store = open_store(url, retries=1)
    for call, _ in (*REPEATABLE.values(), *ONCE.values()):
        with pytest.raises(StoreUnavailableError) as caught:
            call(store)
        assert isinstance(caught.value.__cause__, httpx.ConnectError)
        assert "may have been" not in str(caught.value)


def test_a_server_that_wants_to_be_left_alone_for_long_is_unavailable(open_store: Open) -> None:
    with socket_server(answer(503, AWAY, Retry_After="3600")) as server:
        with pytest.raises(StoreUnavailableError):
            open_store(server.url).get_session("s")
        assert len(server.received) == 1


@pytest.mark.parametrize(("status", "error"), [(500, CheckpointStoreError), (505, CheckpointStoreError)])
def test_a_server_that_fails_is_not_asked_again(open_store: Open, status: int, error: type[Exception]) -> None:
    with socket_server(answer(status, b"<h1>Server Error</h1>", Content_Type="text/html")) as server:
        with pytest.raises(error, match=f"sessions/s/ answers {status}"):
            open_store(server.url).get_session("s")
        assert len(server.received) == 1


# How long it waits: the steps themselves, so that no test waits


def pauses(*outcomes: Outcome, repeatable: bool = True, retries: int = 20) -> list[float]:
    """The seconds waited after each outcome."""
    steps = exchange(Request(method="GET", path="", repeatable=repeatable), retries)
    waited = []
    next(steps)
    for outcome in outcomes:
        pause = steps.send(outcome)
        assert isinstance(pause, Pause)
        waited.append(pause.seconds)
        assert isinstance(steps.send(None), Request)
    return waited


def test_waits_grow_and_are_not_all_alike() -> None:
    broken = httpx.ReadError("broken")
    waits = [pauses(*[broken] * 6) for _ in range(20)]
    for number in range(6):
        of_this_number = {each[number] for each in waits}
        assert len(of_this_number) == 20
        assert 0.05 * 2**number <= min(of_this_number) <= max(of_this_number) <= 0.1 * 2**number


def test_retry_after_is_honoured_in_both_forms() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=20)
    answers = [httpx.Response(503, headers={"Retry-After": value}) for value in ("7", format_datetime(soon))]
    seconds, date = pauses(*answers)
    assert seconds == 7
    assert 10 < date <= 20
    others = ("0", "soon", "Mon, 01 Jan 2024 00:00:00 +99999999999999999")
    past, nonsense, no_zone = pauses(*(httpx.Response(503, headers={"Retry-After": value}) for value in others))
    assert past <= 0.1
    assert nonsense <= 0.2
    assert no_zone <= 0.4


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
def test_a_request_that_never_left_may_be_sent_again(error: type[httpx.TransportError]) -> None:
    assert len(pauses(error("no"), repeatable=False)) == 1
