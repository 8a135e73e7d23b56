"""Checkpoints over HTTP: save the state of a graph, find the newest, follow the parents, fork."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from obsku_checkpoint import validation
from obsku_checkpoint.async_twins import method
from obsku_checkpoint.client.base import HTTPStore
from obsku_checkpoint.client.request import body, path
from obsku_checkpoint.client.response import record, records
from obsku_checkpoint.client.retries import Steps
from obsku_checkpoint.errors import (
    CheckpointNotFoundError,
    IdConflictError,
    SessionNotFoundError,
    VersionConflictError,
)
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import CheckpointRecord, CycleState, NodeResult, SessionRecord, Source


class Checkpoints(HTTPStore):
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
        columns = validation.checkpoint(
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
        absent = SessionNotFoundError(session_id)
        if not validation.can_exist("session_id", session_id):
            raise absent
        shown = yield from self._ask(
            "POST",
            path("sessions", session_id, "checkpoints/"),
            body=body(columns),
            errors={
                "session_not_found": absent,
                "id_conflict": IdConflictError("Checkpoint", columns["id"]),
                "version_conflict": VersionConflictError(session_id, namespace, version or 0),  # only of a given one
            },
        )
        return record(CheckpointRecord, shown, "raise")

    @method
    def get_checkpoint(self, checkpoint_id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[CheckpointRecord | None]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("checkpoint_id", checkpoint_id):
            return None
        shown = yield from self._ask("GET", path("checkpoints", checkpoint_id))
        return None if shown is None else record(CheckpointRecord, shown, on_corrupt)

    @method
    def get_latest_checkpoint(
        self, session_id: str, namespace: str | None = None, *, on_corrupt: OnCorrupt = "raise"
    ) -> Steps[CheckpointRecord | None]:
        validation.on_corrupt(on_corrupt)
        if not _can_exist(session_id, namespace):
            return None
        shown = yield from self._ask(
            "GET", path("sessions", session_id, "checkpoints/latest/"), params={"namespace": namespace}
        )
        return None if shown is None else record(CheckpointRecord, shown, on_corrupt)

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
        if not _can_exist(session_id, namespace):
            return []
        shown = yield from self._list(path("sessions", session_id, "checkpoints/"), {"namespace": namespace}, count)
        return records(CheckpointRecord, shown, on_corrupt)

    @method
    def get_lineage(self, checkpoint_id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[list[CheckpointRecord]]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("checkpoint_id", checkpoint_id):
            return []
        listed = yield from self._list(path("checkpoints", checkpoint_id, "lineage/"), {}, None)
        # Of a ring of parents the server may list some twice.
        return list({one.id: one for one in records(CheckpointRecord, listed, on_corrupt)}.values())

    @method
    def fork(self, checkpoint_id: str, *, title: str | None = None) -> Steps[SessionRecord]:
        """Not repeated where it may have been carried out: each would be another session."""
        title = validation.title("title", title)
        absent = CheckpointNotFoundError(checkpoint_id)
        if not validation.can_exist("checkpoint_id", checkpoint_id):
            raise absent
        shown = yield from self._ask(
            "POST",
            path("checkpoints", checkpoint_id, "fork/"),
            body=body({"title": title}),
            repeatable=False,
            errors={"checkpoint_not_found": absent},
        )
        return record(SessionRecord, shown, "keep")


def _can_exist(session_id: str, namespace: str | None) -> bool:
    session = validation.can_exist("session_id", session_id)
    return session if namespace is None else validation.can_exist("namespace", namespace) and session
