"""The pools of threads and of event loops: bounds, turns, what breaks, what is lost on the way."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from obsku_checkpoint.store import loop_pools, pools
from obsku_checkpoint.store.loop_connections import LoopConnection
from obsku_checkpoint.store.loop_pools import LoopPool
from obsku_checkpoint.store.pools import ThreadsPool
from tests.test_faults import hang_up


@pytest.fixture
def url(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


@pytest.fixture
def threads_pool(url: str) -> Iterator[tuple[ThreadsPool, Callable[[], psycopg.Connection[Any]]]]:
    pool = ThreadsPool("a test", size=2, timeout=0.5, keep=1)
    yield pool, lambda: pool.take(lambda: psycopg.connect(url, autocommit=True))
    pool.close_free()


def loop_pool(url: str, *, size: int = 2, timeout: float = 0.5) -> LoopPool:
    return LoopPool("a test", size=size, timeout=timeout, connect=lambda: LoopConnection.connect(url, autocommit=True))


# -- threads


def test_threads_get_the_connection_that_was_used_last(threads_pool: Any) -> None:
    pool, take = threads_pool
    first, second = take(), take()
    pool.give(first)
    pool.give(second)
    assert take() is second
    pool.give(second)


def test_a_thread_waits_its_turn_and_is_told_when_it_was_in_vain(threads_pool: Any) -> None:
    pool, take = threads_pool
    held = [take(), take()]
    with pytest.raises(psycopg.OperationalError, match=r"none of 2 connections was free for 0\.5 seconds"):
        take()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(take)
        pool.give(held[0])
        assert waiting.result() is held[0]
    for connection in held:
        pool.give(connection)


def test_a_connection_that_is_lost_on_the_way_frees_its_place(threads_pool: Any) -> None:
    pool, take = threads_pool
    held = [take(), take()]
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(take)
        held.pop().close()  # and nobody gives it back
        gc.collect()
        pool.give(waiting.result())
    pool.give(held.pop())


def test_a_connection_in_a_transaction_or_broken_is_not_used_again(threads_pool: Any, url: str) -> None:
    pool, take = threads_pool
    connection = take()
    connection.execute("BEGIN")
    pool.give(connection)
    assert connection.closed
    other = take()
    before = pools.breakages("a test")
    hang_up(url)
    with pytest.raises(psycopg.Error):
        other.execute("SELECT 1")
    pool.give(other)
    assert pools.breakages("a test") == before + 1


def test_connections_that_were_free_while_another_broke_are_asked_before_use(threads_pool: Any, url: str) -> None:
    pool, take = threads_pool
    one, other = take(), take()
    pool.give(one)
    hang_up(url)
    with pytest.raises(psycopg.Error):
        other.execute("SELECT 1")
    pool.give(other)
    fresh = take()
    assert fresh not in (one, other)
    assert fresh.execute("SELECT 1").fetchone() == (1,)
    pool.give(fresh)


def test_who_waits_opens_a_connection_where_another_one_broke(threads_pool: Any) -> None:
    pool, take = threads_pool
    held = [take(), take()]
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(take)
        pool.discard(held.pop())
        connection = waiting.result()
    assert connection.execute("SELECT 1").fetchone() == (1,)
    pool.give(connection)
    pool.give(held.pop())


def test_what_was_free_for_long_is_closed_but_for_what_is_kept(
    threads_pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, take = threads_pool
    first, second = take(), take()
    pool.give(first)
    later = time.monotonic() + 2 * pools.IDLE_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    pool.give(second)
    assert first.closed
    assert not second.closed


def test_a_connection_that_cannot_be_opened_leaves_its_place(threads_pool: Any) -> None:
    pool, take = threads_pool
    for _ in range(5):
        with pytest.raises(psycopg.OperationalError):
            pool.take(lambda: psycopg.connect("host=127.0.0.1 port=1"))
    pool.give(take())


@pytest.mark.parametrize("count", [3, 8])
def test_many_threads_share_two_connections(threads_pool: Any, count: int) -> None:
    pool, take = threads_pool
    pool.timeout = 20
    at_work = threading.Semaphore(2)

    def work(_: int) -> bool:
        connection = take()
        try:
            return at_work.acquire(blocking=False) and connection.execute("SELECT true").fetchone() == (True,)
        finally:
            at_work.release()
            pool.give(connection)

    with ThreadPoolExecutor(count) as threads:
        assert all(threads.map(work, range(200)))


# -- event loops


def test_tasks_are_handed_connections_in_turn(url: str) -> None:
    async def main() -> list[int]:
        pool, order = loop_pool(url, size=1, timeout=20), list[int]()

        async def work(number: int) -> None:
            connection = await pool.take()
            order.append(number)
            await asyncio.sleep(0)
            pool.give(connection)

        await asyncio.gather(*(work(number) for number in range(50)))
        return order

    assert asyncio.run(main()) == list(range(50))


def test_a_task_that_is_cancelled_while_it_waits_passes_its_turn_on(url: str) -> None:
    async def main() -> None:
        pool = loop_pool(url, size=1, timeout=20)
        held = await pool.take()
        waiting = [asyncio.create_task(pool.take()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        pool.give(held)
        waiting[1].cancel()  # it was its turn
        assert await waiting[2] is held
        assert all(task.cancelled() for task in waiting[:2])
        pool.give(held)

    asyncio.run(main())


def test_a_task_is_told_that_it_waited_in_vain(url: str) -> None:
    async def main() -> None:
        pool = loop_pool(url, size=1, timeout=0.1)
        held = await pool.take()
        with pytest.raises(psycopg.OperationalError, match="none of 1 connections"):
            await pool.take()
        pool.give(held)
        pool.give(await pool.take())

    asyncio.run(main())


def test_a_loop_that_ends_closes_its_connections(url: str) -> None:
    async def main() -> list[LoopConnection]:
        pool = loop_pool(url)
        connections = [await pool.take(), await pool.take()]
        pool.give(connections[0])
        return connections

    free, held = asyncio.run(main())
    assert free.closed
    held.pgconn.finish()


def test_a_loop_that_is_dropped_takes_its_pool_with_it(url: str) -> None:
    loop = asyncio.new_event_loop()

    async def main() -> LoopConnection:
        pool = loop_pool(url)
        connection = await pool.take()
        pool.give(connection)
        return connection

    connection = loop.run_until_complete(main())
    loop.close()
    del loop
    gc.collect()
    assert connection.closed


def test_each_loop_has_a_pool_of_its_own(url: str) -> None:
    async def main() -> tuple[LoopPool | None, LoopPool]:
        before = loop_pools.of_running_loop("a test")
        pool = loop_pool(url)
        assert loop_pools.of_running_loop("a test") is pool
        return before, pool

    assert [asyncio.run(main())[0] for _ in range(2)] == [None, None]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_leaves_its_parents_connections_alone(threads_pool: Any) -> None:
    pool, take = threads_pool
    connection = take()
    pool.give(connection)
    pools.threads_pools["a test"] = pool
    try:
        if not (child := os.fork()):
            fresh = take()
            os._exit(0 if fresh is not connection and fresh.execute("SELECT 7").fetchone() == (7,) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        del pools.threads_pools["a test"]
    assert take() is connection
    assert connection.execute("SELECT 7").fetchone() == (7,)
    pool.give(connection)
