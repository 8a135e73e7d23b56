"""What a store gives back, and the shapes inside its JSON columns. Knows no Django.

Records are immutable; their fields are named as the columns. Timestamps are aware UTC datetimes with millisecond
precision. The ``TypedDict`` keys are the npm package's, because both sides read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, Literal, NotRequired, TypedDict, TypeVar

R_co = TypeVar("R_co", covariant=True)
OnCorrupt = Literal["raise", "keep"]
Role = Literal["user", "assistant", "system", "tool"]
Source = Literal["input", "loop", "interrupt", "fork"]
NodeStatus = Literal["pending", "running", "completed", "failed", "skipped"]


Milliseconds = Annotated[int | float, "Milliseconds since 1970."]


# The shapes inside JSON columns. The checks of `obsku_checkpoint.validation` and the JSON schemas of the API are made
# of them; a text in `Annotated` describes its key there.


class ToolCall(TypedDict):
    """One call of a tool that an assistant's message asks for."""

    name: Annotated[str, "Which tool is called."]
    toolUseId: Annotated[str, "What the result refers to."]
    input: Annotated[dict[str, Any], "The tool's arguments: any JSON-plus values, under names."]


class ToolResult(TypedDict):
    """What one tool call gave back. At least one of ``content`` and ``data`` is given; a stored one has ``content``."""

    toolUseId: Annotated[str, "Which call this is the result of."]
    content: NotRequired[Annotated[str, "The result as text, as a model reads it; without one, the JSON of data."]]
    data: NotRequired[Annotated[Any, "The result as any JSON-plus value, for programs. The npm package ignores it."]]
    status: NotRequired[Annotated[str, "How it went, such as success or error."]]
    fullOutputRef: NotRequired[Annotated[str, "Where the whole output is, if it was cut."]]


class NodeResult(TypedDict):
    """How one node of the graph ended.

    The keys below ``completedAt`` are those of `obsku_checkpoint.graph`; the npm package passes over them.
    """

    status: Annotated[NodeStatus, "How the node stands."]
    output: NotRequired[Annotated[Any, "What the node gave: any JSON-plus value."]]
    error: NotRequired[Annotated[Any, "Why it failed: any JSON-plus value."]]
    startedAt: NotRequired[Milliseconds]
    completedAt: NotRequired[Milliseconds]
    interrupt: NotRequired[
        Annotated[dict[str, Any], "The open question of an interrupted node: reason, perhaps options, and other keys."]
    ]
    answers: NotRequired[
        Annotated[list[Any], "What an unfinished node was answered so far: objects of question and answer."]
    ]
    nested: NotRequired[Annotated[str, "The last checkpoint of the graph that an unfinished node is."]]
    questions: NotRequired[Annotated[dict[str, Any], "Of the graph that an unfinished node is: path -> open question."]]


class CycleState(TypedDict):
    """Where a cycle stands."""

    backEdge: Annotated[str, "The edge that leads back, as `a->b`."]
    iteration: Annotated[int, "How often it was taken."]


class Relationship(TypedDict):
    """One edge from an entity to another."""

    targetId: Annotated[str, "The id of the entity that it leads to; there need not be one."]
    type: Annotated[str, "What it says, as `owns` or `works for`."]


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
class Dangling:
    """A tool call of a transcript that has no result, or a result that has no call."""

    #: the message that holds it
    message_id: int
    #: its ``toolUseId``
    tool_use_id: str
    kind: Literal["call", "result"]


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
class EntityRecord:
    """A thing that an agent knows of: a person, a host, a file."""

    id: str
    #: the session that said it last, with which it is deleted
    session_id: str
    workspace_id: str | None
    name: str
    type: str
    attributes: dict[str, Any]
    relationships: list[Relationship]
    created_at: datetime
    updated_at: datetime
    #: its vector for searches; None where it has none that can be read
    embedding: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRecord:
    """A sentence that an agent takes for true."""

    id: str
    workspace_id: str | None
    content: str
    #: from 0 to 1, as exact as a 32-bit float; None only where another program has stored none
    confidence: float | None
    #: None where no session said it, or that session is gone
    source_session_id: str | None
    created_at: datetime
    #: as an entity's
    embedding: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Generic[R_co]):
    """What a search finds, and how near it is."""

    record: R_co
    #: the cosine of the angle between the two vectors, from -1 to 1, in 12 decimals; 0 where one of them has no length
    score: float


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
TABLES = {
    SessionRecord: "sessions",
    MessageRecord: "messages",
    CheckpointRecord: "checkpoints",
    EntityRecord: "entities",
    FactRecord: "facts",
}
#: what a checkpoint holds of its run, which may be large
STATE = ("node_results", "pending_nodes", "cycle_state")
#: the records' fields that are times, and those that hold JSON-plus
MOMENTS = frozenset({"created_at", "updated_at"})
JSON_PLUS = frozenset({"metadata", "tool_calls", "tool_results", *STATE, "attributes", "relationships"})
