"""In which thread the store, the callbacks and the sync nodes are called: that of the caller, or the event loop's own.

The engine is async. For `run` and `resume` its event loop runs in the caller's thread, and stops whenever there is a
call to make, as no loop may be running where Django's ORM is called: so the store works within the caller's
transaction, and no thread waits for another. Inside a transaction sync nodes are called there as well.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph.signals_beside_loop import SignalsBesideLoop
from obsku_checkpoint.protocols import CheckpointStore

R = TypeVar("R")
#: more than any graph has at work at a time: a thread that is out of time must not keep others from starting
MAX_THREADS = 10_000


@runtime_checkable
class Host(Protocol):
    """What a store knows of this process besides, where its database is Django's."""

    def in_transaction(self) -> bool: ...

    async def ain_transaction(self) -> bool: ...

    async def call_in_transaction(self, call: Callable[[], R], /) -> R: ...

    async def call_beside(self, call: Callable[[], R], executor: ThreadPoolExecutor, /) -> R: ...


class Caller:
    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._host = store if isinstance(store, Host) else None
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="obsku-graph")
        #: the caller's thread is in a transaction: a node in another would wait for its locks for ever
        self.in_transaction = False

    async def begin(self) -> None:
        """Learn where the caller is."""
        raise NotImplementedError

    async def ask(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the store."""
        raise NotImplementedError

    async def tell(self, callback: Callable[[Any], Any], value: Any) -> None:
        """Call a callback."""
        raise NotImplementedError

    async def work(self, node: Callable[[], R], *, alone: bool) -> R:
        """Call a sync node, in this task's context; ``alone`` says that nothing else is called meanwhile."""
        raise NotImplementedError

    async def _beside(self, node: Callable[[], R]) -> R:
        if self._host:
            return await self._host.call_beside(node, self._threads)
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, node)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class AsyncCaller(Caller):
    """For `arun`: the store's async twins; callbacks on the event loop, sync or async; sync nodes in threads."""

    async def begin(self) -> None:
        self.in_transaction = self._host is not None and await self._host.ain_transaction()

    async def ask(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        call = asyncio.ensure_future(getattr(self._store, f"a{method}")(*args, **kwargs))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            # What has begun is not called back: who goes on from the newest checkpoint must find it.
            await asyncio.wait([call])
            raise

    async def tell(self, callback: Callable[[Any], Any], value: Any) -> None:
        if inspect.isawaitable(answer := callback(value)):
            await answer

    async def work(self, node: Callable[[], R], *, alone: bool) -> R:
        if self._host and self.in_transaction:
            return await self._host.call_in_transaction(node)
        return await self._beside(node)


class SyncCaller(Caller):
    """For `run`: everything in the caller's thread, but for sync nodes that run beside others."""

    def __init__(self, store: CheckpointStore) -> None:
        super().__init__(store)
        self._calls: deque[Callable[[], None]] = deque()
        self._ending = False

    async def begin(self) -> None:
        if self._host:
            self.in_transaction = await self._between(self._host.in_transaction)

    async def ask(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        return await self._between(partial(getattr(self._store, method), *args, **kwargs))

    async def tell(self, callback: Callable[[Any], Any], value: Any) -> None:
        await self._between(partial(callback, value))

    async def work(self, node: Callable[[], R], *, alone: bool) -> R:
        if alone or self.in_transaction:
            return await self._between(partial(contextvars.copy_context().run, node))
        return await self._beside(node)

    def run(self, main: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Run ``main`` to its end, and make its calls while the event loop stands still."""
        if asyncio._get_running_loop() is not None:
            raise GraphError("an event loop is running in this thread: use arun or aresume")

        async def whole() -> R:
            try:
                return await main()
            finally:
                if not self._ending:
                    loop.stop()

        with SignalsBesideLoop() as signals, asyncio.Runner() as runner:
            loop = runner.get_loop()
            task = loop.create_task(whole())
            try:
                while not task.done():
                    signals.run(loop)
                    while self._calls:
                        self._calls.popleft()()
            except BaseException:
                # Ctrl-C, or whatever else is meant to end the process: the nodes on the loop may still clean up.
                self._ending = True
                if not task.done():
                    task.cancel()
                    task.add_done_callback(lambda _: loop.stop())
                while not task.done():
                    signals.run(loop)
                if not task.cancelled():
                    task.exception()  # it is raised here, so there is no need to warn of it
                raise
            return task.result()

    async def _between(self, work: Callable[[], R]) -> R:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()

        def call() -> None:
            if future.cancelled():
                return
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - raised again where it is awaited
                future.set_exception(error)
            else:
                future.set_result(result)

        self._calls.append(call)
        if not self._ending:
            loop.stop()
        return await future
