"""What the tests of all subjects share: the store in both modes, names of their own, and a few verbs."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar, cast

import pytest

from obsku_checkpoint.errors import CheckpointStoreError
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import NodeResult, SessionRecord, ToolCall, ToolResult
from obsku_checkpoint.testing.sync_over_async import SyncOverAsync

R = TypeVar("R")
Mode = Literal["sync", "async"]
#: writes ``text`` into a column of one row (table, id, column, text) without asking the store
Corrupt = Callable[[str, str | int, str, str], None]

#: how long the clock of a store may run ahead of the tests' clock
CLOCK_SKEW = timedelta(milliseconds=250)

RESULTS: dict[str, NodeResult] = {"plan": {"status": "completed", "output": {"next": "write"}}}
CALL: ToolCall = {"name": "read_file", "toolUseId": "call-1", "input": {"path": "/etc/hosts"}}
RESULT: ToolResult = {"toolUseId": "call-1", "content": "127.0.0.1 localhost", "status": "ok", "fullOutputRef": "ref-1"}


class ConformanceBase:
    """The fixtures that a subclass gives (``store``) or may give (``corrupt``), and those that the tests use."""

    @pytest.fixture
    def store(self) -> CheckpointStore:
        """The store to test. It may hold other rows, and may be the same object for all tests."""
        raise NotImplementedError("override the fixture `store`")

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """A function that writes into a row around the store; without it, the tests of corrupt rows are skipped."""
        pytest.skip("the store offers no way around it")

    def thread_ends(self, store: CheckpointStore) -> None:
        """Called in every thread that has used the store, for stores that keep a connection to each thread."""

    @pytest.fixture(params=["sync", "async"])
    def mode(self, request: pytest.FixtureRequest) -> Mode:
        return cast("Mode", request.param)

    @pytest.fixture
    def subject(self, store: CheckpointStore, mode: Mode) -> Iterator[CheckpointStore]:
        """The store, through its sync methods or through their async twins."""
        if mode == "sync":
            yield store
        else:
            with SyncOverAsync(store) as adapter:
                yield cast("CheckpointStore", adapter)

    @pytest.fixture
    def workspace(self) -> str:
        """A workspace that only this test knows."""
        return f"workspace-{unique()}"

    @pytest.fixture
    def session(self, subject: CheckpointStore, workspace: str) -> SessionRecord:
        """A session in that workspace."""
        return subject.create_session("/repo", title="Fix the login", workspace_id=workspace)

    def at_once(self, store: CheckpointStore, calls: Sequence[Callable[[], R]]) -> list[R | CheckpointStoreError]:
        """Call all from threads that start together: what each returned, or the store's error that it raised."""
        start = threading.Barrier(len(calls))

        def run(call: Callable[[], R]) -> R | CheckpointStoreError:
            start.wait()
            try:
                return call()
            except CheckpointStoreError as error:
                return error
            finally:
                self.thread_ends(store)

        with ThreadPoolExecutor(len(calls)) as threads:
            return list(threads.map(run, calls))


def unique() -> str:
    return uuid.uuid4().hex


def wrong(value: Any) -> Any:
    """Marks an argument that the type checker would rightly refuse."""
    return value


def pass_by(moment: datetime) -> None:
    """Wait until the next write is later than ``moment``: a few milliseconds, for stores that write faster."""
    patience = datetime.now(UTC) + CLOCK_SKEW
    while datetime.now(UTC) <= min(moment + timedelta(milliseconds=1), patience):
        time.sleep(0.001)
