"""Raw database rows become records, in the order of the tables' columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from obsku_checkpoint import codec
from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.fields import read_moment
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import CheckpointRecord, CorruptValue, MessageRecord, SessionRecord

Row = Sequence[Any]


def session_record(row: Row, on_corrupt: OnCorrupt = "raise") -> SessionRecord:
    id, workspace_id, title, directory, created_at, updated_at, metadata = row
    read = _Reader("sessions", id, on_corrupt)
    return SessionRecord(
        id=id,
        workspace_id=workspace_id,
        title=title,
        directory=directory,
        created_at=read.moment("created_at", created_at),
        updated_at=read.moment("updated_at", updated_at),
        metadata=read.value("metadata", metadata),
    )


def message_record(row: Row, on_corrupt: OnCorrupt = "raise") -> MessageRecord:
    id, session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at = row
    read = _Reader("messages", id, on_corrupt)
    return MessageRecord(
        id=id,
        session_id=session_id,
        role=role,
        content=content,
        tool_calls=read.value("tool_calls", tool_calls),
        tool_results=read.value("tool_results", tool_results),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        created_at=read.moment("created_at", created_at),
    )


def checkpoint_record(row: Row, on_corrupt: OnCorrupt = "raise") -> CheckpointRecord:
    (id, session_id, namespace, parent_id, version, step, node_id,
     node_results, pending_nodes, cycle_state, source, created_at) = row  # fmt: skip
    read = _Reader("checkpoints", id, on_corrupt)
    return CheckpointRecord(
        id=id,
        session_id=session_id,
        namespace=namespace,
        parent_id=parent_id,
        version=version,
        step=step,
        node_id=node_id,
        node_results=read.value("node_results", node_results),
        pending_nodes=[] if pending_nodes is None else read.value("pending_nodes", pending_nodes),
        cycle_state=read.value("cycle_state", cycle_state),
        source=source,
        created_at=read.moment("created_at", created_at),
    )


class _Reader:
    """Decodes the columns of one row, and says which one it was that could not be."""

    __slots__ = ("id", "on_corrupt", "table")

    def __init__(self, table: str, id: object, on_corrupt: OnCorrupt) -> None:
        self.table = table
        self.id = id
        self.on_corrupt = on_corrupt

    def value(self, column: str, text: str | None) -> Any:
        try:
            return None if text is None else codec.loads(text)
        except CheckpointCorruptionError as error:
            return self._corrupt(column, str(text), error)

    def moment(self, column: str, milliseconds: int) -> Any:
        value = read_moment(milliseconds)
        if isinstance(value, CorruptValue):
            return self._corrupt(column, value.text, CheckpointCorruptionError("$", value.reason, value.text))
        return value

    def _corrupt(self, column: str, text: str, error: CheckpointCorruptionError) -> CorruptValue:
        if self.on_corrupt == "keep":
            return CorruptValue(text=text, reason=f"{error.path}: {error.reason}")
        place = (self.table, str(self.id), column)
        raise CheckpointCorruptionError(error.path, error.reason, error.preview, *place) from error
