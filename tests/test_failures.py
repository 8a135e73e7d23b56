"""What a database's error means to the caller: try again, mend the configuration, or mend the record."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction
from psycopg import sql

from obsku_checkpoint.errors import ConfigurationError, StoreUnavailableError
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.test_faults import hang_up, url_of

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def url(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


@pytest.fixture
def pooled(url: str) -> Iterator[PostgresCheckpointStore]:
    with PostgresCheckpointStore(url, max_size=4) as store:
        store.setup()
        yield store


Call = Callable[[PostgresCheckpointStore, str, tuple[Any, ...]], Any]


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Iterator[Call]:
    """Calls a method of the store, or its twin."""
    if request.param == "sync":
        yield lambda store, name, arguments: getattr(store, name)(*arguments)
    else:
        with asyncio.Runner() as runner:

            async def awaited(store: Any, name: str, arguments: tuple[Any, ...]) -> Any:
                return await getattr(store, f"a{name}")(*arguments)

            yield lambda store, name, arguments: runner.run(awaited(store, name, arguments))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("dbname=no-such-database", "no-such-database"),
        ("user=no-such-role", "no-such-role"),
        ("options='-c search_path=nowhere'", "tables are missing"),
    ],
)
def test_what_waiting_does_not_heal_is_told_at_once_with_the_servers_reason(
    url: str, call: Call, wrong: str, reason: str
) -> None:
    with (
        PostgresCheckpointStore(f"{url} {wrong}") as store,
        pytest.raises(ConfigurationError, match=reason),
    ):
        call(store, "get_session", ("x",))


def test_a_server_that_does_not_listen_is_told_at_once_with_the_reason(call: Call) -> None:
    with (
        PostgresCheckpointStore("host=127.0.0.1 port=1 dbname=none") as store,
        pytest.raises(StoreUnavailableError, match="refused") as caught,
    ):
        call(store, "add_message", ("x", "user", "y"))
    assert caught.value.maybe_written is False


def test_a_role_that_may_only_read_is_a_matter_of_configuration(url: str, call: Call) -> None:
    with PostgresCheckpointStore(f"{url} options='-c default_transaction_read_only=on'") as reader:
        with PostgresCheckpointStore(url) as store:
            store.setup()
            session = store.create_session(".")
        assert call(reader, "get_session", (session.id,)) == session
        with pytest.raises(ConfigurationError, match="read-only"):
            call(reader, "add_message", (session.id, "user", "x"))


def test_a_lost_connection_says_whether_something_may_have_been_written(
    pooled: PostgresCheckpointStore, url: str, call: Call
) -> None:
    session = pooled.create_session(".")
    call(pooled, "get_session", (session.id,))
    hang_up(url)
    with pytest.raises(StoreUnavailableError) as caught:
        call(pooled, "get_session", (session.id,))
    assert caught.value.maybe_written is False
    assert call(pooled, "get_session", (session.id,)) == session
    hang_up(url)
    with pytest.raises(StoreUnavailableError) as caught:
        call(pooled, "add_message", (session.id, "user", "x"))
    assert caught.value.maybe_written is True


def test_a_statement_that_the_server_gave_up_has_written_nothing(
    pooled: PostgresCheckpointStore, url: str, call: Call
) -> None:
    session = pooled.create_session(".")
    with (
        psycopg.connect(url) as other,
        PostgresCheckpointStore(f"{url} options='-c lock_timeout=50ms'") as impatient,
    ):
        other.execute("UPDATE sessions SET title = 'held' WHERE id = %s", [session.id])
        with pytest.raises(StoreUnavailableError, match="lock timeout") as caught:
            call(impatient, "add_message", (session.id, "user", "x"))
        assert caught.value.maybe_written is False


def test_in_the_callers_transaction_a_lost_connection_has_written_nothing(
    pooled: PostgresCheckpointStore, url: str
) -> None:
    with (
        pytest.raises(StoreUnavailableError) as caught,
        transaction.atomic(using=pooled.using),
    ):
        session = pooled.create_session(".")
        hang_up(url)
        pooled.add_message(session.id, "user", "x")
    assert caught.value.maybe_written is False
    assert pooled.list_sessions() == []


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_writers_that_the_server_rolls_back_for_each_others_sake_all_succeed(url: str, level: str) -> None:
    options = f"options='-c default_transaction_isolation={level.replace(' ', chr(92) + chr(92) + ' ')}'"
    with PostgresCheckpointStore(f"{url} {options}", max_size=8) as store:
        store.setup()
        session = store.create_session(".")

        def write(number: int) -> None:
            for step in range(15):
                store.add_message(session.id, "user", f"{number} {step}")
                store.save_checkpoint(session.id, step=step, node_results={})

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(write, range(8)))
        assert len(store.get_messages(session.id)) == 120
        assert [saved.version for saved in store.list_checkpoints(session.id, namespace="")] == list(range(120, 0, -1))


def test_a_transaction_that_is_aborted_already_is_the_callers(committed: None) -> None:
    store = DjangoCheckpointStore("postgres")
    with transaction.atomic(using="postgres"):
        with pytest.raises(psycopg.Error):
            connections["postgres"].connection.execute("SELECT 1 / 0")  # past Django, which so knows nothing of it
        with pytest.raises(ConfigurationError, match="aborted"):
            store.get_session("x")
        transaction.set_rollback(True, using="postgres")


def test_a_sequence_that_is_behind_its_rows_is_told_with_the_cure(
    pooled: PostgresCheckpointStore, url: str, call: Call
) -> None:
    session = pooled.create_session(".")
    message = pooled.add_message(session.id, "user", "x")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT setval(pg_get_serial_sequence('messages', 'id'), %s, false)", [message.id])
        with pytest.raises(ConfigurationError, match="setval") as caught:
            call(pooled, "add_message", (session.id, "user", "y"))
        cure = str(caught.value).partition("run ")[2]
        connection.execute(sql.SQL(cure))
    assert call(pooled, "add_message", (session.id, "user", "y")).id == message.id + 1


@pytest.mark.parametrize(
    "content", [b"this is not a database, but text that is long enough to be looked at" * 20, None]
)
def test_a_file_that_is_no_database_of_ours_is_a_matter_of_configuration(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "db.sqlite3"
    if content is None:
        file = tmp_path / "no such folder" / "db.sqlite3"
    else:
        file.write_bytes(content)
    alias = f"file-{content is None}"
    connections.settings[alias] = {**connections["default"].settings_dict, "NAME": str(file), "OPTIONS": {}}
    try:
        with pytest.raises(ConfigurationError):
            DjangoCheckpointStore(alias).get_session("x")
    finally:
        connections[alias].close()
        del connections[alias], connections.settings[alias]


def test_a_connection_whose_answer_is_still_to_come_is_not_used_again(
    pooled: PostgresCheckpointStore, url: str
) -> None:
    """An exception of the caller's breaks into a call, as a time limit of a task queue does."""
    session = pooled.create_session(".")

    class TimeLimitError(Exception):
        pass

    def interrupted(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        driver = connections[pooled.using].connection
        driver.pgconn.send_query(b"SELECT pg_sleep(0.1)")
        raise TimeLimitError

    for _ in range(6):  # more often than the pool has places
        with connections[pooled.using].execute_wrapper(interrupted), pytest.raises(TimeLimitError):
            pooled.get_session(session.id)
        assert pooled.get_session(session.id) == session


def test_threads_that_were_idle_while_the_server_restarted_do_not_all_fail(committed: None) -> None:
    store = DjangoCheckpointStore("postgres")
    session = store.create_session(".")
    url = url_of("postgres")
    together = threading.Barrier(8, timeout=20)
    one_at_a_time = threading.Lock()
    failed = []

    def work(number: int) -> None:
        store.get_session(session.id)
        if together.wait() == 0:
            hang_up(url)
        together.wait()
        with one_at_a_time:
            try:
                store.get_session(session.id)
            except StoreUnavailableError:
                failed.append(number)
        store.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    store.close()
    assert len(failed) <= 1
