"""The connections of an event loop, whose sockets the loop goes on listening to from one statement to the next.

psycopg's own register the socket with the loop, and a timer beside it, each time that they wait, and take both away
again: two thirds of what an async statement costs more than a sync one. Medians of one interleaved run, the newest
checkpoint of a namespace (psycopg 3.3): sync 31 µs, async 58 µs, here 37 µs.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import weakref
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import READY_R, WAIT_R, Wait

from obsku_checkpoint.store.kept_cursors import KeptCursors

R = TypeVar("R")


class LoopConnection(psycopg.AsyncConnection[Any]):
    """To be closed with `obsku_checkpoint.store.pools.finish`: as long as the loop listens, it holds the connection."""

    _steps: PQGen[Any] | None = None
    #: what the steps return, or those that are left where they wait for something else than an answer
    _end: asyncio.Future[tuple[Any, PQGen[Any] | None]]
    #: a duplicate of the socket, which the loop can forget in good order: libpq closes its own where the server hangs
    #: up, and a forked child may hold that one open
    _ear: socket.socket | None = None
    _loop: weakref.ref[asyncio.AbstractEventLoop]

    @functools.cached_property
    def kept(self) -> KeptCursors[LoopConnection, psycopg.AsyncCursor[Any]]:
        return KeptCursors(self, LoopConnection.cursor)

    async def wait(self, gen: PQGen[R], *args: Any, **kwargs: Any) -> R:
        """Carry out psycopg's steps of a statement, which tell what they wait for."""
        if args or kwargs:
            return await super().wait(gen, *args, **kwargs)
        try:
            waits_for = next(gen)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # of a generator whose end typeshed does not know
        if waits_for != WAIT_R:  # there is more to send than the socket takes at once
            return await super().wait(_from_there(gen, waits_for))
        loop = asyncio.get_running_loop()
        if self._ear is None:
            self._listen(loop)
        self._steps, self._end = gen, loop.create_future()
        try:
            returned, rest = await self._end
        except asyncio.CancelledError:
            await self._interrupted(gen)
            raise
        return returned if rest is None else await super().wait(rest)

    async def _interrupted(self, gen: PQGen[Any]) -> None:
        """Let psycopg do what it does when its waiting is cancelled: tell the server, and hear what it says to that."""
        if self._steps is None:  # the answer has come as well
            if not self._end.cancelled():
                self._end.exception()  # or asyncio complains that nobody asked for it
            return
        self._steps = None
        waiting = asyncio.ensure_future(super().wait(_from_there(gen, WAIT_R)))
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(psycopg.Error):
            await waiting

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ear = socket.fromfd(self.pgconn.socket, socket.AF_UNSPEC, socket.SOCK_STREAM)
        self._loop = weakref.ref(loop)
        loop.add_reader(self._ear.fileno(), self._hear)

    def _hear(self) -> None:
        steps = self._steps
        if steps is None or self._end.done():  # nobody asked: the server has hung up
            self.stop_listening()
            return
        # Here and not in the task that waits: until its turn comes, the loop would call again for the same answer.
        try:
            waits_for = steps.send(READY_R)
        except StopIteration as end:
            self._steps = None
            self._end.set_result((end.value, None))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the statement was made
            self._steps = None
            self._end.set_exception(error)
        else:
            if waits_for != WAIT_R:
                self._steps = None
                self._end.set_result((None, _from_there(steps, waits_for)))

    def stop_listening(self) -> None:
        """To be called before the connection is closed, in the loop's thread or when the loop is gone."""
        if self._ear is None:
            return
        loop = self._loop()
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._ear.fileno())
        self._ear.close()
        self._ear = None


def _from_there(gen: PQGen[R], waits_for: Wait) -> PQGen[R]:
    """The steps that are left, of which the next one waits."""
    while True:
        ready = yield waits_for
        try:
            waits_for = gen.send(ready)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # as above
