"""What nodes ask a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from obsku_checkpoint import codec

#: what a node asks, as it is stored: ``reason`` (missing where the npm package saved the checkpoint, which keeps no
#: question), perhaps ``options`` (which `options` reads) and ``inputType``, and keys of the node's own
Question = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One of the answers that a question allows."""

    #: what a person reads
    label: str
    #: the answer
    value: Any
    description: str = ""


def options(question: Mapping[str, Any]) -> list[Option]:
    """What the question may be answered with; empty where anything may."""
    given = question.get("options")
    return [_option(option) for option in given] if isinstance(given, list) else []


def _option(option: Any) -> Option:
    if isinstance(option, dict) and "value" in option:
        value, description = option["value"], option.get("description")
        label = text_of(option.get("label", value))
        return Option(label=label, value=value, description="" if description is None else text_of(description))
    return Option(label=text_of(option), value=option)


def text_of(value: Any) -> str:
    """A text itself, the JSON of any other value."""
    return value if isinstance(value, str) else codec.dumps(value)
