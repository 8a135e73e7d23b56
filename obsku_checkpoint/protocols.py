"""The contract of a checkpoint store. Every method is documented here and only here. Knows no Django.

Promises that hold for all methods:

* A write to an unknown session raises `SessionNotFoundError`; a read of one thing by id returns None where there is
  none, a read of many an empty list.
* A value that a column cannot hold raises `InvalidRecordError` (naming the field) or `SerializationError` (naming the
  path inside a JSON column) before anything is written. A call that raises has written nothing, but for a
  `StoreUnavailableError` whose ``maybe_written`` is True.
* ``workspace_id=None`` means all workspaces when reading; ``""`` is a workspace like any other.
* ``limit`` is a number of records, 0 or more; None is no limit.
* Reading methods take ``on_corrupt``: ``"raise"`` raises `CheckpointCorruptionError` for a stored value that cannot be
  decoded, ``"keep"`` puts a `CorruptValue` into that field and leaves the other records alone.
* When the database is away, or gives a call up, `StoreUnavailableError` is raised.

What the columns hold:

* Ids (of sessions and checkpoints), ``parent_id``, ``workspace_id`` and ``namespace`` are texts of at most 1,024 bytes
  of UTF-8, the empty text among them; ``node_id`` has at most 1,024 characters, ``title`` and ``directory`` 4,096.
  None of them holds a NUL or a lone surrogate. ``directory`` is where the agent works, as the application writes it: no
  file system is looked at.
* Values in ``metadata``, tool calls and results, and node results are those of `obsku_checkpoint.codec`: nothing is
  dropped or rounded but a time's microseconds. The keys of the shapes (`obsku_checkpoint.records`) are checked.
* Integers fit 32 bits; tokens count from 0, versions from 1. A message's id is given by the database and grows.
* Times are aware, and stored in whole milliseconds of UTC. Naive ones raise `InvalidRecordError`. Every write into a
  session advances its ``updated_at`` and takes that time as ``created_at``: within a session they increase in the order
  of the writes, whatever the clocks of the writing hosts say.
"""

# The twins' types are inferred from their sync methods, which mypy's rule for protocol members does not foresee.
# mypy: disable-error-code="misc"

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from obsku_checkpoint.async_twins import twin
from obsku_checkpoint.memory_protocol import Memory
from obsku_checkpoint.records import (
    CheckpointRecord,
    CycleState,
    Dangling,
    MessageRecord,
    NodeResult,
    OnCorrupt,
    Resumption,
    Role,
    SessionRecord,
    SessionSummary,
    Source,
    ToolCall,
    ToolResult,
)
from obsku_checkpoint.unset import UNSET, Unset

#: messages held in memory at a time by `CheckpointStore.iter_messages`
ITERATION_PAGE = 500


__all__ = ["ITERATION_PAGE", "UNSET", "CheckpointStore", "OnCorrupt", "Unset"]


