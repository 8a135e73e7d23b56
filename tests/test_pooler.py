"""Behind PgBouncer in transaction mode, where each transaction of a client may run on another connection."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from obsku_checkpoint.errors import StoreUnavailableError
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.records import MessageRecord
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.pgbouncer import POOL_SIZE, pgbouncer, transaction_pooler
from tests.postgres_server import crash, postgres_server, stopped
from tests.workload import Client, Precious, carry_out, carry_out_async, create_precious

pytestmark = [
    pytest.mark.skipif(pgbouncer() is None, reason="no pgbouncer here; .ci/run installs one"),
    pytest.mark.xdist_group("pooler"),
]

#: how long the clients of each test of mixed calls are at work
SECONDS = float(os.environ.get("POOLER_SECONDS", "2"))
CLIENTS = 8
PRECIOUS = 50
#: seconds after which a process or a call is taken to hang
PATIENCE = 60


@pytest.fixture(scope="module")
def pooler(postgres_database: Callable[[], str]) -> Iterator[str]:
    """The pooler's connection string, without a database."""
    server = conninfo_to_dict(postgres_database())
    with transaction_pooler(make_conninfo("", **server)) as url:
        yield url


@pytest.fixture(scope="module")
def direct(postgres_database: Callable[[], str]) -> str:
    """A database with the tables, not through the pooler."""
    url = postgres_database()
    with PostgresCheckpointStore(url) as store:
        store.setup()
    return url


@pytest.fixture
def url(pooler: str, direct: str) -> str:
    """The same database through the pooler."""
    return make_conninfo(pooler, dbname=conninfo_to_dict(direct)["dbname"])


@pytest.fixture
def store_with(url: str) -> Iterator[Callable[..., DjangoCheckpointStore]]:
    """Makes a store behind the pooler: of a project, with further settings, or of a program, with further arguments."""
    with ExitStack() as stores:

        def make(kind: str, **settings: Any) -> DjangoCheckpointStore:
            if kind == "program":
                return stores.enter_context(PostgresCheckpointStore(url, **settings))
            alias = f"pooler-{len(made)}"
            parts = conninfo_to_dict(url)
            place = {"NAME": parts["dbname"], "HOST": parts["host"], "PORT": parts["port"], "USER": parts["user"]}
            connections.settings[alias] = {**connections["postgres"].settings_dict, **place, **settings}
            made.append(alias)
            return stores.enter_context(closing(DjangoCheckpointStore(alias)))

        made: list[str] = []
        yield make
    for alias in made:
        del connections[alias], connections.settings[alias]


KINDS = pytest.mark.parametrize("kind", ["project", "program"])


def in_threads(store: DjangoCheckpointStore, clients: list[Client], going_on: Callable[[], bool]) -> None:
    def work(client: Client) -> None:
        try:
            carry_out(client.work(going_on), store)
        finally:
            if not isinstance(store, PostgresCheckpointStore):  # whose pool the others still use
                store.close()

    with ThreadPoolExecutor(len(clients)) as threads:
        list(threads.map(work, clients))


def in_tasks(store: DjangoCheckpointStore, clients: list[Client], going_on: Callable[[], bool]) -> None:
    async def work() -> None:
        async with asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(carry_out_async(client.work(going_on), store))

    asyncio.run(work())


def prepared(url: str) -> list[str]:
    """The statements that are prepared on the pooler's connections, which it has in as many transactions as fit."""
    with ExitStack() as open_transactions:
        found = []
        for _ in range(POOL_SIZE):
            connection = open_transactions.enter_context(psycopg.connect(url, prepare_threshold=None))
            found += connection.execute("SELECT statement FROM pg_prepared_statements").fetchall()
        return [statement for (statement,) in found]


def clean(url: str) -> None:
    """Forget what earlier tests prepared."""
    with ExitStack() as open_transactions:
        for _ in range(POOL_SIZE):
            connection = open_transactions.enter_context(psycopg.connect(url, prepare_threshold=None))
            connection.execute("DEALLOCATE ALL")


def look(precious: list[Precious], direct: str) -> None:
    """Nothing has touched them."""
    with PostgresCheckpointStore(direct) as store:
        for one in precious:
            assert store.get_session(one.session.id) == one.session
            assert store.get_messages(one.session.id) == one.messages
            assert store.list_checkpoints(one.session.id) == [one.checkpoint]


