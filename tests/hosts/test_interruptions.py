"""What the handler of a signal raises into a call or a run, at any moment: nothing is lost, half done, or stuck.

Each scenario runs in a process of its own, which is killed when it hangs.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.core.management import call_command
from django.db import connection

from obsku_checkpoint.errors import CheckpointStoreError
from obsku_checkpoint.graph import Context, Edge, Graph, resume, run
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from tests import processes
from tests.hosts.test_leaks import assert_threads_pool_is_whole, nothing_more_is_held

#: with LEAKS=full as often as users were seen to
INTERRUPTED = 3_000 if os.environ.get("LEAKS") == "full" else 300
STORES = {
    "SQLite": "tests.hosts.settings_sqlite",
    "DjangoCheckpointStore": "tests.hosts.settings",
    "PostgresCheckpointStore": "tests.hosts.settings",
}

R = TypeVar("R")

each_store = pytest.mark.parametrize("kind", STORES)


class InterruptedCallError(Exception):
    """A time limit's, or Ctrl-C."""


class Interruptions:
    """Alarms that raise while something is `limited`."""

    def __init__(self) -> None:
        self._chance = random.Random(11)
        self._limited = False
        #: whether one was raised, in the last block
        self.was_raised = False
        signal.signal(signal.SIGALRM, self._interrupt)

    def _interrupt(self, *_: object) -> None:
        if self._limited:
            self.was_raised = True
            raise InterruptedCallError

    def limit(self, call: Callable[[], R], most: float) -> R | None:
        """What it returns if it is not interrupted, within so many seconds; an error of it must be for that."""
        self.was_raised = False
        try:
            try:
                self._limited = True
                signal.setitimer(signal.ITIMER_REAL, self._chance.uniform(0.00001, most))
                return call()
            finally:
                self._limited = False
        except (InterruptedCallError, CheckpointStoreError):
            if not self.was_raised:  # some drivers' `except` clauses make another error of an interruption
                raise
        return None


@contextmanager
def opened(kind: str) -> Iterator[DjangoCheckpointStore]:
    if kind == "PostgresCheckpointStore":
        with PostgresCheckpointStore(max_size=2) as store:
            yield store
            assert_threads_pool_is_whole(store, 2)
        return
    if kind == "SQLite":
        call_command("migrate", verbosity=0)
    try:
        yield DjangoCheckpointStore()
    finally:
        if kind == "SQLite":
            connection.close()
            Path(connection.settings_dict["NAME"]).unlink()


@each_store
def test_calls_are_whole_or_not_made(tables_url: str, kind: str) -> None:
    processes.run(_interrupt_calls, tables_url, kind, settings=STORES[kind])


def _interrupt_calls(kind: str) -> None:
    interruptions, interrupted = Interruptions(), 0
    with opened(kind) as store:
        session = store.create_session(".", workspace_id=(workspace := f"interrupted {kind}"))
        checkpoint = store.save_checkpoint(session.id, step=1, node_results={})
        acknowledged: list[str] = []
        forks: list[str] = []
        with nothing_more_is_held():
            for number in itertools.count():
                if number % 2:
                    add = partial(store.add_message, session.id, "user", str(number))
                    if interruptions.limit(add, 0.0006):
                        acknowledged.append(str(number))
                elif fork := interruptions.limit(partial(store.fork, checkpoint.id), 0.002):
                    forks.append(fork.id)
                if interruptions.was_raised:
                    interrupted += 1
                    if interrupted % 10 == 0:
                        store.get_session(session.id)
                    if interrupted == INTERRUPTED:
                        break
            signal.setitimer(signal.ITIMER_REAL, 0)
        connection.close()  # with what was not committed
        written = [message.content for message in store.iter_messages(session.id)]
        assert len(set(written)) == len(written)
        assert set(acknowledged) <= set(written)
        sessions = {each.id for each in store.list_sessions(workspace, limit=10_000)}
        assert {session.id, *forks} <= sessions
        assert all(store.get_latest_checkpoint(each) for each in sessions)


@each_store
def test_runs_end_and_are_gone_on_with(tables_url: str, kind: str) -> None:
    processes.run(_interrupt_runs, tables_url, kind, settings=STORES[kind])


def _interrupt_runs(kind: str) -> None:
    interruptions, interrupted = Interruptions(), 0

    async def native(context: Context) -> str:
        return "native"

    graph = Graph(
        entry="a",
        nodes={"a": lambda _: "a", "b": lambda _: "b", "c": native},
        edges=[
            Edge("a", "b"),
            Edge("a", "c"),
            Edge("b", "b", back=True, max_iterations=5),
            Edge("c", "c", back=True, max_iterations=5),
        ],
    )
    with opened(kind) as store:
        while interrupted < INTERRUPTED // 3:
            session = store.create_session(".")
            options: dict[str, Any] = {"session_id": session.id, "checkpoint_store": store, "max_concurrency": 1}
            interruptions.limit(partial(run, graph, input="?", **options), 0.03)
            if interruptions.was_raised:
                interrupted += 1
                versions = [checkpoint.version for checkpoint in store.list_checkpoints(session.id)]
                assert versions == list(range(len(versions), 0, -1))
                if versions and interrupted % 10 == 0:
                    result = resume(graph, session_id=session.id, checkpoint_store=store)
                    assert result.status == "complete"
        signal.setitimer(signal.ITIMER_REAL, 0)
