"""The pool of one event loop and alias: psycopg's async connections."""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable

import psycopg

from obsku_checkpoint.store.loop_connections import LoopConnection
from obsku_checkpoint.store.pools import IDLE_SECONDS, Pool, Reserved, finish


class LoopPool(Pool[LoopConnection, "asyncio.Future[LoopConnection | None]"]):
    """The pool of one event loop and alias.

    The loop owns it, through the timer that closes idle connections: nothing else refers to it for good, so it ends
    with a loop that is dropped. A loop that is closed properly (`asyncio.run`, `asyncio.Runner`, uvloop, uvicorn,
    pytest-asyncio) ends its async generators last of all, of which the pool has one.
    """

    def __init__(
        self, alias: str, *, size: int, timeout: float, connect: Callable[[], Awaitable[LoopConnection]]
    ) -> None:
        """A pool of the running loop, which finds it by `of_running_loop` from then on."""
        super().__init__(alias, size=size, timeout=timeout)
        self._connect = connect
        self._ended = False
        weakref.finalize(self, _finish_all, self._free, os.getpid()).atexit = False
        ends = self._with_the_loop()
        with contextlib.suppress(StopIteration):
            ends.__anext__().send(None)  # it begins without an await
        loop = asyncio.get_running_loop()
        loop.call_later(IDLE_SECONDS, _sweep, weakref.ref(loop), self, ends)
        _loops_pools.setdefault(loop, {})[alias] = weakref.ref(self)

    async def take(self) -> LoopConnection:
        while True:
            with self._lock:
                free = self._take_free()
            if free:
                connection, ask = free
                if not ask or await self._answers(connection):
                    return connection
                continue
            if place := self._reserve():
                return await self._opened(place)
            if connection_or_place := await self._wait():
                return connection_or_place

    async def _answers(self, connection: LoopConnection) -> bool:
        try:
            await connection.execute("")
        except BaseException as error:
            self.discard(connection)
            if isinstance(error, psycopg.Error):
                return False
            raise
        return True

    async def _opened(self, place: Reserved) -> LoopConnection:
        try:
            connection = await self._connect()
        except BaseException:
            self._open.discard(place)
            self._hand_on(None)
            raise
        self._open.add(connection)
        self._open.discard(place)
        return connection

    async def _wait(self) -> LoopConnection | None:
        waiter: asyncio.Future[LoopConnection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self.timeout):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._hand_on(waiter.result())  # its turn came as the caller went away
            if isinstance(error, TimeoutError):
                raise self._timed_out() from None
            raise

    def _deliver(
        self,
        waiter: asyncio.Future[LoopConnection | None],
        connection: LoopConnection | None,
    ) -> bool:
        if waiter.done():
            return False
        waiter.set_result(connection)
        return True

    def give(self, connection: LoopConnection) -> None:
        if self._ended:
            self.discard(connection)
        else:
            super().give(connection)

    async def _with_the_loop(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._ended = True
            self.close_free()


def _sweep(loop: weakref.ref[asyncio.AbstractEventLoop], pool: LoopPool, ends: AsyncGenerator[None, None]) -> None:
    pool.close_free(idle_for=IDLE_SECONDS)
    if running := loop():
        running.call_later(IDLE_SECONDS, _sweep, loop, pool, ends)


def _finish_all(free: deque[tuple[LoopConnection, float, int]], process: int) -> None:
    if os.getpid() == process:
        for connection, _, _ in free:
            finish(connection)
    free.clear()


_loops_pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, weakref.ref[LoopPool]]] = (
    weakref.WeakKeyDictionary()
)


def of_running_loop(alias: str) -> LoopPool | None:
    """The loop's pool of the alias, if it has one already."""
    found = _loops_pools.get(asyncio.get_running_loop())
    reference = found.get(alias) if found else None
    return reference() if reference else None


def drop(alias: str) -> None:
    """Close what is free of an alias that nobody uses any more."""
    for of_loop in list(_loops_pools.values()):
        if (reference := of_loop.pop(alias, None)) and (pool := reference()):
            pool.close_free()


def _forget() -> None:
    for of_loop in _loops_pools.values():
        for reference in of_loop.values():
            if pool := reference():
                pool.forget()
    _loops_pools.clear()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forget)
