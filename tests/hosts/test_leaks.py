"""Nothing is left behind: no connection, no file descriptor, no thread; and no call hangs.

Each scenario runs in a process of its own, which is killed when it hangs.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import psycopg

from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from tests import processes

#: with LEAKS=full a scenario is repeated as often as users were seen to, which takes minutes
FULL = os.environ.get("LEAKS") == "full"
TASKS = 10_000
LOOPS = 2_000 if FULL else 200
CANCELLED = 1_000 if FULL else 200
DROPPED = 30


class Held(NamedTuple):
    """What this process holds."""

    connections: int
    descriptors: int
    threads: int


def held() -> Held:
    gc.collect()
    connections = processes.connected(os.environ["POSTGRES_URL"], os.environ["PGAPPNAME"])
    return Held(connections, len(os.listdir("/proc/self/fd")), threading.active_count())  # noqa: PTH208


@contextmanager
def nothing_more_is_held() -> Iterator[None]:
    """What the process holds after the block is not more than before; the server sees it a moment later."""
    before = held()
    yield
    end = time.monotonic() + processes.END
    while any(now > then for now, then in zip(held(), before, strict=True)) and time.monotonic() < end:
        time.sleep(0.05)
    assert all(now <= then for now, then in zip(held(), before, strict=True)), (before, held())


@contextmanager
def locked(session_id: str) -> Iterator[Callable[[int], None]]:
    """Writes to the session wait. What is given waits until so many connections of this process do."""
    with psycopg.connect(os.environ["POSTGRES_URL"], application_name="observer") as observer:
        observer.execute("SELECT FROM sessions WHERE id = %s FOR UPDATE", [session_id])

        def wait_for(count: int) -> None:
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
            while observer.execute(query, [os.environ["PGAPPNAME"]]).fetchall() != [(count,)]:
                observer.execute("SELECT pg_stat_clear_snapshot()")
                time.sleep(0.01)

        yield wait_for


async def assert_loops_pool_is_whole(store: DjangoCheckpointStore, size: int) -> None:
    """As many calls as the pool has connections are in the database at the same time."""
    session = await store.acreate_session(".")
    with locked(session.id) as wait_for:
        calls = [asyncio.create_task(store.aadd_message(session.id, "user", str(number))) for number in range(size)]
        await asyncio.to_thread(wait_for, size)
    await asyncio.gather(*calls)


def assert_threads_pool_is_whole(store: DjangoCheckpointStore, size: int) -> None:
    session = store.create_session(".")
    with ThreadPoolExecutor(size) as pool:
        with locked(session.id) as wait_for:
            calls = [pool.submit(store.add_message, session.id, "user", str(number)) for number in range(size)]
            wait_for(size)
        for call in calls:
            call.result()


# -- loops and tasks


def test_ten_thousand_tasks_write_at_once(tables_url: str) -> None:
    processes.run(_write_from_tasks, tables_url)


def _write_from_tasks() -> None:
    store = PostgresCheckpointStore(timeout=processes.PATIENCE)
    ids = [store.create_session(".").id for _ in range(50)]

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(TASKS):
                group.create_task(store.aadd_message(ids[number % len(ids)], "user", str(number)))
        await assert_loops_pool_is_whole(store, 10)

    with nothing_more_is_held():
        asyncio.run(main())
    written = [message.content for session_id in ids for message in store.get_messages(session_id)]
    assert sorted(map(int, map(str, written))) == list(range(TASKS))


def test_loops_one_after_another_leave_nothing(tables_url: str) -> None:
    processes.run(_run_loops, tables_url)


def _run_loops() -> None:
    for store in (DjangoCheckpointStore(), PostgresCheckpointStore()):
        session = store.create_session(".")
        asyncio.run(store.aget_session(session.id))
        with nothing_more_is_held():
            for _ in range(LOOPS):
                assert asyncio.run(store.aget_session(session.id)) == session
            for _ in range(LOOPS // 10):  # of a program that only closes its loop
                loop = asyncio.new_event_loop()
                assert loop.run_until_complete(store.aget_session(session.id)) == session
                loop.close()


def test_calls_that_are_cancelled_leave_the_pool_whole(tables_url: str) -> None:
    processes.run(_cancel_calls, tables_url)


def _cancel_calls() -> None:
    chance = random.Random(11)

    async def main(store: DjangoCheckpointStore) -> None:
        session = await store.acreate_session(".")
        acknowledged, cancelled, numbers = [], 0, itertools.count()

        async def write() -> None:
            content = str(next(numbers))
            await store.aadd_message(session.id, "user", content)
            acknowledged.append(content)

        while cancelled < CANCELLED:
            calls = [asyncio.create_task(write()) for _ in range(4)]
            await asyncio.sleep(chance.uniform(0, 0.002))
            for call in calls[: chance.randint(1, 4)]:
                call.cancel()
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                assert outcome is None or isinstance(outcome, asyncio.CancelledError)
                cancelled += outcome is not None
        written = [message.content for message in await store.aget_messages(session.id)]
        assert len(set(written)) == len(written)
        assert set(acknowledged) <= set(written)
        await assert_loops_pool_is_whole(store, 10)

    for store in (DjangoCheckpointStore(), PostgresCheckpointStore()):
        asyncio.run(store.aget_session("x"))
        with nothing_more_is_held():
            asyncio.run(main(store))


# -- threads


def test_threads_that_end_leave_nothing(tables_url: str) -> None:
    processes.run(_end_threads, tables_url)


def _end_threads() -> None:
    store = PostgresCheckpointStore(max_size=4)
    session = store.create_session(".")

    def work() -> None:
        store.add_message(session.id, "user", "sync")
        asyncio.run(store.aadd_message(session.id, "user", "async"))

    with nothing_more_is_held():
        for _ in range(10):
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert_threads_pool_is_whole(store, 4)
        store.close()
    assert len(store.get_messages(session.id)) == 160


# -- stores


def test_stores_that_nobody_closes_leave_nothing(tables_url: str) -> None:
    processes.run(_drop_stores, tables_url)


def _drop_stores() -> None:
    def use_one() -> None:
        store = PostgresCheckpointStore()
        session = store.create_session(".")
        assert asyncio.run(store.aget_session(session.id)) == session

    use_one()
    with nothing_more_is_held():
        for _ in range(DROPPED):
            use_one()
