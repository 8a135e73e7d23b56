"""The connections of an event loop: what the loop listens to, and what happens when somebody hangs up or gives up."""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from obsku_checkpoint.store import pools
from obsku_checkpoint.store.loop_connections import LoopConnection
from tests.test_faults import hang_up


@pytest.fixture
def url(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


def run(main: Callable[[selectors.BaseSelector], Coroutine[Any, Any, None]]) -> None:
    """Run it on a loop whose selector it can look into, and which hears of nothing but itself in the end."""
    selector = selectors.DefaultSelector()
    loop = asyncio.SelectorEventLoop(selector)
    try:
        of_its_own = len(selector.get_map())
        loop.run_until_complete(main(selector))
        assert len(selector.get_map()) == of_its_own
    finally:
        loop.close()


async def connect(url: str) -> LoopConnection:
    return await LoopConnection.connect(url, autocommit=True)


async def answer(connection: LoopConnection, statement: str, *parameters: Any) -> Any:
    row = await (await connection.execute(statement.encode(), parameters)).fetchone()
    assert row is not None
    return row[0]


def test_the_loop_listens_on_from_one_statement_to_the_next(url: str) -> None:
    async def main(selector: selectors.BaseSelector) -> None:
        connection = await connect(url)
        before = len(selector.get_map())
        for number in range(3):
            assert await answer(connection, "SELECT %s", number) == number
            assert len(selector.get_map()) == before + 1
        pools.finish(connection)

    run(main)


def test_a_statement_that_the_socket_does_not_take_at_once(url: str) -> None:
    async def main(_: selectors.BaseSelector) -> None:
        connection = await connect(url)
        for length in (1, 20_000_000, 1):
            assert await answer(connection, "SELECT length(%s::text)", "x" * length) == length
        pools.finish(connection)

    run(main)


def test_an_error_is_raised_where_the_statement_was_made(url: str) -> None:
    async def main(_: selectors.BaseSelector) -> None:
        connection = await connect(url)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await answer(connection, "SELECT 1 / %s", 0)
        assert await answer(connection, "SELECT 1") == 1
        pools.finish(connection)

    run(main)


def test_a_statement_that_is_cancelled_ends_in_the_server(url: str) -> None:
    async def main(_: selectors.BaseSelector) -> None:
        connection, other = await connect(url), await connect(url)
        for _attempt in range(3):
            task = asyncio.create_task(answer(connection, "SELECT pg_sleep(1000)"))
            await until_it_runs(other, "SELECT pg_sleep(1000)")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert connection.pgconn.transaction_status == TransactionStatus.IDLE
            assert await answer(connection, "SELECT 1") == 1
        pools.finish(connection)
        pools.finish(other)

    run(main)


async def until_it_runs(other: LoopConnection, statement: str) -> None:
    running = "SELECT count(*) FROM pg_stat_activity WHERE query = %s AND state = 'active'"
    while not await answer(other, running, statement):
        await asyncio.sleep(0.01)


def test_a_task_that_is_cancelled_as_its_answer_comes_leaves_the_connection_ready(url: str) -> None:
    async def main(_: selectors.BaseSelector) -> None:
        connection = await connect(url)
        for steps in range(6):
            task = asyncio.create_task(answer(connection, "SELECT 1"))
            for _step in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert connection.pgconn.transaction_status == TransactionStatus.IDLE
            assert await answer(connection, "SELECT 1") == 1
        pools.finish(connection)

    run(main)


def test_the_loop_hears_no_more_of_a_server_that_has_hung_up(url: str) -> None:
    async def main(selector: selectors.BaseSelector) -> None:
        connection = await connect(url)
        before = len(selector.get_map())
        assert await answer(connection, "SELECT 1") == 1
        hang_up(url)
        while len(selector.get_map()) > before:  # it is told once
            await asyncio.sleep(0.01)
        assert not selector.select(0)
        with pytest.raises(psycopg.OperationalError):
            await answer(connection, "SELECT 1")
        pools.finish(connection)

    run(main)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_holds_the_socket_does_not_keep_the_loop_busy(url: str) -> None:
    async def main(selector: selectors.BaseSelector) -> None:
        connection = await connect(url)
        assert await answer(connection, "SELECT 1") == 1
        if not (child := os.fork()):
            signal.pause()
        try:
            hang_up(url)
            with pytest.raises(psycopg.OperationalError):
                while True:
                    await answer(connection, "SELECT 1")
            pools.finish(connection)
            assert not selector.select(0)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    run(main)
