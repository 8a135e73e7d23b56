"""What a run tells while it is at work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from obsku_checkpoint.records import CheckpointRecord, NodeStatus

EventType = Literal["node_started", "node_finished", "checkpoint_saved", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened: ``type`` says which, and which of the fields below are set."""

    type: EventType
    session_id: str
    namespace: str
    #: of ``checkpoint_saved``: the node that the checkpoint was saved after, None for the first of a run
    node: str | None = None
    iteration: int = 0
    #: of ``node_finished``: completed, failed or skipped
    status: NodeStatus | None = None
    #: of ``node_finished``, if completed
    output: Any = None
    #: of ``node_finished``, if failed
    error: str | None = None
    #: of ``interrupted``
    question: dict[str, Any] | None = None
    #: of ``checkpoint_saved``
    checkpoint: CheckpointRecord | None = None
