"""What a node and a run come to."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from obsku_checkpoint.records import CheckpointRecord

Status = Literal["complete", "failed", "interrupted"]


class Times(TypedDict, total=False):
    """When a node began and ended, in milliseconds since 1970."""

    startedAt: int
    completedAt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``error`` or ``question``, if it has one of these, else ``output``."""

    times: Times
    output: Any = None
    error: str | None = None
    question: dict[str, Any] | None = None
    #: of a nested graph: its last checkpoint
    nested: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    #: ``failed`` where a node failed, whether or not another asks a question
    status: Status
    #: node -> output, of the completed nodes that no edge leads on from
    outputs: dict[str, Any]
    #: node -> what went wrong
    errors: dict[str, str]
    #: node -> its open question; `resume` gives its answer to the first
    questions: dict[str, dict[str, Any]]
    #: the last one
    checkpoint: CheckpointRecord

    @property
    def session_id(self) -> str:
        return self.checkpoint.session_id

    @property
    def question(self) -> dict[str, Any] | None:
        """The question that the next answer is for."""
        return next(iter(self.questions.values()), None)


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def described(error: BaseException) -> str:
    """The error in one line, even if its own ``__str__`` fails; its notes are left aside."""
    lines = traceback.TracebackException.from_exception(error, limit=0)
    lines.__notes__ = None
    return list(lines.format_exception_only())[-1].strip()
