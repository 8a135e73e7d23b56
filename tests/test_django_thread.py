"""What is known of asgiref's inside: these tests fail when it changes."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, async_to_sync, sync_to_async

from obsku_checkpoint.store import django_thread
from obsku_checkpoint.store.django_thread import OutlivedError, a_sync_thread_waits, in_djangos_thread


async def asked() -> tuple[bool, int]:
    """Our answer, and the thread that asgiref chooses."""
    return a_sync_thread_waits(), await sync_to_async(threading.get_ident)()


async def in_a_task() -> tuple[bool, int]:
    return await asyncio.create_task(asked())


async def after_a_thread() -> tuple[bool, int]:
    """A thread that the loop has sent out waits for the loop."""
    return await sync_to_async(async_to_sync(asked))()


@pytest.mark.parametrize("work", [asked, in_a_task, after_a_thread], ids=lambda work: work.__name__)
def test_a_thread_that_waits_for_the_loop_is_the_one_that_asgiref_chooses(
    work: Callable[[], Coroutine[Any, Any, tuple[bool, int]]],
) -> None:
    assert async_to_sync(work)() == (True, threading.get_ident())


@pytest.mark.parametrize("work", [asked, in_a_task], ids=lambda work: work.__name__)
def test_no_thread_waits_for_a_loop_that_runs_by_itself(
    work: Callable[[], Coroutine[Any, Any, tuple[bool, int]]],
) -> None:
    waits, thread = asyncio.run(work())
    assert not waits
    assert thread != threading.get_ident()


def test_within_a_loop_that_runs_by_itself_a_thread_that_was_sent_out_waits() -> None:
    async def main() -> tuple[tuple[bool, int], int]:
        return await after_a_thread(), await sync_to_async(threading.get_ident)()

    (waits, thread), djangos = asyncio.run(main())
    assert waits
    assert thread == djangos


def test_a_request_has_a_thread_that_ends_with_it() -> None:
    async def main() -> list[bool]:
        before = django_thread.thread_ends_with_its_request()
        async with ThreadSensitiveContext():
            return [before, django_thread.thread_ends_with_its_request()]

    assert asyncio.run(main()) == [False, True]


def test_a_task_that_outlives_the_thread_that_waited_for_it_calls_nothing() -> None:
    called: list[bool] = []

    async def main() -> BaseException | None:
        tasks: list[asyncio.Task[None]] = []

        async def later() -> None:
            await asyncio.sleep(0.05)
            await in_djangos_thread(lambda: called.append(True))

        async def begin() -> None:
            tasks.append(asyncio.create_task(later()))

        await sync_to_async(async_to_sync(begin))()
        (result,) = await asyncio.gather(*tasks, return_exceptions=True)
        return result

    assert isinstance(asyncio.run(main()), OutlivedError)
    assert called == []


def test_an_error_of_the_call_itself_is_raised_as_it_is() -> None:
    def fail() -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        asyncio.run(in_djangos_thread(fail))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_a_thread_of_its_own() -> None:
    assert isinstance(SyncToAsync.single_thread_executor, ThreadPoolExecutor)
    asyncio.run(in_djangos_thread(threading.get_ident))
    if not (child := os.fork()):
        os._exit(0 if asyncio.run(asyncio.wait_for(in_djangos_thread(lambda: 7), 20)) == 7 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
