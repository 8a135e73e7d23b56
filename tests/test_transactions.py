"""The store inside and outside a caller's transaction, and its signals after the commit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections, transaction
from django.dispatch import Signal
from django.test.utils import CaptureQueriesContext

from obsku_checkpoint import signals
from obsku_checkpoint.errors import (
    CheckpointNotFoundError,
    IdConflictError,
    InvalidRecordError,
    SessionNotFoundError,
    StoreUnavailableError,
    VersionConflictError,
)
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.store import DjangoCheckpointStore


class RolledBackError(Exception):
    pass


def test_what_is_written_in_a_transaction_that_is_rolled_back_is_gone(store: DjangoCheckpointStore) -> None:
    session = store.create_session(".")
    with pytest.raises(RolledBackError), transaction.atomic(using=store.using):
        store.add_message(session.id, "user", "x")
        store.save_checkpoint(session.id, step=0, node_results={})
        lost = store.create_session("lost")
        raise RolledBackError
    assert store.get_messages(session.id) == []
    assert store.list_checkpoints(session.id) == []
    assert store.get_session(lost.id) is None


def test_an_error_of_one_call_leaves_the_callers_transaction_usable(store: DjangoCheckpointStore) -> None:
    with transaction.atomic(using=store.using):
        session = store.create_session(".", id=f"usable-{store.using}")
        store.save_checkpoint(session.id, step=0, node_results={}, version=1)
        with pytest.raises(IdConflictError):
            store.create_session("other", id=session.id)
        with pytest.raises(VersionConflictError):
            store.save_checkpoint(session.id, step=0, node_results={}, version=1)
        with pytest.raises(SessionNotFoundError):
            store.add_message("unknown", "user")
        with pytest.raises(SessionNotFoundError):
            store.save_checkpoint("unknown", step=0, node_results={})
        with pytest.raises(CheckpointNotFoundError):
            store.fork("unknown")
        with pytest.raises(InvalidRecordError):
            store.add_message(session.id, "nobody")  # type: ignore[arg-type]  # the refusal is what is tested
        store.add_message(session.id, "user", "still here")
    assert [message.content for message in store.get_messages(session.id)] == ["still here"]


def test_the_store_without_a_project_works_in_a_transaction_too(postgres_database: Any) -> None:
    with PostgresCheckpointStore(postgres_database()) as store:
        store.setup()
        with transaction.atomic(using=store.using):
            session = store.create_session(".")
            store.add_message(session.id, "user", "x")
            with pytest.raises(SessionNotFoundError):
                store.add_message("unknown", "user")
            store.save_checkpoint(session.id, step=0, node_results={})
        assert len(store.get_messages(session.id)) == 1
        with pytest.raises(RolledBackError), transaction.atomic(using=store.using):
            store.add_message(session.id, "user", "lost")
            raise RolledBackError
        assert len(store.get_messages(session.id)) == 1


def test_a_read_that_is_given_up_leaves_the_callers_transaction_usable(committed: None) -> None:
    store = DjangoCheckpointStore("postgres")
    session = store.create_session(".")

    def slow(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "FROM" in sql and "messages" in sql:
            sql, params = "SELECT pg_sleep(5)", None
        return execute(sql, params, many, context)

    with transaction.atomic(using="postgres"):
        with connections["postgres"].cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '50ms'")
        with connections["postgres"].execute_wrapper(slow), pytest.raises(StoreUnavailableError):
            store.get_messages(session.id)
        assert store.get_session(session.id) == session


def test_a_write_waits_for_the_transaction_that_writes_into_its_session(committed: None) -> None:
    """So that the times of a session's rows are in the order of the commits."""
    store = DjangoCheckpointStore("postgres")
    session = store.create_session(".")

    def other_branch() -> CheckpointRecord:
        try:
            return store.save_checkpoint(session.id, step=0, node_results={}, namespace="b")
        finally:
            store.close()

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic(using="postgres"):
            first = store.save_checkpoint(session.id, step=0, node_results={}, namespace="a")
            other = thread.submit(other_branch)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.2)
            last = store.add_message(session.id, "user", "x")
        assert first.created_at < last.created_at < other.result().created_at


def test_with_autocommit_off_a_signal_does_not_fail_the_write(
    store: DjangoCheckpointStore, received: list[tuple[str, Any]]
) -> None:
    transaction.set_autocommit(False, using=store.using)
    try:
        session = store.create_session(".")
        transaction.commit(using=store.using)
    finally:
        transaction.rollback(using=store.using)
        transaction.set_autocommit(True, using=store.using)
    assert received == [("session_created", session)]


