"""Checkpoints: save the state of a graph, find the newest, follow the parents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from obsku_checkpoint import signals, validation
from obsku_checkpoint.async_twins import Steps, method
from obsku_checkpoint.errors import (
    IdConflictError,
    SessionNotFoundError,
    StoreUnavailableError,
    VersionConflictError,
)
from obsku_checkpoint.models import Checkpoint, Session
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import CheckpointRecord, CycleState, NodeResult, Source
from obsku_checkpoint.store import session_clock
from obsku_checkpoint.store.base import DatabaseStore
from obsku_checkpoint.store.calls import atomic
from obsku_checkpoint.store.rows import Row, checkpoint_record, same_content
from obsku_checkpoint.store.sql import BY_ID, LATEST_IN_NAMESPACE, LINEAGE, OF_SESSION, columns

if TYPE_CHECKING:
    from obsku_checkpoint.querysets import CheckpointQuerySet

COLUMNS = columns(Checkpoint)
ID, VERSION = map(COLUMNS.index, ("id", "version"))
CONTENT = set(COLUMNS) - {"version", "created_at"}
#: how often the next version is taken without the session's lock, which other writers win, and with it, which only
#: those can win that do not lock (the npm package). Who has lost once has company: 8 threads on one session save a
#: third more when they lock from then on than when they try three times
OPTIMISTIC, LOCKED = 1, 20


class Checkpoints(DatabaseStore):
    @method
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
    ) -> Steps[CheckpointRecord]:
        given = validation.checkpoint(
            id=id,
            namespace=namespace,
            parent_id=parent_id,
            version=version,
            step=step,
            node_id=node_id,
            node_results=node_results,
            pending_nodes=pending_nodes,
            cycle_state=cycle_state,
            source=source,
        )
        if not validation.can_exist("session_id", session_id):
            raise SessionNotFoundError(session_id)
        checkpoint = {**given, "session_id": session_id}
        row = [checkpoint.get(column) for column in COLUMNS]
        saved = yield from self._insert(checkpoint)
        lost = 0
        while saved is None:
            if stored := (yield from self._refused(row)):
                return checkpoint_record(stored)
            lost += 1
            if lost == OPTIMISTIC + LOCKED:
                raise StoreUnavailableError(f"other writers have taken the next version {lost} times")
            locked = lost >= OPTIMISTIC
            saved = yield from (
                atomic(partial(self._insert_locked, checkpoint)) if locked else self._insert(checkpoint)
            )
        row[VERSION], row[-1] = saved
        record = checkpoint_record(row)
        yield from self._announce(signals.checkpoint_saved, record=record)
        return record

    @method
    def get_checkpoint(self, checkpoint_id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[CheckpointRecord | None]:
        if not validation.can_exist("checkpoint_id", checkpoint_id):
            return None
        validation.on_corrupt(on_corrupt)
        rows = yield self._select(Checkpoint, (BY_ID, checkpoint_id))
        return checkpoint_record(rows[0], on_corrupt) if rows else None

    @method
    def get_latest_checkpoint(
        self, session_id: str, namespace: str | None = None, *, on_corrupt: OnCorrupt = "raise"
    ) -> Steps[CheckpointRecord | None]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("session_id", session_id):
            return None
        if namespace is None:
            rows = yield self._sql.latest, {"session_id": session_id}
        elif validation.can_exist("namespace", namespace):
            rows = yield LATEST_IN_NAMESPACE, {"session_id": session_id, "namespace": namespace}
        else:
            return None
        return checkpoint_record(rows[0], on_corrupt) if rows else None

    @method
    def list_checkpoints(
        self,
        session_id: str,
        *,
        namespace: str | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> Steps[list[CheckpointRecord]]:
        validation.on_corrupt(on_corrupt)
        count = validation.limit(limit)
        if not validation.can_exist("session_id", session_id):
            return []
        if count == 0 or (namespace is not None and not validation.can_exist("namespace", namespace)):
            return []
        if namespace is None:
            checkpoints = self._checkpoints.in_session(session_id).newest_first()
            rows = yield self._query(checkpoints.values_list(*COLUMNS)[:count])
        else:
            conditions = (OF_SESSION, session_id), ("namespace = %s", namespace)
            rows = yield self._select(Checkpoint, *conditions, order="version DESC", limit=count)
        return [checkpoint_record(row, on_corrupt) for row in rows]

    @method
    def get_lineage(self, checkpoint_id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[list[CheckpointRecord]]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("checkpoint_id", checkpoint_id):
            return []
        rows = yield LINEAGE, {"checkpoint_id": checkpoint_id}
        by_id = {row[ID]: checkpoint_record(row, on_corrupt) for row in rows}
        lineage: list[CheckpointRecord] = []
        follow: str | None = checkpoint_id
        while follow is not None and (record := by_id.pop(follow, None)):
            lineage.append(record)
            follow = record.parent_id
        return lineage

    # -- rows

    @property
    def _checkpoints(self) -> CheckpointQuerySet:
        return Checkpoint.objects.using(self.using).all()

    def _insert(self, checkpoint: Mapping[str, Any]) -> Steps[tuple[int, int] | None]:
        return self._sql.insert_checkpoint({**checkpoint, **session_clock.now()})

    def _insert_locked(self, checkpoint: Mapping[str, Any]) -> Steps[tuple[int, int] | None]:
        """Take the next version in turn: what is read after the lock is not stale."""
        yield from self._sql.lock_session(checkpoint["session_id"])
        return (yield from self._insert(checkpoint))

    def _refused(self, row: Row) -> Steps[Row | None]:
        """Why nothing was inserted: the stored row of a retried write; None where another took the next version."""
        id, session_id, namespace, version = row[ID], row[1], row[2], row[VERSION]
        if stored := (yield self._select(Checkpoint, (BY_ID, id))):
            if version not in (None, stored[0][VERSION]) or not same_content(Checkpoint, stored[0], row, CONTENT):
                raise IdConflictError("Checkpoint", id)
            return stored[0]  # type: ignore[no-any-return]  # a row
        if not (yield self._select(Session, (BY_ID, session_id), column="id")):
            raise SessionNotFoundError(session_id)
        if version is not None:
            raise VersionConflictError(session_id, namespace, version)
        return None
