"""What a subcommand prints: its result, for a person or for a program, and how far it has come."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import orjson
from django.core.management.base import OutputWrapper

#: characters of the bar
WIDTH = 30
#: seconds between two signs of life: on a terminal, and in a log
ON_A_TERMINAL, IN_A_LOG = 0.2, 10.0


class Output:
    def __init__(self, stdout: OutputWrapper, stderr: OutputWrapper, *, as_json: bool) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self.as_json = as_json
        self._terminal = stderr.isatty()
        self._next = time.monotonic() + (ON_A_TERMINAL if self._terminal else IN_A_LOG)
        self._open_line = False

    def result(self, figures: Mapping[str, Any], sentence: str) -> None:
        """The end: a JSON object, or a sentence of the same."""
        self._end_line()
        self._stdout.write(orjson.dumps(figures).decode() if self.as_json else sentence)

    def remark(self, sentence: str) -> None:
        """Something on the way that a person should read."""
        self._end_line()
        self._stderr.write(sentence)

    def progress(self, done: int, what: str, total: int | None = None) -> None:
        """How many are done: a bar on a terminal, and now and then a line elsewhere."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (ON_A_TERMINAL if self._terminal else IN_A_LOG)
        text = f"{done:,} {what}" if total is None else f"{done:,} of {total:,} {what}"
        if not self._terminal:
            self._stderr.write(text)
            return
        if total:
            full = min(WIDTH, done * WIDTH // total)
            text = f"[{'#' * full}{'.' * (WIDTH - full)}] {text}"
        self._stderr.write(f"\r\x1b[K{text}", ending="")
        self._stderr.flush()
        self._open_line = True

    def _end_line(self) -> None:
        if self._open_line:
            self._stderr.write("\r\x1b[K", ending="")
            self._open_line = False
