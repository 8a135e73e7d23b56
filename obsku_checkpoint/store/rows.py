"""Raw database rows become records, in the order of the tables' columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from obsku_checkpoint import codec
from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.fields import from_milliseconds
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
        return None if text is None else self._decoded(column, text, codec.loads)

    def moment(self, column: str, milliseconds: int) -> Any:
        return self._decoded(column, milliseconds, from_milliseconds)

    def _decoded(self, column: str, stored: Any, decode: Callable[[Any], Any]) -> Any:
        try:
            return decode(stored)
        except CheckpointCorruptionError as error:
            corruption = error
        except (OverflowError, TypeError):
            corruption = CheckpointCorruptionError("$", "not milliseconds of the years 1 to 9999", str(stored))
        path, reason = corruption.path, corruption.reason
        if self.on_corrupt == "keep":
            return CorruptValue(text=str(stored), reason=f"{path}: {reason}")
        preview = corruption.preview
        raise CheckpointCorruptionError(path, reason, preview, self.table, str(self.id), column) from corruption
