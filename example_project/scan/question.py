"""Asks a person at the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from example_project.scan.report import Paint, plain


def ask(question: Mapping[str, Any], stdin: TextIO, stream: TextIO, *, paint: Paint = plain) -> str | None:
    """One of the question's options, or the beginning of one, as it is typed; None at the end of ``stdin`` (Ctrl-D)."""
    options: list[str] = question["options"]
    stream.write(f"\n{paint(question['reason'], 'title')}\n    {question['excerpt']}\n")
    while True:
        stream.write(f"{'/'.join(options)}: ")
        stream.flush()
        line = stdin.readline()
        if not line:
            stream.write("\n")
            return None
        typed = line.strip().lower()
        if typed and (fitting := [option for option in options if option.startswith(typed)]):
            stream.write("\n")
            return fitting[0]
