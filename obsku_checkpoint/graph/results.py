"""What a node and a run come to, and what the caller is told meanwhile."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from obsku_checkpoint.records import CheckpointRecord, NodeStatus
from obsku_checkpoint.run_state import Question

Status = Literal["complete", "failed", "interrupted", "working"]
EventType = Literal[
    "run_started",
    "run_finished",
    "iteration_started",
    "iteration_finished",
    "node_started",
    "node_finished",
    "interrupted",
    "checkpoint_saved",
]


class Times(TypedDict, total=False):
    """When a node began and ended, in milliseconds since 1970."""

    startedAt: int
    completedAt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a node came to after all its attempts: exactly one of ``error`` (one line), ``question`` and ``output``."""

    times: Times
    output: Any = None
    error: str | None = None
    question: Mapping[str, Any] | None = None
    #: of a nested graph that asks: path -> question, of all its open ones
    within: Mapping[str, Any] | None = None
    #: of a nested graph: its last checkpoint
    nested: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run came to, and how to go on with it."""

    #: ``failed`` where a node failed, whether or not another asks a question; ``working`` where an answer was kept for
    #: the process that is at work on the run, and nothing else was done
    status: Status
    #: node -> output, of the completed nodes that no edge leads on from
    outputs: dict[str, Any]
    #: node -> what went wrong
    errors: dict[str, str]
    #: path -> open question, in the order in which they were asked: the keys of ``resume(answers=…)``. A path is the
    #: node's name; of a node in a nested graph, the names of the graphs and its own, as ``write/approve``
    questions: dict[str, Question]
    #: the last one
    checkpoint: CheckpointRecord

    @property
    def session_id(self) -> str:
        return self.checkpoint.session_id

    @property
    def question(self) -> Question | None:
        """The first open question: the one that ``resume(answer=…)`` answers."""
        return next(iter(self.questions.values()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened: ``type`` says which, and which of the fields below are set."""

    type: EventType
    session_id: str
    #: of the graph that it happened in; a nested one has its own
    namespace: str
    #: of events of a node; of ``checkpoint_saved``: the node that it was saved after, None for the first of a run
    node: str | None = None
    #: of events of a node or an iteration: how often the cycle has gone back, 0 the first time
    iteration: int = 0
    #: of events of an iteration: the back edge whose cycle it is, as ``review->draft``
    edge: str | None = None
    #: of ``node_finished``: completed, failed or skipped; of ``run_finished``: that of the `RunResult`
    status: NodeStatus | Status | None = None
    #: of ``node_finished``, if completed
    output: Any = None
    #: of ``node_finished``, if failed
    error: str | None = None
    #: of ``interrupted``
    question: Question | None = None
    #: of ``checkpoint_saved``
    checkpoint: CheckpointRecord | None = None


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def described(error: BaseException) -> str:
    """The error in one line, even if its own ``__str__`` fails; its notes are left aside."""
    lines = traceback.TracebackException.from_exception(error, limit=0)
    lines.__notes__ = None
    return list(lines.format_exception_only())[-1].strip()
