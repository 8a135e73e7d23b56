"""Many threads and processes on one session."""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import psycopg
import pytest
from django.db import connections

from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.store import DjangoCheckpointStore

THREADS, PROCESSES = 16, 4


def _write(url: str, session_id: str, process: int, count: int) -> list[tuple[int, str]]:
    """Runs in a process of its own: ``count`` checkpoints and messages by 16 threads; the messages' ids and texts."""
    with PostgresCheckpointStore(url, max_size=THREADS) as store:

        def step(number: int) -> tuple[int, str]:
            store.save_checkpoint(session_id, step=number, node_results={})
            text = f"{process}/{number}"
            return store.add_message(session_id, "user", text).id, text

        with ThreadPoolExecutor(THREADS) as threads:
            return list(threads.map(step, range(count)))


@pytest.mark.xdist_group("races")
def test_16_threads_in_4_processes_get_versions_without_gap_and_their_own_messages(postgres_database: Any) -> None:
    url = postgres_database()
    with PostgresCheckpointStore(url) as store:
        store.setup()
        session = store.create_session(".")
        each = 2000 // PROCESSES
        with multiprocessing.get_context("spawn").Pool(PROCESSES) as processes:
            work = [(url, session.id, process, each) for process in range(PROCESSES)]
            sent = [pair for pairs in processes.starmap(_write, work) for pair in pairs]
        versions = [checkpoint.version for checkpoint in store.list_checkpoints(session.id, namespace="")]
        assert versions == list(range(2000, 0, -1))
        assert {(message.id, message.content) for message in store.iter_messages(session.id)} == set(sent)
        assert len(sent) == 2000


def test_a_given_version_is_taken_by_one_of_many_threads(store: DjangoCheckpointStore) -> None:
    session = store.create_session(".")

    def save(_: int) -> bool:
        try:
            store.save_checkpoint(session.id, step=0, node_results={}, version=7)
        except Exception as error:  # noqa: BLE001 - its type is what is asserted
            assert type(error).__name__ == "VersionConflictError"  # noqa: PT017 - in a thread
            return False
        finally:
            store.close()
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(save, range(8))) == [False] * 7 + [True]


def test_who_loses_the_next_version_takes_it_under_the_sessions_lock(committed: None) -> None:
    store = DjangoCheckpointStore("postgres")
    session = store.create_session(".")
    statements: list[str] = []

    def lose(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append("lock" if "FOR NO KEY UPDATE" in sql else "insert" if "INTO checkpoints" in sql else "look")
        if statements[-1] == "insert" and "lock" not in statements:
            params = {**params, "version": 1}  # which another writer has taken meanwhile
        return execute(sql, params, many, context)

    store.save_checkpoint(session.id, step=0, node_results={})
    with connections["postgres"].execute_wrapper(lose):
        assert store.save_checkpoint(session.id, step=0, node_results={}).version == 2
    assert statements == ["insert", "look", "look", "lock", "insert"]


def test_a_retry_that_loses_to_its_twin_returns_the_twins_record(committed: None) -> None:
    store = DjangoCheckpointStore("postgres")
    session = store.create_session(".")
    twins: list[CheckpointRecord] = []

    def save() -> CheckpointRecord:
        return store.save_checkpoint(session.id, step=0, node_results={}, id=f"twin-{session.id}")

    def save_and_close() -> CheckpointRecord:
        try:
            return save()
        finally:
            store.close()

    def let_the_twin_in(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "INTO checkpoints" in sql and not twins:
            with ThreadPoolExecutor(1) as thread:
                twins.append(thread.submit(save_and_close).result())
        return execute(sql, params, many, context)

    with connections["postgres"].execute_wrapper(let_the_twin_in):
        assert save() == twins[0]


SETUP = """
import sys
from obsku_checkpoint.postgres import PostgresCheckpointStore
with PostgresCheckpointStore(sys.argv[1]) as store:
    store.setup()
    print(store.create_session(".").directory)
"""


def test_8_processes_set_up_an_empty_database_at_once(postgres_database: Any) -> None:
    url = postgres_database()
    running = [
        subprocess.Popen([sys.executable, "-c", SETUP, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    assert [process.communicate() for process in running] == [(".\n", "")] * 8


def _fork_until_killed(url: str, checkpoint_id: str, ready: Connection) -> None:
    store = PostgresCheckpointStore(url)
    store.get_checkpoint(checkpoint_id)
    ready.send(True)
    while True:
        store.fork(checkpoint_id, title="fork")


@pytest.mark.xdist_group("races")
def test_sigkill_at_random_moments_never_leaves_half_a_fork(postgres_database: Any) -> None:
    url = postgres_database()
    with PostgresCheckpointStore(url) as store:
        store.setup()
        session = store.create_session(".")
        store.add_messages(session.id, [{"role": "user", "content": str(number)} for number in range(5000)])
        checkpoint = store.save_checkpoint(session.id, step=1, node_results={})
    choice = random.Random(5)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    finished = 0
    for run in range(100):
        receiver, sender = processes.Pipe()
        process = processes.Process(target=_fork_until_killed, args=(url, checkpoint.id, sender))
        process.start()
        receiver.recv()
        time.sleep(choice.uniform(0, 0.15))
        process.kill()
        process.join()
        with psycopg.connect(url) as connection:
            forks = connection.execute(
                "SELECT (SELECT count(*) FROM messages m WHERE m.session_id = s.id),"
                " (SELECT count(*) FROM checkpoints c WHERE c.session_id = s.id)"
                " FROM sessions s WHERE title = 'fork'"
            ).fetchall()
            assert set(forks) <= {(5000, 1)}, f"run {run}"
            connection.execute("DELETE FROM sessions WHERE title = 'fork'")
        finished += len(forks)
    assert finished > 0
