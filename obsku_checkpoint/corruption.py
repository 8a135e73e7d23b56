"""Stored text that cannot be decoded: the value that stands for it where reading goes on around it."""

from __future__ import annotations

from typing import Any

from obsku_checkpoint import codec
from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.records import CorruptValue


def corrupt_value(text: str, error: CheckpointCorruptionError) -> CorruptValue:
    """``error`` is what decoding the text has raised."""
    return CorruptValue(text=text, reason=f"{error.path}: {error.reason}")


def loads_or_corrupt(text: str) -> Any:
    """`codec.loads`, or the `CorruptValue`."""
    try:
        return codec.loads(text)
    except CheckpointCorruptionError as error:
        return corrupt_value(text, error)
