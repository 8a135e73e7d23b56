"""How a node asks a question, and which answer a question is given: only one that was given to that question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NotRequired, TypedDict, cast

from obsku_checkpoint import codec
from obsku_checkpoint.errors import GraphError, SerializationError
from obsku_checkpoint.run_state import Question
from obsku_checkpoint.run_state import options as options_of


class Answer(TypedDict):
    """One entry of an unfinished node's ``answers``."""

    #: empty where the npm package's framework asked, which stores no question: the node's first one is meant
    question: Mapping[str, Any]
    answer: Any
    #: of a node that is a graph: which of its nodes asked, and in which of its checkpoints
    path: NotRequired[str]
    checkpoint: NotRequired[str]


class Interrupted(BaseException):
    """Raised by `interrupt`. Not an Exception, so that no node catches it by mistake.

    Where a nested graph asks, ``within`` are its questions by path, and ``nested`` is its last checkpoint.
    """

    def __init__(
        self, question: Mapping[str, Any], within: Mapping[str, Question] | None = None, nested: str | None = None
    ) -> None:
        super().__init__(question, within, nested)
        self.question = question
        self.within = within
        self.nested = nested


class Answers:
    """The answers that one attempt of a node can still be given."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._unused = list(answers)

    def ask(self, question: Mapping[str, Any]) -> Any:
        """The first unused answer to the question. Raises `Interrupted` where there is none."""
        try:
            asked = _identity(question)
        except SerializationError:
            raise Interrupted(question) from None  # which is then the node's failure
        for place, given in enumerate(self._unused):
            if not given["question"] or _identity(given["question"]) == asked:
                return self._unused.pop(place)["answer"]
        raise Interrupted(question)


#: those of the node that is being called
answers: ContextVar[Answers] = ContextVar("answers")


def interrupt(reason: str, *, options: Sequence[Any] | None = None, input_type: str | None = None, **more: Any) -> Any:
    """Stop the run with a question; when it is resumed with an answer, the node runs again and this returns it.

    ``reason`` is what a person reads. ``options`` are all that may be answered: values, or objects with ``label``,
    ``value`` (the answer) and ``description``. ``input_type`` says what a form should offer (``text``, ``number``, …).
    The question, with all other keyword arguments, is kept in the checkpoint, so the store must be able to.

    What stands before the call is done again after the answer. An answer belongs to its question: it is returned for
    one with the same ``reason`` and ``options`` only, also where the node has been changed meanwhile and asks others,
    and once for each time that it was given. Raises `GraphError` outside a node.
    """
    waiting = answers.get(None)
    if waiting is None:
        raise GraphError("interrupt() was called outside a node")
    if isinstance(options, str):
        raise GraphError("options must be a list, not a text")
    question: dict[str, Any] = {"reason": reason}
    if options is not None:
        question["options"] = list(options)
    if input_type is not None:
        question["inputType"] = input_type
    return waiting.ask({**question, **more})


def check_answer(path: str, question: Mapping[str, Any], answer: Any) -> None:
    """Raise `GraphError` where the answer is none of the question's options."""
    allowed = options_of(question)
    if allowed and _text(answer) not in {_text(option.value) for option in allowed}:
        raise GraphError(f"the answer must be one of {', '.join(repr(option.value) for option in allowed)}", (path,))


def _identity(question: Mapping[str, Any]) -> str:
    return _text([question.get("reason"), question.get("options")])


def _text(value: Any) -> str:
    """Equal for values that are stored alike, in whatever order of their keys: a fork in TypeScript may change that."""
    return codec.dumps(_sorted(codec.loads(codec.dumps(value))))


def _sorted(value: Any) -> Any:
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    if type(value) is dict:
        return {key: _sorted(value[key]) for key in sorted(value)}
    return value


def as_stored(value: Any) -> Any:
    """The value as the store will return it after a crash. Raises `SerializationError`."""
    return codec.loads(codec.dumps(value))


def stored_answer(question: Mapping[str, Any], answer: Any) -> Answer:
    return cast("Answer", {"question": question, "answer": as_stored(answer)})
