"""A store's async twins, presented as its sync methods: the same tests run through both."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from obsku_checkpoint.protocols import CheckpointStore, OnCorrupt
from obsku_checkpoint.records import MessageRecord

R = TypeVar("R")


class SyncOverAsync:
    """``adapter.add_message(…)`` awaits ``store.aadd_message(…)`` in an event loop of the adapter's own thread.

    Calls from several threads are tasks that run concurrently in that one loop.
    """

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="conformance-loop", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __getattr__(self, name: str) -> Any:
        twin = getattr(self._store, f"a{name}")

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._run(twin(*args, **kwargs))

        return call

    def iter_messages(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> Iterator[MessageRecord]:
        messages = self._store.aiter_messages(session_id, on_corrupt=on_corrupt)
        while (message := self._run(_next(messages))) is not None:
            yield message

    def _run(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _next(messages: AsyncIterator[MessageRecord]) -> MessageRecord | None:
    return await anext(messages, None)
