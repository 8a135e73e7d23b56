"""What an interrupted graph asks a person, read from a checkpoint's results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from obsku_checkpoint.admin import values
from obsku_checkpoint.admin.node_results import INTERRUPT, each_result
from obsku_checkpoint.admin.values import text_of
from obsku_checkpoint.models import Source
from obsku_checkpoint.printable import plain


@dataclass(frozen=True, slots=True)
class Question:
    """One node's."""

    node: str
    #: harmless, in one line
    reason: str
    #: what may be answered; empty where anything may
    options: Sequence[Any]
    #: what else the node tells, as a tree; empty where nothing
    more: SafeString

    @property
    def node_name(self) -> str:
        return plain(self.node, 80)

    @property
    def choices(self) -> list[tuple[int, str]]:
        """(number, label) of the options, for a form."""
        return [(number, _label(option)) for number, option in enumerate(self.options)]


def asking(checkpoint: Any, results: Any) -> bool:
    """Whether the newest checkpoint of a namespace waits for a person: an interrupt, or the fork of one."""
    if checkpoint.source == Source.INTERRUPT:
        return True
    return checkpoint.source == Source.FORK and bool(_asked(results))


def questions(checkpoint: Any, results: Any) -> list[Question]:
    """Those of a checkpoint that is `asking`, in the order in which they are answered.

    Where its results hold none, as the npm package's do, its node's name.
    """
    asked = _asked(results)
    if not asked:
        return [Question(checkpoint.node_id or "", "", (), SafeString(""))]
    return [_question(node, question) for node, question in asked]


def _asked(results: Any) -> list[tuple[str, Any]]:
    return [
        (node, result[INTERRUPT])
        for node, result in each_result(results)
        if result.get("status") == "pending" and INTERRUPT in result
    ]


def _question(node: str, asked: Any) -> Question:
    if not isinstance(asked, dict):
        return Question(node, text_of(asked, 2000), (), SafeString(""))
    options = asked.get("options")
    rest = {key: value for key, value in asked.items() if key not in ("reason", "options")}
    reason = asked.get("reason")
    return Question(
        node,
        "" if reason is None else text_of(reason, 2000),
        options if isinstance(options, list) else (),
        values.tree(rest) if rest else SafeString(""),
    )


def _label(option: Any) -> str:
    if isinstance(option, dict):
        option = option.get("label", option)
    return text_of(option, 200)