@runtime_checkable
class CheckpointStore(Memory, Protocol):
    """Sessions, messages and checkpoints of agents, kept so that any process can go on from them; and what agents know
    (`obsku_checkpoint.memory_protocol`).

    Every method has an async twin with the prefix ``a``. A class that subclasses this protocol writes the sync
    methods only and inherits the twins (and `iter_messages`); any other class with these methods is a store, too.
    """

    # -- sessions

    def create_session(
        self,
        directory: str,
        *,
        title: str | None = None,
        workspace_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
    ) -> SessionRecord:
        """Make a session. Without ``id`` it gets a time-ordered one (UUIDv7); any text will do.

        ``title`` is for people to read; ``metadata`` is the application's own. With an ``id`` the call may be repeated:
        the same content returns the stored session, other content raises `IdConflictError`.
        """
        ...

    def get_or_create_session(
        self,
        session_id: str,
        directory: str,
        *,
        title: str | None = None,
        workspace_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> SessionRecord:
        """The session with this id as it is stored, made from the other arguments where there is none.

        Of any number of concurrent callers one makes it, and all get the same.
        """
        ...

    def get_session(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> SessionRecord | None:
        """The session with this id."""
        ...

    def list_sessions(
        self,
        workspace_id: str | None = None,
        *,
        before: datetime | SessionRecord | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[SessionRecord]:
        """Sessions, newest ``updated_at`` first.

        ``before`` keeps those last active earlier than that time, or those that stand after that session in this order:
        a record is an exact place, also among sessions with equal times.
        """
        ...

    def search_sessions(
        self,
        query: str,
        workspace_id: str | None = None,
        *,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[SessionRecord]:
        """Sessions whose title, directory or id contains ``query`` in any case, newest ``updated_at`` first."""
        ...

    def update_session(
        self,
        session_id: str,
        *,
        title: str | Unset | None = UNSET,
        directory: str | Unset = UNSET,
        workspace_id: str | Unset | None = UNSET,
        metadata: dict[str, Any] | Unset | None = UNSET,
    ) -> SessionRecord:
        """Change what is given (None clears it), and leave the rest."""
        ...

    def delete_session(self, session_id: str) -> bool:
        """Delete the session with its messages, checkpoints and entities. False where there was none.

        Raises `SessionInUseError` where a row of the project's refers to it that its rules neither delete nor detach.
        """
        ...

    def continue_latest(self, workspace_id: str | None = None, *, on_corrupt: OnCorrupt = "raise") -> Resumption | None:
        """The last active session with its whole transcript and its newest checkpoint; None where there is none."""
        ...

    def get_session_summary(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> SessionSummary | None:
        """The session in figures: its messages, checkpoints and tokens, its newest message, and its duration."""
        ...

    def list_session_summaries(
        self,
        workspace_id: str | None = None,
        *,
        before: datetime | SessionRecord | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[SessionSummary]:
        """`list_sessions` in figures, by a number of queries that does not grow with the list."""
        ...

    # -- messages

    def add_message(
        self,
        session_id: str,
        role: Role,
        content: str | None = None,
        *,
        tool_calls: Sequence[ToolCall] | None = None,
        tool_results: Sequence[ToolResult] | None = None,
        tokens_in: int | None = None,
        tokens_out: int | None = None,
    ) -> MessageRecord:
        """Append to the transcript.

        ``content`` is text of any length; a NUL in it becomes U+2400 and a lone surrogate U+FFFD, with a warning in the
        log. A tool result has ``content`` or ``data``; where it has ``data`` only, the JSON of that becomes its
        ``content``. ``tokens_in`` are those that the model read for this message, ``tokens_out`` those that it wrote.
        """
        ...

    def add_messages(self, session_id: str, messages: Iterable[Mapping[str, Any]]) -> list[MessageRecord]:
        """Append all of ``messages`` in order, or none: mappings with the parameter names of `add_message`."""
        ...

    def get_messages(
        self,
        session_id: str,
        *,
        before: datetime | None = None,
        before_id: int | None = None,
        after_id: int | None = None,
        limit: int | None = None,
        last_turns: int | None = None,
        max_tokens: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[MessageRecord]:
        """The transcript, oldest first.

        ``before`` keeps what was written earlier than that time; ``before_id`` and ``after_id`` keep what stands
        before or after that message. ``limit`` keeps the newest of them, with ``after_id`` the next ones.

        ``last_turns`` and ``max_tokens`` keep a window of the newest for a model to read: as many turns, each of which
        begins with a user's message, and no more tokens. A message counts ``tokens_in + tokens_out``, or a quarter of
        its content's characters where it has neither. The window cuts no call from its result: for a result it begins
        with the turn of the call, and where that does not fit, behind the result. With one of them, ``limit`` is a
        bound of the window like ``max_tokens``, and ``after_id`` is refused.
        """
        ...

    def iter_messages(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> Iterator[MessageRecord]:
        """The transcript, oldest first, in constant memory; what is written meanwhile comes last."""
        last = 0
        while page := self.get_messages(session_id, after_id=last, limit=ITERATION_PAGE, on_corrupt=on_corrupt):
            yield from page
            last = page[-1].id

    def find_dangling(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> list[Dangling]:
        """The calls without a result and the results without a call, in the order of the transcript.

        A result belongs to the nearest call before it that has its ``toolUseId`` and no result yet; within a message,
        ``tool_results`` follow ``tool_calls``. With ``on_corrupt="keep"`` a column that cannot be decoded counts as
        empty.
        """
        ...

    def repair(self, session_id: str, how: Literal["error", "drop"] = "error") -> int:
        """Give every call its result and every result its call; returns how many were dangling.

        A result without a call is removed. With ``"error"``, a call without a result gets one beside it, in the
        ``tool_results`` of its message, with the status ``error`` and a text that says that none was recorded; with
        ``"drop"`` it is removed. A message that is left with no content, call and result is removed, unless models of
        the project refer to messages. All of it or nothing; writers into the session wait.
        """
        ...

    # -- checkpoints

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
        """Save the state of a graph.

        ``step`` counts the graph's steps, as the graph counts: it may repeat, and orders nothing here. ``node_id`` is
        the node whose end is saved. ``node_results`` says how each node that has begun stands, ``pending_nodes`` which
        are to run next: none where the graph is done. ``cycle_state`` is that of the back edge taken last.
        ``namespace`` is one of the session's graphs: "" is the main one, others are nested in it. ``parent_id`` is the
        checkpoint that this one follows, in whatever session; it need not exist. ``source`` is what it was saved for:
        ``"input"`` a new run, ``"loop"`` a step, ``"interrupt"`` a question, ``"fork"`` a fork.

        Without ``version`` it takes the next one of (session, namespace): under any number of concurrent writers the
        versions are 1, 2, 3, … without a gap or a duplicate. A given version that exists raises
        `VersionConflictError`. With an ``id`` the call may be repeated, as with `create_session`.
        """
        ...

    def get_checkpoint(self, checkpoint_id: str, *, on_corrupt: OnCorrupt = "raise") -> CheckpointRecord | None:
        """The checkpoint with this id."""
        ...

    def get_latest_checkpoint(
        self, session_id: str, namespace: str | None = None, *, on_corrupt: OnCorrupt = "raise"
    ) -> CheckpointRecord | None:
        """The highest version of the namespace; without one, of all namespaces the newest by ``created_at``."""
        ...

    def list_checkpoints(
        self,
        session_id: str,
        *,
        namespace: str | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[CheckpointRecord]:
        """Checkpoints, newest first: by version within a namespace, by ``created_at`` across namespaces."""
        ...

    def get_lineage(self, checkpoint_id: str, *, on_corrupt: OnCorrupt = "raise") -> list[CheckpointRecord]:
        """The checkpoint, its parent, the parent's parent, … across forks, as far as they exist."""
        ...

    def fork(self, checkpoint_id: str, *, title: str | None = None) -> SessionRecord:
        """A new session that goes on from the checkpoint, in which another way can be tried.

        It is called ``Fork of <title or checkpoint id>`` where no title is given and has the same directory,
        workspace and metadata; the messages written up to the checkpoint, with their own timestamps; and a copy of
        the checkpoint with the original's id as ``parent_id`` and ``source="fork"``. All of it or nothing.
        Raises `CheckpointNotFoundError`.
        """
        ...

    def fork_at(self, message_id: int, *, title: str | None = None) -> SessionRecord:
        """A new session that goes on from the message: with all messages up to it and itself, and no checkpoint.

        It is called ``Fork of <title or session id>`` where no title is given; otherwise it is as `fork` makes one.
        Raises `MessageNotFoundError`.
        """
        ...

    def close(self) -> None:
        """Give the connections back. The store can be used again, unless its kind says otherwise."""
        ...

    # -- async twins

    acreate_session = twin(create_session)
    aget_or_create_session = twin(get_or_create_session)
    aget_session = twin(get_session)
    alist_sessions = twin(list_sessions)
    asearch_sessions = twin(search_sessions)
    aupdate_session = twin(update_session)
    adelete_session = twin(delete_session)
    acontinue_latest = twin(continue_latest)
    aget_session_summary = twin(get_session_summary)
    alist_session_summaries = twin(list_session_summaries)
    aadd_message = twin(add_message)
    aadd_messages = twin(add_messages)
    aget_messages = twin(get_messages)
    afind_dangling = twin(find_dangling)
    arepair = twin(repair)
    asave_checkpoint = twin(save_checkpoint)
    aget_checkpoint = twin(get_checkpoint)
    aget_latest_checkpoint = twin(get_latest_checkpoint)
    alist_checkpoints = twin(list_checkpoints)
    aget_lineage = twin(get_lineage)
    afork = twin(fork)
    afork_at = twin(fork_at)
    aclose = twin(close)

    async def aiter_messages(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> AsyncIterator[MessageRecord]:
        """Async twin of `iter_messages`: a page at a time, so that no transaction spans an await."""
        last = 0
        while page := await self.aget_messages(session_id, after_id=last, limit=ITERATION_PAGE, on_corrupt=on_corrupt):
            for message in page:
                yield message
            last = page[-1].id
