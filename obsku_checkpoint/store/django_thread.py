"""Django's thread: where synchronous code runs on behalf of an event loop, and whose connection it then uses.

asgiref decides which thread that is and offers no question for it. All that is known here of asgiref's inside stands
in this file; `tests/test_django_thread.py` fails when asgiref changes. Where an attribute is missing, the answer is
"over Django": slower, and right.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from asgiref.sync import AsyncToSync, SyncToAsync, sync_to_async
from django.db import connections

from obsku_checkpoint.errors import ConfigurationError

R = TypeVar("R")

#: Django's own switch: sync calls of the ORM are allowed where an event loop runs
ALLOW_UNSAFE = "DJANGO_ALLOW_ASYNC_UNSAFE"


def a_sync_thread_waits() -> bool:
    """Whether a thread waits for the running loop (`async_to_sync`), whose connection, and transaction, a call is part
    of. What ``sync_to_async(thread_sensitive=True)`` asks itself, in its order.
    """
    try:
        return (
            getattr(AsyncToSync.executors, "current", None) is not None
            or asyncio.get_running_loop() in AsyncToSync.loop_thread_executors
        )
    except AttributeError:
        return True


def thread_ends_with_its_request() -> bool:
    """Whether Django's thread belongs to a request, at whose end Django gives the connection back."""
    try:
        return SyncToAsync.thread_sensitive_context.get(None) is not None
    except AttributeError:
        return True


class OutlivedError(ConfigurationError):
    """The thread that waited for the loop does so no more; nothing was called."""


async def in_djangos_thread(call: Callable[[], R]) -> R:
    """Call it in Django's thread. Raises `OutlivedError` where that thread is gone."""
    began = False

    def work() -> R:
        nonlocal began
        began = True
        return call()

    try:
        return await sync_to_async(work)()
    except RuntimeError as error:
        if began:
            raise
        raise OutlivedError(
            "the task has outlived the thread whose connection it uses (that of async_to_sync, or of a request):"
            " await it there"
        ) from error


def refuse_inside_atomic(using: str) -> None:
    """Raise where the running loop was started inside ``atomic()``, as by ``asyncio.run``.

    A call on the loop is not part of that transaction, and would wait for its locks for ever. Django hides a thread's
    connections while a loop runs in it.
    """
    if os.environ.get(ALLOW_UNSAFE):
        return
    loop = asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    try:
        found = [one for one in connections.all(initialized_only=True) if one.alias == using and one.in_atomic_block]
        in_test = any(getattr(block, "_from_testcase", False) for one in found for block in one.atomic_blocks)
    finally:
        asyncio._set_running_loop(loop)
    if found:
        remedy = (
            "mark the test with `django_db(transaction=True)`, or use Django's TestCase with an async test"
            if in_test
            else "call the async function with `async_to_sync` instead of `asyncio.run`"
        )
        raise ConfigurationError(
            f"the event loop runs inside transaction.atomic(using={using!r}), and an async call is not part of that"
            f" transaction: {remedy}"
        )


def _renew() -> None:
    """A forked child has none of its parent's threads; asgiref would wait for its one for ever."""
    if hasattr(SyncToAsync, "single_thread_executor"):
        SyncToAsync.single_thread_executor = ThreadPoolExecutor(max_workers=1)


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew)
