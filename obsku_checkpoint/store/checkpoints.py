"""Checkpoints: save the state of a graph, find the newest, follow the parents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import transaction

from obsku_checkpoint import signals, validation
from obsku_checkpoint.clock import clock
from obsku_checkpoint.errors import IdConflictError, SessionNotFoundError, VersionConflictError
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.models import Checkpoint, Session
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import CheckpointRecord, CycleState, NodeResult, Source
from obsku_checkpoint.store.calls import DatabaseStore
from obsku_checkpoint.store.rows import Row, checkpoint_record
from obsku_checkpoint.store.same import same_content
from obsku_checkpoint.store.selects import BY_ID, OF_SESSION
from obsku_checkpoint.store.sql import CHECKPOINT_COLUMNS, NAMESPACE, SESSION_ID, VERSION

if TYPE_CHECKING:
    from obsku_checkpoint.querysets import CheckpointQuerySet

ID = CHECKPOINT_COLUMNS.index("id")
CONTENT = set(CHECKPOINT_COLUMNS) - {"version", "created_at"}


class Checkpoints(DatabaseStore):
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
        row: list[Any] = [
            new_id() if id is None else validation.key("id", id),
            session_id,
            validation.key("namespace", namespace),
            validation.optional_text("parent_id", parent_id),
            None if version is None else validation.integer("version", version, low=1),
            validation.integer("step", step),
            validation.optional_text("node_id", node_id),
            validation.node_results(node_results),
            validation.pending_nodes(pending_nodes),
            validation.cycle_state(cycle_state),
            validation.source(source),
        ]
        if not validation.can_exist("session_id", session_id):
            raise SessionNotFoundError(session_id)
        row.append(clock.checkpoint(session_id))
        with self._call(session_id):
            saved = self._statements.insert_checkpoint(row, row[-1])
            while saved is None:
                if stored := self._refused(row):
                    return checkpoint_record(stored)
                saved = self._insert_in_turn(row)
        row[VERSION] = saved
        record = checkpoint_record(row)
        signals.send_after_commit(signals.checkpoint_saved, type(self), using=self.using, record=record)
        return record

    def get_checkpoint(self, checkpoint_id: str, *, on_corrupt: OnCorrupt = "raise") -> CheckpointRecord | None:
        if not validation.can_exist("checkpoint_id", checkpoint_id):
            return None
        validation.on_corrupt(on_corrupt)
        with self._call():
            rows = self._select(Checkpoint, (BY_ID, checkpoint_id))
        return checkpoint_record(rows[0], on_corrupt) if rows else None

    def get_latest_checkpoint(
        self, session_id: str, namespace: str | None = None, *, on_corrupt: OnCorrupt = "raise"
    ) -> CheckpointRecord | None:
        if namespace is not None:
            newest = self.list_checkpoints(session_id, namespace=namespace, limit=1, on_corrupt=on_corrupt)
            return next(iter(newest), None)
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("session_id", session_id):
            return None
        with self._call():
            rows = self._statements.latest(session_id)
        return checkpoint_record(rows[0], on_corrupt) if rows else None

    def list_checkpoints(
        self,
        session_id: str,
        *,
        namespace: str | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[CheckpointRecord]:
        validation.on_corrupt(on_corrupt)
        count = validation.limit(limit)
        if not validation.can_exist("session_id", session_id):
            return []
        if namespace is not None and not validation.can_exist("namespace", namespace):
            return []
        with self._call():
            if namespace is None:
                checkpoints = self._checkpoints.in_session(session_id).newest_first()
                rows = self._rows(checkpoints.values_list(*CHECKPOINT_COLUMNS)[:count])
            else:
                conditions = (OF_SESSION, session_id), ("namespace = %s", namespace)
                rows = self._select(Checkpoint, *conditions, order="version DESC", limit=count)
        return [checkpoint_record(row, on_corrupt) for row in rows]

    def get_lineage(self, checkpoint_id: str, *, on_corrupt: OnCorrupt = "raise") -> list[CheckpointRecord]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("checkpoint_id", checkpoint_id):
            return []
        with self._call():
            rows = self._statements.lineage(checkpoint_id)
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

    def _refused(self, row: Row) -> Row | None:
        """Why nothing was inserted: the stored row of a retried write; None where another took the next version."""
        id, session_id, version = row[ID], row[SESSION_ID], row[VERSION]
        if stored := self._select(Checkpoint, (BY_ID, id)):
            if version not in (None, stored[0][VERSION]) or not same_content(Checkpoint, stored[0], row, CONTENT):
                raise IdConflictError("Checkpoint", id)
            return stored[0]
        if not self._select(Session, (BY_ID, session_id), column="id"):
            raise SessionNotFoundError(session_id)
        if version is not None:
            raise VersionConflictError(session_id, row[NAMESPACE], version)
        return None

    def _insert_in_turn(self, row: Row) -> int | None:
        """Take the next version after those who queue for it; None where one who did not queue was faster."""
        with transaction.atomic(using=self.using):
            self._statements.wait_for_version(row[SESSION_ID], row[NAMESPACE])
            return self._statements.insert_checkpoint(row, row[-1])