def test_a_fork_that_fails_half_way_leaves_nothing(store: DjangoCheckpointStore) -> None:
    session = store.create_session(".", workspace_id=f"half-{store.using}")
    store.add_message(session.id, "user", "x")
    checkpoint = store.save_checkpoint(session.id, step=0, node_results={})

    def fail_at_the_checkpoint(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "INTO checkpoints" in sql and "WITH" not in sql:
            raise RolledBackError
        result = execute(sql, params, many, context)
        if "WITH session" in sql:
            raise RolledBackError
        return result

    with (
        pytest.raises(RolledBackError),
        transaction.atomic(using=store.using),
        connections[store.using].execute_wrapper(fail_at_the_checkpoint),
    ):
        store.fork(checkpoint.id)
    assert [one.id for one in store.list_sessions(session.workspace_id)] == [session.id]


def statements_of(store: DjangoCheckpointStore, call: Callable[[], object]) -> int:
    with CaptureQueriesContext(connections[store.using]) as captured:
        call()
    return len(captured)


def test_a_fork_takes_as_many_statements_for_a_long_transcript_as_for_a_short_one(
    store: DjangoCheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("obsku_checkpoint.store.fork.on_fork", {})  # what adapters copy is theirs
    counts = set()
    for length in (1, 300):
        session = store.create_session(".")
        store.add_messages(session.id, [{"role": "user", "content": "x"}] * length)
        checkpoint = store.save_checkpoint(session.id, step=0, node_results={})
        counts.add(statements_of(store, lambda id=checkpoint.id: store.fork(id)))  # type: ignore[misc]  # bound early
    assert len(counts) == 1
    assert counts.pop() == (1 if store.using == "postgres" else 5)  # with SQLite's BEGIN and COMMIT


def test_a_list_of_summaries_takes_as_many_queries_for_many_sessions_as_for_one(store: DjangoCheckpointStore) -> None:
    counts = set()
    for workspace, sessions in (("summaries-1", 1), ("summaries-20", 20)):
        for _ in range(sessions):
            session = store.create_session(".", workspace_id=workspace)
            store.add_message(session.id, "user", "x", tokens_in=2)
            store.save_checkpoint(session.id, step=0, node_results={})
        counts.add(statements_of(store, lambda name=workspace: store.list_session_summaries(name)))  # type: ignore[misc]  # bound early
    assert counts == {5}


@pytest.mark.parametrize("call", ["create", "update", "message", "messages", "save", "get", "delete"])
def test_a_write_is_one_round_trip_to_postgres(committed: None, call: str) -> None:
    store = DjangoCheckpointStore("postgres")
    session = store.create_session(".")
    calls: dict[str, Callable[[], object]] = {
        "create": lambda: store.create_session("."),
        "update": lambda: store.update_session(session.id, title="x"),
        "message": lambda: store.add_message(session.id, "user", "x"),
        "messages": lambda: store.add_messages(session.id, [{"role": "user"}] * 10),
        "save": lambda: store.save_checkpoint(session.id, step=0, node_results={}),
        "get": lambda: store.get_session(session.id),
        "delete": lambda: store.delete_session(session.id),
    }
    assert statements_of(store, calls[call]) == 1


SIGNALS = ("session_created", "message_added", "checkpoint_saved", "session_forked")


@pytest.fixture
def received() -> Iterator[list[tuple[str, Any]]]:
    """What receivers of the four signals got."""
    received: list[tuple[str, Any]] = []

    def receive(signal: Signal, sender: type, **arguments: Any) -> None:
        assert sender is DjangoCheckpointStore
        received.extend((name, arguments["record"]) for name in SIGNALS if getattr(signals, name) is signal)

    for name in SIGNALS:
        getattr(signals, name).connect(receive)
    yield received
    for name in SIGNALS:
        getattr(signals, name).disconnect(receive)


def test_signals_carry_the_records(store: DjangoCheckpointStore, received: list[tuple[str, Any]]) -> None:
    session = store.create_session(".")
    message = store.add_message(session.id, "user", "x")
    two = store.add_messages(session.id, [{"role": "user"}, {"role": "tool"}])
    checkpoint = store.save_checkpoint(session.id, step=0, node_results={})
    fork = store.fork(checkpoint.id)
    assert received == [
        ("session_created", session),
        ("message_added", message),
        ("message_added", two[0]),
        ("message_added", two[1]),
        ("checkpoint_saved", checkpoint),
        ("session_forked", fork),
    ]


def test_signals_wait_for_the_commit(store: DjangoCheckpointStore, received: list[tuple[str, Any]]) -> None:
    with pytest.raises(RolledBackError), transaction.atomic(using=store.using):
        store.create_session(".")
        raise RolledBackError
    assert received == []
    with transaction.atomic(using=store.using):
        store.create_session(".")
        assert received == []
    assert len(received) == 1


def test_a_retried_write_sends_no_second_signal(store: DjangoCheckpointStore, received: list[tuple[str, Any]]) -> None:
    session = store.create_session(".", id=f"retried-{store.using}")
    assert store.create_session(".", id=session.id) == session
    assert len(received) == 1


def test_a_failing_receiver_loses_nothing_and_is_logged(
    store: DjangoCheckpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(sender: type, **arguments: Any) -> None:
        raise RolledBackError

    signals.message_added.connect(fail)
    try:
        session = store.create_session(".")
        with caplog.at_level(logging.ERROR, "obsku_checkpoint"):
            message = store.add_message(session.id, "user", "x")
    finally:
        signals.message_added.disconnect(fail)
    assert store.get_messages(session.id) == [message]
    assert [record.name for record in caplog.records if record.name.startswith("obsku")] == ["obsku_checkpoint.signals"]
