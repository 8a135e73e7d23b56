"""A store in memory, for tests that run thousands of graphs. It keeps text, as a database does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from obsku_checkpoint import codec, validation
from obsku_checkpoint.errors import CheckpointNotFoundError, SessionNotFoundError, VersionConflictError
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.protocols import CheckpointStore, OnCorrupt
from obsku_checkpoint.records import CheckpointRecord, CycleState, NodeResult, SessionRecord, Source

R = TypeVar("R")


@dataclass
class Row:
    record: CheckpointRecord
    node_results: str
    cycle_state: str | None
    #: its place among the checkpoints of all sessions, from 0
    order: int

    def read(self) -> CheckpointRecord:
        state = codec.loads(self.cycle_state) if self.cycle_state else None
        return replace(self.record, node_results=codec.loads(self.node_results), cycle_state=state)


@dataclass
class MemoryStore(CheckpointStore):
    """Sessions and checkpoints; nothing here writes messages."""

    sessions: dict[str, SessionRecord] = field(default_factory=dict)
    rows: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.RLock)
    #: how many checkpoints there are
    saved: int = 0

    async def _in_thread(self, call: Callable[[], R]) -> R:
        return call()  # nothing to wait for

    def stopped_after(self, number: int) -> MemoryStore:
        """What a process leaves behind that is killed when it has saved so many checkpoints."""
        rows = {key: [row for row in some if row.order < number] for key, some in self.rows.items()}
        return memory_store(dict(self.sessions), {key: some for key, some in rows.items() if some}, saved=number)

    def create_session(
        self,
        directory: str,
        *,
        title: str | None = None,
        workspace_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
    ) -> SessionRecord:
        now = datetime.now(UTC)
        session = SessionRecord(
            id=id or new_id(),
            workspace_id=workspace_id,
            title=title,
            directory=directory,
            created_at=now,
            updated_at=now,
            metadata=metadata,
        )
        self.sessions[session.id] = session
        return session

    def save_checkpoint(
        self,
        session_id: str,
        *,
        step: int,
        node_results: Mapping[str, NodeResult],
        pending_nodes: Sequence[str] = (),
        namespace: str = "",
        version: int | None = None,
        parent_id: str | None = None,
        node_id: str | None = None,
        cycle_state: CycleState | None = None,
        source: Source = "loop",
        id: str | None = None,
    ) -> CheckpointRecord:
        results, state = validation.node_results(node_results), validation.cycle_state(cycle_state)
        validation.pending_nodes(pending_nodes)
        with self._lock:
            if session_id not in self.sessions:
                raise SessionNotFoundError(session_id)
            rows = self.rows.setdefault((session_id, namespace), [])
            versions = {row.record.version for row in rows}
            if version in versions:
                raise VersionConflictError(session_id, namespace, version)
            record = CheckpointRecord(
                id=id or new_id(),
                session_id=session_id,
                namespace=namespace,
                parent_id=parent_id,
                version=version or max(versions, default=0) + 1,
                step=step,
                node_id=node_id,
                node_results={},
                pending_nodes=list(pending_nodes),
                cycle_state=None,
                source=source,
                created_at=datetime.now(UTC),
            )
            rows.append(Row(record, results, state, self.saved))
            self.saved += 1
            return rows[-1].read()

    def get_latest_checkpoint(
        self, session_id: str, namespace: str | None = None, *, on_corrupt: OnCorrupt = "raise"
    ) -> CheckpointRecord | None:
        return next(iter(self.list_checkpoints(session_id, namespace=namespace, limit=1)), None)

    def list_checkpoints(
        self,
        session_id: str,
        *,
        namespace: str | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[CheckpointRecord]:
        rows = [
            row
            for (session, space), some in self.rows.items()
            if session == session_id and namespace in (None, space)
            for row in some
        ]
        return [row.read() for row in sorted(rows, key=lambda row: -row.order)[:limit]]

    def fork(self, checkpoint_id: str, *, title: str | None = None) -> SessionRecord:
        for rows in self.rows.values():
            for row in rows:
                if row.record.id == checkpoint_id:
                    fork = self.create_session("/", title=title)
                    copy = replace(row.record, id=new_id(), session_id=fork.id, parent_id=checkpoint_id, source="fork")
                    key = (fork.id, copy.namespace)
                    self.rows[key] = [replace(row, record=copy, order=self.saved)]
                    self.saved += 1
                    return fork
        raise CheckpointNotFoundError(checkpoint_id)


def memory_store(*args: Any, **kwargs: Any) -> MemoryStore:
    return MemoryStore(*args, **kwargs)  # type: ignore[abstract] # no graph asks for the other methods
