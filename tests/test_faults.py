"""What happens when the database is away, full of other people's rows, or not there at all."""

from __future__ import annotations

import enum
import threading
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connections, transaction

from obsku_checkpoint.errors import (
    ConfigurationError,
    InvalidRecordError,
    SessionNotFoundError,
    StoreUnavailableError,
)
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore


def hang_up(url: str) -> None:
    """End every connection to the database but this one."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def url_of(using: str) -> str:
    """The connection string of an alias."""
    parameters = connections[using].get_connection_params()
    return psycopg.conninfo.make_conninfo(
        **{key: parameters[key] for key in ("dbname", "user", "host", "port") if parameters.get(key)}
    )


def test_a_lost_connection_is_reported_once_and_the_pool_recovers(postgres_database: Any) -> None:
    url = postgres_database()
    with PostgresCheckpointStore(url, min_size=1, max_size=1) as store:
        store.setup()
        session = store.create_session(".")
        hang_up(url)
        with pytest.raises(StoreUnavailableError) as caught:
            store.get_session(session.id)
        assert isinstance(caught.value.__cause__, OperationalError)
        assert store.get_session(session.id) == session


def test_a_lost_connection_of_a_project_recovers_at_the_next_call(committed: None) -> None:
    store = DjangoCheckpointStore("postgres")
    session = store.create_session(".")
    hang_up(url_of("postgres"))
    with pytest.raises(StoreUnavailableError):
        store.get_session(session.id)
    assert store.get_session(session.id) == session


def test_a_database_that_is_away_is_unavailable() -> None:
    with (
        PostgresCheckpointStore("host=127.0.0.1 port=1 dbname=none connect_timeout=1", timeout=0.5) as store,
        pytest.raises(StoreUnavailableError),
    ):
        store.list_sessions()


def test_missing_tables_are_a_matter_of_configuration(postgres_database: Any) -> None:
    with (
        PostgresCheckpointStore(postgres_database()) as store,
        pytest.raises(ConfigurationError, match="migrate"),
    ):
        store.list_sessions()


def test_a_locked_row_is_given_up_as_unavailable(committed: None) -> None:
    store = DjangoCheckpointStore("postgres")
    session = store.create_session(".")
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(using="postgres"):
            store.update_session(session.id, title="held")
            locked.set()
            done.wait(20)
        store.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(20)
    try:
        with transaction.atomic(using="postgres"):
            with connections["postgres"].cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(StoreUnavailableError):
                store.update_session(session.id, title="mine")
            assert store.get_session(session.id) == session
    finally:
        done.set()
        holder.join()


@pytest.mark.parametrize("using", ["default", "postgres"])
def test_a_session_that_is_deleted_while_it_is_written_to_is_not_found(committed: None, using: str) -> None:
    store = DjangoCheckpointStore(using)
    session = store.create_session(".")

    def delete_first(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "INTO messages" in sql or "INTO checkpoints" in sql:
            sql = sql.replace("FROM sessions WHERE id = ", "FROM (SELECT 1) s WHERE '' <> ")
        return execute(sql, params, many, context)

    store.delete_session(session.id)
    with connections[using].execute_wrapper(delete_first), pytest.raises(SessionNotFoundError):
        store.save_checkpoint(session.id, step=0, node_results={})


def test_a_record_that_the_database_refuses_is_invalid(committed: None) -> None:
    store = DjangoCheckpointStore("postgres")
    session = store.create_session(".")
    store.save_checkpoint(session.id, step=0, node_results={}, version=2**31 - 1)
    with pytest.raises(InvalidRecordError):
        store.save_checkpoint(session.id, step=0, node_results={})


def test_a_database_without_rights_is_a_matter_of_configuration(committed: None) -> None:
    store = DjangoCheckpointStore("postgres")
    with transaction.atomic(using="postgres"):
        with connections["postgres"].cursor() as cursor:
            cursor.execute("SET LOCAL ROLE pg_monitor")
        with pytest.raises(ConfigurationError, match="permission denied"):
            store.create_session(".")


@pytest.mark.parametrize("using", ["default", "postgres"])
def test_a_transaction_that_the_caller_broke_is_told_in_djangos_words(committed: None, using: str) -> None:
    store = DjangoCheckpointStore(using)
    with transaction.atomic(using=using):
        transaction.set_rollback(True, using=using)
        with pytest.raises(transaction.TransactionManagementError):
            store.create_session(".")


@pytest.mark.parametrize("moment", [10**17, "abc"])
def test_a_message_with_an_impossible_time_takes_no_others_with_it(
    store: DjangoCheckpointStore, moment: int | str
) -> None:
    if store.using == "postgres" and isinstance(moment, str):
        moment = -(10**17)
    session = store.create_session(".")
    messages = store.add_messages(session.id, [{"role": "user", "content": str(number)} for number in range(3)])
    with connections[store.using].cursor() as cursor:
        cursor.execute("UPDATE messages SET created_at = %s WHERE id = %s", [moment, messages[1].id])
    kept = store.get_messages(session.id, on_corrupt="keep")
    assert sorted(message.content or "" for message in kept) == ["0", "1", "2"]
    assert list(store.iter_messages(session.id, on_corrupt="keep")) == kept
    if not isinstance(moment, str):
        assert store.get_messages(session.id, before_id=messages[1].id, on_corrupt="keep") in (messages[::2], [])


class Word(str, enum.Enum):  # noqa: UP042 - unlike StrEnum, str() of it is not its text
    USER = "user"
    LOOP = "loop"


def test_members_of_a_text_enum_are_stored_as_their_text(store: DjangoCheckpointStore) -> None:
    session = store.create_session(".", title=Word.USER, workspace_id=Word.LOOP)
    message = store.add_message(session.id, Word.USER, Word.LOOP)  # type: ignore[arg-type]  # as programs do
    checkpoint = store.save_checkpoint(session.id, step=0, node_results={}, source=Word.LOOP)  # type: ignore[arg-type]  # same
    assert [type(text) for text in (session.title, message.role, message.content, checkpoint.source)] == [str] * 4
    assert (session.workspace_id, message.role, message.content, checkpoint.source) == ("loop", "user", "loop", "loop")


@pytest.mark.parametrize("messages", [None, 5, "text", {"role": "user"}])
def test_what_is_no_list_of_messages_is_refused(store: DjangoCheckpointStore, messages: Any) -> None:
    session = store.create_session(".")
    with pytest.raises(InvalidRecordError, match="messages"):
        store.add_messages(session.id, messages)


def test_a_very_long_search_finds_nothing(store: DjangoCheckpointStore) -> None:
    assert store.search_sessions("x" * 60_000) == []


def test_an_unknown_alias_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        DjangoCheckpointStore("nowhere")
