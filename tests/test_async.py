"""Where the async twins do their work."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction
from django.test import TestCase

from obsku_checkpoint import signals
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import SessionRecord
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.processes import assert_database_is_left


def test_tasks_are_at_work_at_the_same_time(postgres_database: Any) -> None:
    """As many as the loop may have connections: each waits in the database for all the others."""

    async def main() -> None:
        async with PostgresCheckpointStore(postgres_database(), max_size=16) as store:
            await store.asetup()
            session = await store.acreate_session(".")
            in_transaction = threading.Event()
            held = threading.Event()

            def hold() -> None:
                with transaction.atomic(using=store.using):
                    store.update_session(session.id, title="held")
                    in_transaction.set()
                    held.wait(20)

            holder = asyncio.create_task(asyncio.to_thread(hold))
            await asyncio.to_thread(in_transaction.wait, 20)
            waiting = [asyncio.create_task(store.aadd_message(session.id, "user", str(n))) for n in range(15)]
            assert await store.aget_messages(session.id) == []  # one connection is left, and 15 calls are under way
            held.set()
            await asyncio.gather(holder, *waiting)
            assert len(await store.aget_messages(session.id)) == 15

    asyncio.run(main())


def test_an_event_loop_that_ends_leaves_no_connection(postgres_database: Any) -> None:
    url = postgres_database()
    store = PostgresCheckpointStore(url)
    store.setup()

    async def main() -> None:
        await asyncio.gather(*(store.acreate_session(".") for _ in range(8)))

    for _ in range(3):
        asyncio.run(main())
    store.close()
    assert_database_is_left(url)


def test_async_work_within_a_callers_transaction_belongs_to_it(store: DjangoCheckpointStore) -> None:
    async def write() -> str:
        session = await store.acreate_session(".")
        await asyncio.gather(store.aget_session(session.id), store.aadd_message(session.id, "user", "x"))
        assert [message.content async for message in store.aiter_messages(session.id)] == ["x"]
        return session.id

    with transaction.atomic(using=store.using):
        session_id = async_to_sync(write)()
        assert store.get_session(session_id) is not None
        transaction.set_rollback(True, using=store.using)
    assert store.get_session(session_id) is None


def test_a_transaction_on_a_loop_that_was_used_before_is_seen(store: DjangoCheckpointStore) -> None:
    def write() -> str:
        with transaction.atomic(using=store.using):
            session = store.create_session(".")
            async_to_sync(store.aadd_message)(session.id, "user", "x")
        store.close()  # this thread's connection
        return session.id

    async def main() -> str:
        await store.acreate_session(".")
        return await sync_to_async(write)()

    assert len(store.get_messages(asyncio.run(main()))) == 1


def test_a_receiver_that_calls_a_twin_does_not_wait_for_itself(store: DjangoCheckpointStore) -> None:
    found: list[SessionRecord | None] = []

    def look(record: SessionRecord, **_: Any) -> None:
        found.append(async_to_sync(store.aget_session)(record.id))

    signals.session_created.connect(look)
    try:
        made = asyncio.run(store.acreate_session("."))
    finally:
        signals.session_created.disconnect(look)
    assert found == [made]


FORKED = """
import asyncio, os, sys
import psycopg
from asgiref.sync import async_to_sync
from obsku_checkpoint.postgres import PostgresCheckpointStore
store = PostgresCheckpointStore(sys.argv[1])
store.setup()
session = asyncio.run(store.acreate_session("."))
if os.fork() == 0:
    assert async_to_sync(store.aget_session)(session.id) == session
    assert store.get_session(session.id) == session
    os._exit(7)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
assert store.get_session(session.id) == session
"""


def test_a_forked_process_has_threads_and_connections_of_its_own(postgres_database: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", FORKED, postgres_database()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


class TestInDjangosTestCase(TestCase):
    databases = "__all__"

    async def test_async_twins_work_in_the_tests_transaction(self) -> None:
        for using in ("default", "postgres"):
            store = DjangoCheckpointStore(using)
            session = await store.acreate_session(".", workspace_id="testcase")
            await store.aadd_message(session.id, "user", "hello")
            await store.asave_checkpoint(session.id, step=0, node_results={})
            resumption = await store.acontinue_latest("testcase")
            assert resumption is not None
            assert resumption.session.id == session.id
            assert resumption.checkpoint is not None

    def test_it_was_rolled_back(self) -> None:
        for using in ("default", "postgres"):
            assert DjangoCheckpointStore(using).list_sessions("testcase") == []


def test_a_class_that_subclasses_the_protocol_inherits_the_twins() -> None:
    class Closing(CheckpointStore):
        def close(self) -> None:
            self.closed_in = threading.current_thread()

    store = Closing()  # type: ignore[abstract]  # the other methods are not called
    asyncio.run(store.aclose())
    assert store.closed_in is not threading.current_thread()
