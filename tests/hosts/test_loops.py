"""Programs with event loops of every kind, and the transactions around them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction

from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore

R = TypeVar("R")


@pytest.fixture(params=["sqlite", "postgres", "url"])
def store(request: pytest.FixtureRequest, committed: None) -> Iterator[DjangoCheckpointStore]:
    """The store over each of Django's databases, and over a connection string."""
    if request.param == "url":
        with PostgresCheckpointStore(request.getfixturevalue("tables_url")) as own:
            yield own
    else:
        yield DjangoCheckpointStore({"sqlite": "default"}.get(request.param, request.param))


def run(steps: Coroutine[Any, Any, R]) -> R:
    """As a script does; one that waits for ever fails."""
    return asyncio.run(asyncio.wait_for(steps, 30))


async def work(store: DjangoCheckpointStore) -> str:
    """What an agent does; the session's id."""
    session = await store.acreate_session(".")
    await asyncio.gather(*(store.aadd_message(session.id, "user", str(number)) for number in range(3)))
    await store.asave_checkpoint(session.id, step=0, node_results={})
    assert len(await store.aget_messages(session.id)) == 3
    return session.id


def is_whole(store: DjangoCheckpointStore, session_id: str) -> bool:
    return len(store.get_messages(session_id)) == 3 and len(store.list_checkpoints(session_id)) == 1


# -- where a loop runs


def test_a_script_runs_a_loop_and_another(store: DjangoCheckpointStore) -> None:
    for _ in range(2):
        assert is_whole(store, run(work(store)))


def test_workers_run_a_loop_for_each_task(store: DjangoCheckpointStore) -> None:
    """As Celery's threads do whose tasks call ``asyncio.run``; each is a thread with a loop of its own."""
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: run(work(store)), range(12)))
    assert all(is_whole(store, id) for id in ids)


def test_sync_calls_run_in_a_thread_beside_the_loops_own(store: DjangoCheckpointStore) -> None:
    def look(session_id: str) -> bool:
        try:
            return is_whole(store, session_id)
        finally:
            store.close()

    async def main() -> None:
        ids = await asyncio.gather(*(work(store) for _ in range(4)))
        assert all(await asyncio.gather(*(asyncio.to_thread(look, id) for id in ids)))

    run(main())


def test_a_sync_call_where_a_loop_runs_is_told_of_its_twin(store: DjangoCheckpointStore) -> None:
    """The first call that somebody writes in a notebook."""

    async def cell() -> None:
        with pytest.raises(ConfigurationError, match=r"`await store\.aget_session\(…\)`"):
            store.get_session("x")
        with pytest.raises(ConfigurationError, match=r"`await store\.acreate_session\(…\)`"):
            store.create_session(".")
        with pytest.raises(ConfigurationError, match=r"`async for message in store\.aiter_messages\(…\)`"):
            list(store.iter_messages("x"))
        assert await store.aget_session("x") is None
        assert [message async for message in store.aiter_messages("x")] == []

    run(cell())


@pytest.mark.parametrize("name", ["setup", "close"])
def test_so_is_who_sets_up_or_closes_where_a_loop_runs(tables_url: str, name: str) -> None:
    store = PostgresCheckpointStore(tables_url)

    async def cell() -> None:
        with pytest.raises(ConfigurationError, match=r"await store\.a"):
            getattr(store, name)()

    run(cell())


def test_djangos_switch_allows_sync_calls_where_a_loop_runs(
    store: DjangoCheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

    async def cell() -> None:
        session = store.create_session(".")
        assert await store.aget_session(session.id) == session
        store.close()  # Django keeps a connection for this task

    run(cell())


# -- a thread that waits for the loop, in a transaction


class RolledBackError(Exception):
    pass


def rolled_back(store: DjangoCheckpointStore, begin: Callable[[], str]) -> bool:
    """Whether the session that ``begin`` makes in a transaction is seen in it, and gone with it."""
    with pytest.raises(RolledBackError), transaction.atomic(using=store.using):
        session_id = begin()
        assert is_whole(store, session_id)
        raise RolledBackError
    return store.get_session(session_id) is None


async def work_in_tasks(store: DjangoCheckpointStore) -> str:
    async with asyncio.timeout(30):
        return await asyncio.create_task(work(store))


@pytest.mark.parametrize("steps", [work, work_in_tasks])
def test_what_async_to_sync_calls_is_part_of_the_transaction(
    store: DjangoCheckpointStore, steps: Callable[[DjangoCheckpointStore], Coroutine[Any, Any, str]]
) -> None:
    assert rolled_back(store, lambda: async_to_sync(steps)(store))


@pytest.mark.parametrize("into_thread", [sync_to_async, lambda call: lambda: asyncio.to_thread(call)])
def test_a_loop_whose_thread_waits_for_the_loop_in_a_transaction(
    store: DjangoCheckpointStore, into_thread: Callable[[Callable[[], bool]], Callable[[], Coroutine[Any, Any, bool]]]
) -> None:
    def in_thread() -> bool:
        try:
            return rolled_back(store, lambda: async_to_sync(work)(store))
        finally:
            store.close()

    async def main() -> None:
        around = await work(store)
        assert await into_thread(in_thread)()
        assert await store.aget_session(around) is not None

    run(main())


@pytest.mark.parametrize("way", ["native", "django"])
def test_a_task_that_outlives_the_thread_that_began_it_goes_on(
    store: DjangoCheckpointStore, settings: Any, way: str
) -> None:
    """Over connections of the loop; but not where only the thread's will do, which knows what the project has set."""
    settings.OBSKU_CHECKPOINT = {"ASYNC": way}

    async def main() -> None:
        begun = asyncio.Event()

        async def later() -> str:
            await begun.wait()
            return await work(store)

        async def begin() -> asyncio.Task[str]:
            return asyncio.create_task(later())

        @sync_to_async
        def in_thread() -> asyncio.Task[str]:
            return async_to_sync(begin)()

        task = await in_thread()
        begun.set()
        if store.using == "default" or way == "django":
            with pytest.raises(ConfigurationError, match="has outlived the thread"):
                await task
        else:
            assert len(await store.aget_messages(await task)) == 3

    run(main())


# -- a loop in a transaction that is not part of it


def test_a_loop_of_its_own_inside_a_transaction_is_refused(store: DjangoCheckpointStore) -> None:
    with transaction.atomic(using=store.using):
        session = store.create_session(".")
        with pytest.raises(ConfigurationError, match=r"`async_to_sync` instead of `asyncio\.run`"):
            run(store.aadd_message(session.id, "user", "would wait for the transaction, which waits for it"))
        assert async_to_sync(store.aget_session)(session.id) == session
    assert run(store.aget_session(session.id)) == session


def test_a_loop_in_another_thread_is_no_part_of_this_ones_transaction(store: DjangoCheckpointStore) -> None:
    ids: list[str] = []
    with transaction.atomic(using="postgres"):
        DjangoCheckpointStore("postgres").create_session(".")
        if store.using != "default":
            thread = threading.Thread(target=lambda: ids.append(run(work(store))))
            thread.start()
            thread.join()
        transaction.set_rollback(True, using="postgres")
    assert all(is_whole(store, id) for id in ids)


@pytest.mark.anyio
@pytest.mark.parametrize("using", ["default", "postgres"])
@pytest.mark.django_db(databases=["default", "postgres"])
async def test_an_async_test_in_a_fixtures_transaction_is_told_of_the_mark(using: str) -> None:
    with pytest.raises(ConfigurationError, match=r"django_db\(transaction=True\)"):
        await DjangoCheckpointStore(using).aget_session("x")
