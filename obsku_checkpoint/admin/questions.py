"""What an interrupted graph asks a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from obsku_checkpoint.admin import values
from obsku_checkpoint.admin.values import text_of
from obsku_checkpoint.printable import plain
from obsku_checkpoint.run_state import Option, RunState, options


@dataclass(frozen=True, slots=True)
class Question:
    """One node's."""

    #: the key of its answer: see `RunState.questions`
    path: str
    #: harmless, in one line; empty where it is not known
    reason: str
    #: what may be answered; empty where anything may
    options: list[Option]
    #: what else the node tells, as a tree; empty where nothing
    more: SafeString

    @property
    def node_name(self) -> str:
        return plain(self.path, 80)

    @property
    def choices(self) -> list[tuple[int, str, str]]:
        """(number, label, description) of the options, for a form."""
        return [
            (number, plain(option.label, 200), plain(option.description, 300))
            for number, option in enumerate(self.options)
        ]


def questions(state: RunState | None, rest: str = "") -> list[Question]:
    """Those that may be answered, in the order in which they were asked. ``rest``: see `values.tree`."""
    if state is None or not state.settled:
        return []
    return [_question(path, dict(question), rest) for path, question in state.questions.items()]


def _question(path: str, question: dict[str, Any], rest: str) -> Question:
    more = {key: value for key, value in question.items() if key not in ("reason", "options", "inputType")}
    reason = question.get("reason")
    return Question(
        path,
        "" if reason is None else text_of(reason, 2000),
        options(question),
        values.tree(more, rest=rest) if more else SafeString(""),
    )