@KINDS
@pytest.mark.parametrize("work", [in_threads, in_tasks], ids=["threads", "tasks"])
@pytest.mark.parametrize("threshold", ["default", 1])
def test_each_call_does_what_it_was_asked_for_and_nothing_else(
    store_with: Callable[..., DjangoCheckpointStore], direct: str, kind: str, work: Any, threshold: Any
) -> None:
    """Also where the caller insists on preparing: what is prepared on another connection is asked for again."""
    given = {} if threshold == "default" else {"prepare_threshold": threshold}
    store = store_with(kind, **(given if kind == "program" else {"OPTIONS": given}))
    with PostgresCheckpointStore(direct) as control:
        precious = create_precious(control, PRECIOUS)
        name = f"{kind} {work.__name__} {threshold}"
        clients = [Client(f"{name} {number}", precious, seed=11) for number in range(CLIENTS)]
        end = time.monotonic() + SECONDS
        work(store, clients, lambda: time.monotonic() < end)
        look(precious, direct)
        for client in clients:
            assert client.own
            for own in client.own:
                carry_out(client.check(own), control)
        with psycopg.connect(direct) as connection:
            gaps = connection.execute(
                "SELECT session_id, array_agg(version ORDER BY version) FROM checkpoints"
                " WHERE session_id LIKE 'shared-%' GROUP BY session_id HAVING max(version) <> count(*)"
            )
            assert gaps.fetchall() == []


@pytest.mark.parametrize("given", [{}, {"prepare_threshold": 1}], ids=["default", "insisting"])
def test_a_name_of_another_clients_statement_never_stands_for_it(url: str, direct: str, given: dict[str, Any]) -> None:
    """Psycopg numbers a connection's statements: the reader's first would be the deleter's first."""
    with PostgresCheckpointStore(direct) as control:
        precious = create_precious(control, 1)
    wanted = precious[0].session
    clean(url)
    with (
        PostgresCheckpointStore(url, max_size=1, **given) as deleter,
        PostgresCheckpointStore(url, max_size=1, **given) as reader,
        psycopg.connect(url, prepare_threshold=None) as first,
        psycopg.connect(url, prepare_threshold=None) as second,
    ):
        for _ in range(6):
            assert deleter.delete_session("somebody else's") is False
        first.execute("SELECT 1")  # holds the connection on which the deletion may be prepared
        for _ in range(6):
            assert reader.get_session(wanted.id) == wanted  # may be prepared on the next connection
        second.execute("SELECT 1")  # holds that one
        first.rollback()
        assert reader.get_session(wanted.id) == wanted  # on the deleter's
    look(precious, direct)


def test_within_a_transaction_a_statement_that_is_prepared_elsewhere_is_asked_for_again(
    url: str, store_with: Callable[..., DjangoCheckpointStore]
) -> None:
    store = store_with("project", OPTIONS={"prepare_threshold": 1})
    session = store.create_session(".")
    written = [store.add_message(session.id, "user", str(number)) for number in range(3)]
    with psycopg.connect(url, prepare_threshold=None) as other:
        other.execute("SELECT 1")  # holds the connection on which the statement is prepared
        with transaction.atomic(using=store.using):
            written += [store.add_message(session.id, "user", str(number)) for number in range(3, 6)]
            assert store.get_messages(session.id) == written
    assert store.get_messages(session.id) == written


@pytest.mark.parametrize(
    ("kind", "settings", "prepares"),
    [
        pytest.param("program", {"max_size": 1}, False, id="program"),
        pytest.param("program", {"max_size": 1, "prepare_threshold": None}, False, id="program that says so"),
        pytest.param("program", {"max_size": 1, "prepare_threshold": 1}, True, id="program that insists"),
        pytest.param("project", {}, False, id="project"),
    ],
)
@pytest.mark.parametrize("form", ["sync", "async"])
def test_nothing_is_prepared_unless_the_caller_insists(
    store_with: Callable[..., DjangoCheckpointStore],
    url: str,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    settings: dict[str, Any],
    prepares: bool,
    form: str,
) -> None:
    clean(url)
    store = store_with(kind, **settings)

    async def ask() -> None:
        for _ in range(10):
            await store.aget_session("unknown")

    with caplog.at_level(logging.WARNING, "obsku_checkpoint"):
        if form == "async":
            asyncio.run(ask())
        for _ in range(10 * (form == "sync")):
            store.get_session("unknown")
    assert any("FROM sessions" in statement for statement in prepared(url)) is prepares
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) <= 1
    assert all("prepare_threshold" in warning for warning in warnings)


