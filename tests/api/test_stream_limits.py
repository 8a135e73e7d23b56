"""The stream: how long it lasts, how many there are, and how much is read at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connections

from obsku_checkpoint.api.stream import admission, feed, poller
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.listening import Listening, run

HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the others are slow by intention


@pytest.fixture
def viewer(settings: Any) -> User:
    settings.PASSWORD_HASHERS = HASHERS
    name = f"viewer-{uuid.uuid4().hex[:12]}"
    user = User.objects.create_user(name, password=name)
    wanted = [f"view_{model}" for model in ("session", "message", "checkpoint")]
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    return user


#: user -> workspaces
SCOPES: dict[str, list[str]] = {}


def scope(request: Any) -> list[str] | None:
    return SCOPES.get(request.user.get_username())


def signed_in(settings: Any, store: DjangoCheckpointStore, **options: Any) -> None:
    settings.OBSKU_CHECKPOINT = {
        "DATABASE": store.using,
        "STREAM_INTERVAL_MS": 20,
        "WORKSPACE_SCOPE": "tests.api.test_stream_limits.scope",
        **options,
    }


def forbid(user: User) -> None:
    user.user_permissions.clear()


def deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def delete(user: User) -> None:
    User.objects.filter(pk=user.pk).delete()


def narrow(user: User) -> None:
    SCOPES[user.get_username()] = ["elsewhere"]


def closing_connections(revoke: Callable[[User], None]) -> Callable[[User], None]:
    """In a thread of its own, which nobody else closes the connections of."""

    def call(user: User) -> None:
        revoke(user)
        connections.close_all()

    return call


#: what is taken from the reader of an open stream, and the answer when the stream comes back
REVOKED: dict[Callable[[User], None], int] = {forbid: 403, deactivate: 401, delete: 401, narrow: 404}


@pytest.mark.parametrize(("revoke", "status"), REVOKED.items())
def test_a_stream_ends_and_comes_back_only_to_those_who_still_may(
    store: DjangoCheckpointStore,
    stream: str,
    id: str,
    settings: Any,
    viewer: User,
    revoke: Callable[[User], None],
    status: int,
) -> None:
    signed_in(settings, store, STREAM_MAX_SECONDS=1)
    name = viewer.get_username()

    async def test() -> None:
        async with Listening(stream, user=name) as first:
            seen = await store.aadd_message(id, "user")
            assert await first.event() == ("message", seen.id)
            began = time.monotonic()
            assert await first.event() == ("end", None)
            assert time.monotonic() - began < 20  # as ended, not as waited for
        missed = await store.aadd_message(id, "user")
        async with Listening(stream, user=name, last=first.last) as second:
            assert await second.event() == ("message", missed.id)
            await asyncio.to_thread(closing_connections(revoke), viewer)
            assert await second.event() == ("end", None)
        await store.aadd_message(id, "user", "secret")
        async with Listening(stream, user=name, last=second.last) as third:
            assert third.status == status
            assert "secret" not in (await third.block() or "")

    run(test())


def test_a_user_has_so_many_streams_and_others_theirs(
    store: DjangoCheckpointStore, stream: str, id: str, settings: Any, viewer: User
) -> None:
    signed_in(settings, store, STREAMS_PER_USER=3)
    name = viewer.get_username()
    other = f"other-{uuid.uuid4().hex[:12]}"
    User.objects.create_superuser(other, password=other)

    async def test() -> None:
        async with contextlib.AsyncExitStack() as stack:
            mine = [await stack.enter_async_context(Listening(stream, user=name)) for _ in range(3)]
            for one in mine:
                await one.block()
            for _ in range(2):
                async with Listening(stream, user=name) as refused:
                    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
                    assert '"code":"too_many_streams"' in (await refused._received.get() or b"").decode()
            async with Listening(stream, user=name, method="HEAD") as head:
                assert head.status == 200
            async with Listening(stream, user=other) as others:
                assert others.status == 200
        for _ in range(4):  # those that were left count no longer
            async with Listening(stream, user=name) as again:
                assert again.status == 200
        assert not admission._open

    run(test())


def test_whoever_hangs_up_before_the_answer_holds_nothing(
    store: DjangoCheckpointStore, stream: str, id: str, settings: Any, viewer: User
) -> None:
    signed_in(settings, store, STREAMS_PER_USER=1)

    async def test() -> None:
        for pause in (0, 0.001, 0.005, 0.01, 0.02):
            listening = Listening(stream, user=viewer.get_username())
            task = asyncio.create_task(listening.__aenter__())
            await asyncio.sleep(pause)
            listening._gone.set()
            with contextlib.suppress(AssertionError):  # there was no answer
                await task
            with contextlib.suppress(asyncio.CancelledError):
                await listening.task
        while admission._open:  # what was under way in a thread
            await asyncio.sleep(0.01)
            gc.collect()  # from Python 3.13 on an exception of asyncio's may hold what was dropped
        async with Listening(stream, user=viewer.get_username()) as after:
            assert after.status == 200

    run(test())


ENTERING: list[int] = []
MOST: list[int] = []
_lock = threading.Lock()


def slow_scope(request: Any) -> None:
    with _lock:
        ENTERING.append(1)
        MOST.append(len(ENTERING))
    time.sleep(0.02)
    with _lock:
        ENTERING.pop()


def test_a_crowd_is_let_in_in_turn(store: DjangoCheckpointStore, stream: str, id: str, settings: Any) -> None:
    settings.OBSKU_CHECKPOINT = {
        **settings.OBSKU_CHECKPOINT,
        "STREAMS_PER_USER": 100,
        "WORKSPACE_SCOPE": "tests.api.test_stream_limits.slow_scope",
    }
    MOST.clear()

    async def test() -> None:
        async with contextlib.AsyncExitStack() as stack:
            crowd = [Listening(stream) for _ in range(60)]
            await asyncio.gather(*(stack.enter_async_context(one) for one in crowd))
            assert {one.status for one in crowd} == {200}
            for one in crowd:
                await one.block()
            message = await store.aadd_message(id, "user")
            for one in crowd:
                assert await one.event() == ("message", message.id)

    run(test())
    assert len(MOST) == 60
    assert max(MOST) <= admission.AT_A_TIME


def test_a_batch_is_bounded_in_bytes_and_everybody_gets_on(store: DjangoCheckpointStore, stream: str, id: str) -> None:
    other = store.create_session("/").id
    wanted: dict[str, list[Any]] = {id: [], other: []}
    sizes = [700_000] * 4 + [feed.BATCH_BYTES * 2, 10] + [700_000] * 3
    for session, ids in wanted.items():
        for size in sizes:
            ids.append(store.add_message(session, "user", "x" * size).id)
            output: Any = {"node": {"status": "completed", "output": "x" * size}}
            ids.append(store.save_checkpoint(session, step=1, node_results=output).id)
    asked = poller.Poller(store.using).feed
    cursors = {session: asked.cursor(feed.BEGINNING) for session in wanted}
    given: dict[str, list[Any]] = {session: [] for session in wanted}
    rounds = 0
    while given != wanted:
        # Whoever got something goes to the end, as in the poller.
        order = sorted(wanted, key=lambda session: len(given[session]))
        found = dict(zip(order, asked.read([(session, cursors[session]) for session in order]), strict=True))
        events = [event for one in found.values() for event in one.events]
        sizes_of = [_bytes(event.record) for event in events]
        assert found[order[0]].events
        assert len(events) == 1 or sum(sizes_of) <= feed.BATCH_BYTES
        for session, one in found.items():
            given[session] += [event.record.id for event in one.events]
            cursors[session] = one.cursor
            assert one.more is (given[session] != wanted[session])
        rounds += 1
        assert rounds < 40

    async def test() -> None:
        async with Listening(stream, last=feed.BEGINNING) as listening:
            assert [one for _, one in await listening.events(len(wanted[id]))] == wanted[id]

    run(test())


def test_requests_get_the_interpreter_between_two_batches(
    store: DjangoCheckpointStore, stream: str, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [store.add_message(id, "user", "x" * (feed.BATCH_BYTES // 2)).id for _ in range(6)]
    polling = poller.Poller(store.using)
    read = polling.feed.read
    beginning = polling.feed.cursor(feed.BEGINNING)
    reads: list[tuple[float, float, bool]] = []

    def timed(watched: Any) -> Any:
        began = time.monotonic()
        found = read(watched)
        reads.append((began, time.monotonic(), any(one.more for one in found)))
        return found

    monkeypatch.setattr(polling.feed, "read", timed)

    async def test() -> None:
        given: list[Any] = []
        with polling.listen(id, beginning) as listener:
            while given != wanted:
                found = await listener.changes(60)
                assert found
                given += [event.record.id for event in found.events]

    run(test())
    pauses = [after[0] - before[1] for before, after in itertools.pairwise(reads) if before[2]]
    assert len(pauses) >= 3
    assert min(pauses) >= poller.PAUSE * 0.99  # a clock's rounding


def _bytes(record: Any) -> int:
    return len(record.content) if hasattr(record, "content") else len(record.node_results["node"]["output"])
