"""How many streams are let in: so many at a time, and so many for one reader.

Letting one in takes a thread and a connection, for as long as it is asked who listens; a thousand that come back at
once, as after a deploy, wait for their turn without either. A stream that is open has neither.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any
from weakref import WeakKeyDictionary

from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connections
from rest_framework.request import Request

from obsku_checkpoint import conf
from obsku_checkpoint.api.errors import TooManyStreams
from obsku_checkpoint.api.readers import reader_of

#: streams that each event loop lets in at a time
AT_A_TIME = 8

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
_open: Counter[str] = Counter()
_counting = threading.Lock()


def in_turn(view: Callable[..., Any]) -> Callable[..., Any]:
    """The view of a stream as an async one, which waits for its turn before anything is asked of the database."""

    @functools.wraps(view)
    async def wait_and_call(request: Any, *args: Any, **kwargs: Any) -> Any:
        turns = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_A_TIME))
        async with turns:
            response = await sync_to_async(view)(request, *args, **kwargs)
            await give_thread_back()
        return response

    return wait_and_call


async def give_thread_back() -> None:
    """Django's handler keeps a thread, and so a connection, for what is synchronous in a request, up to its end.

    A stream has no use for them. Whatever is synchronous later gets a new thread.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None or context not in SyncToAsync.context_to_thread_executor:
        return  # not under Django's handler, where the thread is somebody else's; or given back already
    await sync_to_async(connections.close_all)()
    executor = SyncToAsync.context_to_thread_executor.pop(context, None)
    if executor is not None:
        executor.shutdown(wait=False)


class Stream:
    """The content of a response, which counts as one of its reader's streams until it is closed.

    `TooManyStreams` where the reader has as many as STREAMS_PER_USER in this process.
    """

    def __init__(self, request: Request, events: AsyncIterator[bytes]) -> None:
        self._events = events
        self._reader: str | None = None
        reader = reader_of(request)
        if reader is None:
            return
        with _counting:
            if _open[reader] >= conf.current().STREAMS_PER_USER:
                raise TooManyStreams
            _open[reader] += 1
        self._reader = reader

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._events:
                yield part
        finally:
            self.close()

    def close(self) -> None:
        """Called by Django at the end of the response, and by whatever else ends it."""
        with _counting:
            reader, self._reader = self._reader, None
            if reader is not None:
                _open[reader] -= 1
                if not _open[reader]:
                    del _open[reader]

    # A response that its client did not wait for is dropped without being closed.
    __del__ = close
