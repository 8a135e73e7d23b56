"""What a store gives back, and the shapes inside its JSON columns. Knows no Django.

Records are immutable; their fields are named as the columns. Timestamps are aware UTC datetimes with millisecond
precision. The ``TypedDict`` keys are the npm package's, because both sides read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NotRequired, TypedDict

Role = Literal["user", "assistant", "system", "tool"]
Source = Literal["input", "loop", "interrupt", "fork"]
NodeStatus = Literal["pending", "running", "completed", "failed", "skipped"]


class ToolCall(TypedDict):
    """One call of a tool that an assistant's message asks for."""

    name: str
    toolUseId: str
    input: Any


class ToolResult(TypedDict):
    """What one tool call gave back."""

    toolUseId: str
    content: Any
    status: NotRequired[str]
    fullOutputRef: NotRequired[str]


class NodeResult(TypedDict):
    """How one node of the graph ended; ``startedAt`` and ``completedAt`` are milliseconds since 1970.

    The keys below ``completedAt`` are those of `obsku_checkpoint.graph`; the npm package passes over them.
    """

    status: NodeStatus
    output: NotRequired[Any]
    error: NotRequired[Any]
    startedAt: NotRequired[int | float]
    completedAt: NotRequired[int | float]
    #: the open question of a node that is interrupted: ``reason``, perhaps ``options``, and what else it was given
    interrupt: NotRequired[dict[str, Any]]
    #: the answers that an unfinished node has been given so far
    answers: NotRequired[list[Any]]
    #: the last checkpoint of the graph that an unfinished node is
    nested: NotRequired[str]
    #: at the graph's entry: the input of the run, and its identity
    input: NotRequired[Any]
    run: NotRequired[str]


class CycleState(TypedDict):
    """Which back edge (``"a->b"``) a cycle takes, and how often it has."""

    backEdge: str
    iteration: int
    #: how often each of the graph's back edges has been taken (`obsku_checkpoint.graph`)
    iterations: NotRequired[dict[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptValue:
    """Stands in a record's field for a stored value that cannot be decoded (``on_corrupt="keep"``)."""

    #: the stored text, unchanged
    text: str
    #: why it cannot be decoded
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One run, or one conversation, of an agent."""

    id: str
    workspace_id: str | None
    title: str | None
    directory: str
    created_at: datetime
    updated_at: datetime
    metadata: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecord:
    """One entry of a session's transcript."""

    id: int
    session_id: str
    role: str
    content: str | None
    tool_calls: list[ToolCall] | None
    tool_results: list[ToolResult] | None
    tokens_in: int | None
    tokens_out: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRecord:
    """The state of a session's graph after one step."""

    id: str
    session_id: str
    #: which of the session's graphs: "" is the main one
    namespace: str
    #: the checkpoint this one follows; it may live in another session (a fork), or be gone
    parent_id: str | None
    #: 1, 2, 3, … within (session, namespace)
    version: int
    step: int
    node_id: str | None
    node_results: dict[str, NodeResult]
    pending_nodes: list[str]
    cycle_state: CycleState | None
    source: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """All that a later process needs to go on with a session."""

    session: SessionRecord
    #: the whole transcript, oldest first
    messages: list[MessageRecord]
    #: the newest one, None where the session has none
    checkpoint: CheckpointRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """A session in figures."""

    session: SessionRecord
    message_count: int
    checkpoint_count: int
    #: sums over the transcript; messages without a figure count as 0
    tokens_in: int
    tokens_out: int
    last_message: MessageRecord | None
    #: from the session's creation to its last activity
    duration: timedelta


def duration(session: SessionRecord) -> timedelta:
    """From creation to last activity; zero where one of the two cannot be decoded."""
    created, active = session.created_at, session.updated_at
    return timedelta(0) if isinstance(created, CorruptValue) or isinstance(active, CorruptValue) else active - created


#: where the records are kept
TABLES = {SessionRecord: "sessions", MessageRecord: "messages", CheckpointRecord: "checkpoints"}
#: their fields that are times, and those that hold JSON-plus
MOMENTS = frozenset({"created_at", "updated_at"})
JSON_PLUS = frozenset({"metadata", "tool_calls", "tool_results", "node_results", "pending_nodes", "cycle_state"})
