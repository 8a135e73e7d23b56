"""Processes that fork while, or after, they use the store."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading

from asgiref.sync import async_to_sync

from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from tests import processes

CHILDREN = 5


def test_a_child_that_is_forked_in_the_middle_of_work_calls_and_the_parent_goes_on(tables_url: str) -> None:
    processes.run(_fork_in_a_loop, tables_url)


def _fork_in_a_loop() -> None:
    used = [(store, store.create_session(".").id) for store in _stores()]
    used[0][0].close()  # as before every fork of a Django project: a thread's connection is not to be shared

    stop = threading.Event()

    async def work(store: DjangoCheckpointStore, session_id: str) -> int:
        written = 0
        while not stop.is_set():
            await store.aadd_message(session_id, "user", str(written))
            written += 1
        return written

    def work_in_thread(store: DjangoCheckpointStore, session_id: str) -> int:
        written = 0
        while not stop.is_set():
            store.add_message(session_id, "user", str(written))
            written += 1
        store.close()
        return written

    async def main() -> list[int]:
        async with asyncio.TaskGroup() as group:
            at_work = [group.create_task(work(*pair)) for pair in used * 2]
            at_work += [group.create_task(asyncio.to_thread(work_in_thread, *pair)) for pair in used]
            try:
                for _ in range(CHILDREN):
                    await asyncio.sleep(0.02)
                    await asyncio.to_thread(_wait_for, _forked(used))
            finally:
                stop.set()
        return [task.result() for task in at_work]

    written = asyncio.run(main())
    assert all(written)
    assert sum(len(store.get_messages(session_id)) for store, session_id in used) == sum(written) + 4 * CHILDREN


def test_workers_of_multiprocessing_call_after_their_parent_has(tables_url: str) -> None:
    processes.run(_fork_workers, tables_url)


def _fork_workers() -> None:
    used = [(store, store.create_session(".").id) for store in _stores()]
    for store, session_id in used:
        assert asyncio.run(store.aget_session(session_id)) == async_to_sync(store.aget_session)(session_id)
    used[0][0].close()
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_call, args=[used]) for _ in range(CHILDREN)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * CHILDREN
    for store, session_id in used:
        assert len(asyncio.run(store.aget_messages(session_id))) == len(store.get_messages(session_id)) == 2 * CHILDREN


def _stores() -> list[DjangoCheckpointStore]:
    return [DjangoCheckpointStore(), PostgresCheckpointStore()]


def _call(used: list[tuple[DjangoCheckpointStore, str]]) -> None:
    """What a child does: a sync and an async call on each of its parent's stores."""
    for store, session_id in used:
        store.add_message(session_id, "user", "sync")
        asyncio.run(store.aadd_message(session_id, "user", "async"))


def _forked(used: list[tuple[DjangoCheckpointStore, str]]) -> int:
    if child := os.fork():
        return child
    code = 1
    try:
        _call(used)
        code = 0
    finally:
        os._exit(code)


def _wait_for(child: int) -> None:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
