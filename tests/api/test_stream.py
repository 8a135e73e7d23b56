"""The stream: every message and checkpoint of a session, once, in order, whoever writes them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction
from psycopg.conninfo import make_conninfo

from obsku_checkpoint.api.stream import feed, poller, postgres, views
from obsku_checkpoint.records import MessageRecord
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client
from tests.api.listening import Listening, run

BEGINNING = "0"
#: SQLite has one writer at a time
ON_POSTGRES = pytest.mark.parametrize("store", ["postgres"], indirect=True)


@pytest.fixture
def outside(postgres_database: Any) -> Iterator[Any]:
    """Makes connections to the test database as other programs have them."""
    made: list[psycopg.Connection] = []

    def connect() -> psycopg.Connection:
        given = connections["postgres"].settings_dict
        address = make_conninfo(host=given["HOST"], dbname=given["NAME"], user=given["USER"], port=given["PORT"])
        made.append(psycopg.connect(address))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


def insert(connection: psycopg.Connection, session_id: str, content: str) -> int:
    row = connection.execute(
        "INSERT INTO messages (session_id, role, content, created_at) VALUES (%s, 'user', %s, 5) RETURNING id",
        [session_id, content],
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_what_is_new_comes_in_order_as_the_api_shows_it(
    api: Client, store: DjangoCheckpointStore, stream: str, id: str
) -> None:
    async def test() -> None:
        await store.aadd_message(id, "user", "before")
        async with Listening(stream) as listening:
            assert (listening.status, listening.headers["content-type"]) == (200, "text/event-stream")
            assert listening.headers["cache-control"] == "no-cache"
            wanted: list[Any] = []
            for step in range(3):
                wanted.append(("message", (await store.aadd_message(id, "user", f"a\r\nb\n\n{step}")).id))
                wanted.append(("checkpoint", (await store.asave_checkpoint(id, step=step, node_results={})).id))
            many = await store.aadd_messages(id, [{"role": "user"}] * 3)
            wanted += [("message", one.id) for one in many]
            assert await listening.events(9) == wanted
            await store.aadd_message(id, "tool", "end")
            blocks.append(await listening.block() or "")

    blocks: list[str] = []
    run(test())
    (shown,) = api.get(f"{stream.removesuffix('events/')}messages/?limit=1").json()["results"]
    _, kind, data = blocks[0].splitlines()
    assert (kind, json.loads(data.removeprefix("data: "))) == ("event: message", shown)


def test_from_the_last_event_on_each_comes_once(
    store: DjangoCheckpointStore, stream: str, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_messages(id, [{"role": "user", "content": str(n)} for n in range(5)])
    for step in range(3):
        store.add_message(id, "assistant")
        store.save_checkpoint(id, step=step, node_results={})

    async def test() -> None:
        async with Listening(stream, last=BEGINNING) as listening:
            whole, cursors = [], []
            for _ in range(11):
                whole.append(await listening.event())
                cursors.append(listening.last)
        assert [kind for kind, _ in whole] == ["message"] * 6 + ["checkpoint"] + ["message", "checkpoint"] * 2
        assert len(set(whole)) == 11
        await store.aadd_message(id, "user", "later")
        for number, cursor in enumerate(cursors):
            async with Listening(stream, last=cursor) as listening:
                rest = await listening.events(11 - number)
                assert rest[:-1] == whole[number + 1 :]
        # Cut off before the first event.
        async with Listening(stream) as listening:
            await listening.block()
        missed = await store.aadd_message(id, "user", "missed")
        async with Listening(stream, last=listening.last) as listening:
            assert await listening.event() == ("message", missed.id)

    run(test())


def test_a_long_history_comes_in_parts(store: DjangoCheckpointStore, stream: str, id: str) -> None:
    count = feed.LIMIT * 2 + 5
    with transaction.atomic(using=store.using):  # of one transaction, which no part holds whole
        records: list[MessageRecord] = store.add_messages(id, [{"role": "user"}] * count)
        saved = store.save_checkpoint(id, step=1, node_results={})

    async def test() -> None:
        async with Listening(stream, last=BEGINNING) as listening:
            wanted = [*(("message", one.id) for one in records), ("checkpoint", saved.id)]
            half = await listening.events(feed.LIMIT + 7)
        async with Listening(stream, last=listening.last) as listening:
            assert half + await listening.events(count + 1 - len(half)) == wanted

    run(test())


@pytest.mark.parametrize("savepoint", [False, True])
@ON_POSTGRES
def test_what_is_committed_late_is_neither_missed_nor_repeated(
    store: DjangoCheckpointStore, stream: str, id: str, outside: Any, savepoint: bool
) -> None:
    late, early = outside(), outside()
    checkpoint = f"0-{uuid.uuid4()}"

    async def test() -> None:
        async with Listening(stream) as listening:
            if savepoint:
                late.execute("SELECT pg_current_xact_id()")
                late.execute("SAVEPOINT part")
            first = insert(late, id, "late")
            late.execute(
                "INSERT INTO checkpoints (id, session_id, step, node_results, source, created_at)"
                " VALUES (%s, %s, 1, '{}', 'loop', 5)",
                [checkpoint, id],
            )
            if savepoint:
                late.execute("RELEASE part")
            second = insert(early, id, "early")
            early.commit()
            assert first < second
            assert await listening.event() == ("message", second)
            third = insert(early, id, "early again")
            early.commit()
            assert await listening.event() == ("message", third)
        # Whoever comes back while the first transaction is open gets what is new, and what is late in its turn.
        async with Listening(stream, last=listening.last) as listening:
            fourth = insert(early, id, "after the return")
            early.commit()
            assert await listening.event() == ("message", fourth)
        late.commit()
        fifth = insert(early, id, "at the end")
        early.commit()
        async with Listening(stream, last=listening.last) as listening:
            assert await listening.events(3) == [("message", first), ("checkpoint", checkpoint), ("message", fifth)]

    run(test())


@ON_POSTGRES
def test_rows_wait_where_a_place_would_grow_too_long(
    store: DjangoCheckpointStore, stream: str, id: str, outside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "GIVEN", 3)
    open_for_long, writer = outside(), outside()

    async def test() -> None:
        async with Listening(stream) as listening:
            first = insert(open_for_long, id, "late")
            ids = []
            for number in range(6):
                ids.append(insert(writer, id, str(number)))
                writer.commit()
            assert await listening.events(3) == [("message", id) for id in ids[:3]]
            open_for_long.commit()
            assert await listening.events(4) == [("message", id) for id in (first, *ids[3:])]

    run(test())


@ON_POSTGRES
def test_who_comes_while_a_place_would_be_too_long_is_told_to_come_again(
    store: DjangoCheckpointStore, stream: str, id: str, outside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "GIVEN", 3)
    open_for_long, writer = outside(), outside()
    insert(open_for_long, id, "late")
    for number in range(4):
        insert(writer, id, str(number))
        writer.commit()

    async def test() -> None:
        async with Listening(stream) as listening:
            assert (listening.status, "retry-after" in listening.headers) == (503, True)
        open_for_long.commit()

    run(test())


@ON_POSTGRES
def test_ids_that_begin_anew_are_not_taken_for_settled(
    store: DjangoCheckpointStore, stream: str, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "SETTLED", 0.0)
    asked = postgres.PostgresFeed(store.using)
    for oldest, top in ((10, 100), (20, 200), (30, 300), (40, 400)):
        asked._settle(oldest, oldest + 1, top, None)
    assert asked._settled != (0, 0)
    asked._settle(50, 51, 5, None)
    assert asked._settled == (0, 0)


def test_compression_does_not_hold_events_back(
    store: DjangoCheckpointStore, stream: str, id: str, settings: Any
) -> None:
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]

    async def test() -> None:
        async with Listening(stream, encoding="gzip") as listening:
            assert listening.headers["content-encoding"] == "identity"
            await listening.block()
            message = await store.aadd_message(id, "user", "x" * 1000)
            assert await listening.event() == ("message", message.id)

    run(test())


@ON_POSTGRES
def test_messages_are_found_by_their_ids_once_the_older_ones_are_settled(
    store: DjangoCheckpointStore, stream: str, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "SETTLED", 0.0)
    asked = postgres.PostgresFeed(store.using)
    cursor, given = asked.cursor(BEGINNING), list[Any]()
    sent: list[int] = []
    # Not at once where others on the server, such as tests that run at the same time, hold the horizon back.
    while len(sent) < 8 or not (asked._floor([(id, cursor)]) or len(sent) > 2000):
        sent.append(store.add_message(id, "user").id)
        (found,) = asked.read([(id, cursor)])
        given += [event.record.id for event in found.events]
        cursor = found.cursor
    assert given == sent
    assert asked._floor([(id, cursor)]) >= sent[0]
    assert asked._floor([(id, asked.cursor(BEGINNING))]) == 0


def test_silence_is_filled_with_comments(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "HEARTBEAT", 0.05)

    async def test() -> None:
        async with Listening(stream) as listening:
            assert (await listening.block() or "").startswith(": listening\nid: ")
            assert [await listening.block() for _ in range(2)] == [": alive"] * 2

    run(test())


def test_a_deleted_session_ends_its_stream(store: DjangoCheckpointStore, stream: str, id: str) -> None:
    async def test() -> None:
        async with Listening(stream) as listening:
            await listening.block()
            await store.adelete_session(id)
            assert await listening.events(2) == [("deleted", id), ("end", None)]
        async with Listening(stream, last=listening.last) as listening:
            assert listening.status == 404

    run(test())


def test_all_are_served_by_one_statement_an_interval_and_none_when_nobody_listens(
    store: DjangoCheckpointStore, stream: str, id: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = store.create_session("/").id
    statements: list[tuple[str, int]] = []
    asked_of = poller.poller(store.using).feed
    read = asked_of.read

    def counted(watched: Any) -> Any:
        statements.append((threading.current_thread().name, len(watched)))
        return read(watched)

    monkeypatch.setattr(asked_of, "read", counted)

    def asked() -> list[int]:
        return [count for thread, count in statements if thread == "obsku-checkpoint-stream"]

    async def test() -> None:
        paths = [stream] * 10 + [stream.replace(id, other)] * 10
        async with contextlib.AsyncExitStack() as stack:
            all = [await stack.enter_async_context(Listening(path)) for path in paths]
            for one in all:
                await one.block()
            before = len(asked())
            while len(asked()) < before + 5:
                await asyncio.sleep(0.01)
            # Two sessions, one cursor each, whoever listens.
            assert asked()[-2:] == [2, 2]
            sent = [await store.aadd_message(session, "user") for session in (id, other)]
            for one, message in zip(all, [sent[0]] * 10 + [sent[1]] * 10, strict=True):
                assert await one.event() == ("message", message.id)
            assert len([one for one in threading.enumerate() if one.name == "obsku-checkpoint-stream"]) == 1
        thread = next((one for one in threading.enumerate() if one.name == "obsku-checkpoint-stream"), None)
        if thread is not None:
            await asyncio.to_thread(thread.join, 20)
        count = len(statements)
        await store.aadd_message(id, "user")
        await asyncio.sleep(0.1)
        assert len(statements) == count

    run(test())


def test_listeners_hold_no_threads(store: DjangoCheckpointStore, stream: str) -> None:
    async def test() -> None:
        async with contextlib.AsyncExitStack() as stack:
            first = await stack.enter_async_context(Listening(stream))
            await first.block()
            threads = threading.active_count()
            for _ in range(20):
                one = await stack.enter_async_context(Listening(stream))
                await one.block()
            assert threading.active_count() <= threads + 2

    run(test())


def test_a_listener_whose_loop_is_closed_is_forgotten(store: DjangoCheckpointStore, stream: str, id: str) -> None:
    asked = poller.poller(store.using)
    beginning = asked.feed.cursor(BEGINNING)

    async def leave() -> poller.Listener:
        listener = asked.listen(id, beginning).__enter__()
        assert await listener.changes(0.05) is None
        return listener

    listener = asyncio.run(leave())
    store.add_message(id, "user")
    for thread in threading.enumerate():  # nobody else listens, so the poller's ends
        if thread.name == "obsku-checkpoint-stream":
            thread.join(20)
            assert not thread.is_alive()
    assert listener.cursor != beginning
