"""Connections that a restart of the database has broken while nobody used them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable

from django.db import connections, transaction

from obsku_checkpoint.errors import StoreUnavailableError
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from tests import processes

THREADS = 32


def test_the_next_request_answers_where_django_checks_its_connections(tables_url: str) -> None:
    command = ["-b", "127.0.0.1:0", "django.core.wsgi:get_wsgi_application()"]
    with processes.server("gunicorn", *command, url=tables_url) as server:
        for view in ("sync", "async", "sync"):
            assert server.ask(view, "acme")["written"] == ["acme"]
            assert processes.terminate(tables_url, server.name) == 1


def test_one_call_fails_however_many_threads_have_a_connection(tables_url: str) -> None:
    """Without Django's health checks: the first failure tells the others to look at their connection first."""
    processes.run(_call_from_threads, tables_url)


def _call_from_threads() -> None:
    connections.settings["default"]["CONN_HEALTH_CHECKS"] = False
    store = DjangoCheckpointStore()
    connected, broken = threading.Barrier(THREADS + 1), threading.Barrier(THREADS + 1)
    one_at_a_time = threading.Lock()
    failures: list[bool] = []

    def work() -> None:
        store.get_session("x")
        connected.wait()
        broken.wait()
        with one_at_a_time:
            failures.append(_fails(lambda: store.get_session("x")))
        store.close()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    connected.wait()
    assert _break_all() == THREADS
    broken.wait()
    for thread in threads:
        thread.join()
    assert len(failures) == THREADS
    assert sum(failures) <= 1


def test_one_call_fails_however_many_connections_a_pool_has(tables_url: str) -> None:
    processes.run(_call_on_a_loop, tables_url)
    processes.run(_call_on_the_threads_pool, tables_url)


def _call_on_a_loop() -> None:
    async def main(store: DjangoCheckpointStore) -> None:
        await asyncio.gather(*(store.aget_session("x") for _ in range(100)))
        assert _break_all() == 10
        failures = 0
        for _ in range(100):
            try:
                await store.aget_session("x")
            except StoreUnavailableError:
                failures += 1
        assert failures <= 1

    asyncio.run(main(DjangoCheckpointStore()))
    with PostgresCheckpointStore() as store:
        asyncio.run(main(store))


def _call_on_the_threads_pool() -> None:
    with PostgresCheckpointStore() as store:
        in_use = threading.Barrier(10)

        def work() -> None:
            with transaction.atomic(using=store.using):
                store.get_session("x")
                in_use.wait()

        threads = [threading.Thread(target=work) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert _break_all() == 10
        assert sum(_fails(lambda: store.get_session("x")) for _ in range(100)) <= 1


def _fails(call: Callable[[], object]) -> bool:
    try:
        call()
    except StoreUnavailableError:
        return True
    return False


def _break_all() -> int:
    """Break this process's connections; how many there were."""
    return processes.terminate(os.environ["POSTGRES_URL"], os.environ["PGAPPNAME"])