SETUP = """
import sys
from obsku_checkpoint.errors import StoreUnavailableError
from obsku_checkpoint.postgres import PostgresCheckpointStore
with PostgresCheckpointStore(sys.argv[1]) as store:
    store.setup()
    print(store.create_session(".").directory)
"""


def test_8_processes_set_up_an_empty_database_at_once_and_leave_no_lock(
    pooler: str, postgres_database: Callable[[], str]
) -> None:
    empty = postgres_database()
    url = make_conninfo(pooler, dbname=conninfo_to_dict(empty)["dbname"])
    running = [
        subprocess.Popen([sys.executable, "-c", SETUP, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    try:
        for process in running:
            output, warnings = process.communicate(timeout=PATIENCE)
            assert output == ".\n"
            assert ["prepare_threshold" in warning for warning in warnings.splitlines()] in ([], [True])
    finally:
        for process in running:
            process.kill()
            process.communicate()
    with psycopg.connect(empty) as connection:
        locks = connection.execute(
            "SELECT l.* FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        )
        assert locks.fetchall() == []


@pytest.mark.parametrize("form", ["sync", "async"])
def test_a_write_for_which_the_pooler_had_no_server_is_certainly_not_written(committed: None, form: str) -> None:
    """Its client's connection is there, so the write is sent to the pooler before anything fails."""
    with postgres_server("") as url, transaction_pooler(url, patience=1) as pooler, asyncio.Runner() as runner:
        with PostgresCheckpointStore(url) as control:
            control.setup()
            session = control.create_session(".")
        with PostgresCheckpointStore(pooler) as store:

            def add(content: str) -> None:
                if form == "sync":
                    store.add_message(session.id, "user", content)
                else:
                    runner.run(store.aadd_message(session.id, "user", content))

            add("first")
            certain, end = 0, time.monotonic() + PATIENCE
            with stopped(url):
                while certain < 3 and time.monotonic() < end:
                    with pytest.raises(StoreUnavailableError) as caught:
                        add("lost")
                    certain += not caught.value.maybe_written
            assert certain == 3
        with PostgresCheckpointStore(url) as control:
            assert [message.content for message in control.get_messages(session.id)] == ["first"]


WAIT_FOR_A_STANDBY = "ALTER SYSTEM SET synchronous_standby_names = 'nobody'"


@pytest.mark.parametrize("form", ["sync", "async"])
def test_a_write_whose_server_died_while_it_committed_is_not_repeated(committed: None, form: str) -> None:
    """What the pooler says then has the SQLSTATE of a lost statement, 08P01, and the message is there."""
    with postgres_server("") as url, transaction_pooler(url) as pooler, ThreadPoolExecutor(1) as thread:

        def configure(change: str) -> None:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("SET synchronous_commit = local")
                connection.execute(change.encode())
                connection.execute("SELECT pg_reload_conf()")

        def add() -> MessageRecord:
            with PostgresCheckpointStore(pooler, prepare_threshold=0) as store:
                if form == "sync":
                    return store.add_message(session.id, "user", "once")
                return asyncio.run(store.aadd_message(session.id, "user", "once"))

        with PostgresCheckpointStore(url) as control:
            control.setup()
            session = control.create_session(".")
        configure(WAIT_FOR_A_STANDBY)
        told = thread.submit(add)
        with psycopg.connect(url, autocommit=True) as connection:
            while not connection.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'").fetchone():
                assert not told.done()
                time.sleep(0.02)
        crash(url)
        configure("ALTER SYSTEM RESET synchronous_standby_names")
        with pytest.raises(StoreUnavailableError) as caught:
            told.result(PATIENCE)
        assert caught.value.maybe_written
        with PostgresCheckpointStore(url) as control:
            assert [message.content for message in control.get_messages(session.id)] == ["once"]
