"""What a node is given, and how it asks a question."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from obsku_checkpoint.errors import GraphError


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The one argument that a node is called with. Its values are the node's own: it may change them."""

    #: what `run` was given
    input: Any
    #: predecessor -> its output; predecessors that were skipped, or whose edge was not taken, are left out.
    #: Where a back edge led here, its source is among them, with the output of the iteration before.
    outputs: dict[str, Any]
    session_id: str
    #: which of the session's graphs this is; a nested graph has one of its own
    namespace: str
    node: str
    #: how often the innermost cycle around the node has gone back: 0 the first time
    iteration: int
    #: the same when the node is run again (after a crash, a failure, an interrupt), another in each iteration, run
    #: and fork: for services that do a thing once for each key
    idempotency_key: str


class Interrupted(BaseException):
    """Raised by `interrupt`. Not an Exception, so that no node catches it by mistake.

    ``nested`` is the last checkpoint of the nested graph that asks, if it is one.
    """

    def __init__(self, question: dict[str, Any], nested: str | None = None) -> None:
        super().__init__(question, nested)
        self.question = question
        self.nested = nested


class Answers:
    """The answers that one attempt of a node can still hand out, in the order of the questions."""

    def __init__(self, answers: Sequence[Any]) -> None:
        self._answers = iter(answers)

    def ask(self, question: dict[str, Any]) -> Any:
        for answer in self._answers:
            return answer
        raise Interrupted(question)


answers: ContextVar[Answers] = ContextVar("answers")


def interrupt(reason: str, *, options: Sequence[Any] | None = None, **more: Any) -> Any:
    """Stop the run with a question; when it is resumed with an answer, the node runs again and this returns it.

    The question (``reason``, ``options`` and all other keyword arguments, which must be values that the store can
    keep) is in the run's result and in its checkpoint. What stands before the call is done again after the answer.
    A node that asks several questions gets the answers in the order in which it asks. Raises `GraphError` outside a
    node.
    """
    waiting = answers.get(None)
    if waiting is None:
        raise GraphError("interrupt() was called outside a node")
    if isinstance(options, str):
        raise GraphError("options must be a list, not a text")
    question = {"reason": reason} if options is None else {"reason": reason, "options": list(options)}
    return waiting.ask({**question, **more})
