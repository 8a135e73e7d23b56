"""One writer of a thread at a time, for whoever asks for it: a lease, whose number each of its writes carries."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from langchain_core.runnables import RunnableConfig

from obsku_checkpoint import validation
from obsku_checkpoint.async_twins import Steps, method, twin
from obsku_checkpoint.contrib.langgraph.base import WRITER, Saver
from obsku_checkpoint.contrib.langgraph.sql import BEGIN_THREAD, INSERT_SESSION, THREAD
from obsku_checkpoint.errors import LeaseConflictError
from obsku_checkpoint.store.calls import Write, atomic

TAKE = """
UPDATE langgraph_threads SET writer = writer + 1, writer_until = %(until)s
WHERE session_id = %(session_id)s AND (writer_until IS NULL OR writer_until <= %(now)s) RETURNING writer
"""

GIVE_BACK = """
UPDATE langgraph_threads SET writer_until = NULL
WHERE session_id = %(session_id)s AND writer = %(writer)s RETURNING writer
"""


class Leases(Saver):
    @contextmanager
    def writer(self, thread_id: str, *, seconds: float = 60) -> Iterator[RunnableConfig]:
        """The config with which to run the graph. Nobody else is given one for so long, or until the block ends.

        If it takes longer, and another takes the lease, writes of this one are refused: `LeaseConflictError`, which is
        also raised where somebody has the lease now. Who writes without a lease is not held up.
        """
        number = self._take_lease(thread_id, seconds)
        try:
            yield _config(thread_id, number)
        finally:
            self._give_lease_back(thread_id, number)

    @asynccontextmanager
    async def awriter(self, thread_id: str, *, seconds: float = 60) -> AsyncIterator[RunnableConfig]:
        """Async twin of `writer`."""
        number = await self._atake_lease(thread_id, seconds)
        try:
            yield _config(thread_id, number)
        finally:
            await self._agive_lease_back(thread_id, number)

    @method
    def _take_lease(self, thread_id: str, seconds: float) -> Steps[int]:
        now = time.time_ns() // 1_000_000
        parameters = {
            "session_id": validation.key("thread_id", str(thread_id)),
            "workspace_id": self.workspace_id,
            "directory": self.directory,
            "title": None,
            "created_at": now,
            "now": now,
            "until": now + round(seconds * 1000),
            "new_epoch": secrets.randbits(62),
        }
        taken = yield from atomic(partial(_taken, parameters))
        if taken:
            return int(taken[0][0])
        rows = yield THREAD, parameters
        raise LeaseConflictError(str(thread_id), "", rows[0][1] if rows else 0)

    _atake_lease = twin(_take_lease)

    @method
    def _give_lease_back(self, thread_id: str, number: int) -> Steps[None]:
        yield Write(GIVE_BACK, {"session_id": str(thread_id), "writer": number})

    _agive_lease_back = twin(_give_lease_back)


def _taken(parameters: Mapping[str, object]) -> Steps[list[tuple[int]]]:
    yield Write(INSERT_SESSION, parameters)
    yield Write(BEGIN_THREAD, parameters)
    taken: list[tuple[int]] = yield Write(TAKE, parameters)
    return taken


def _config(thread_id: str, number: int) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, WRITER: number}}
