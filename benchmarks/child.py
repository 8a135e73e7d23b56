"""The harness's side of a system: a child process, a JSON line a request, a JSON line an answer."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from benchmarks.driver import URL_VARIABLE

ROOT = Path(__file__).resolve().parent.parent


class SystemFailedError(Exception):
    """The system could not do what it was asked for."""


class Child:
    def __init__(self, command: Sequence[str], url: str, log: IO[str], environment: Mapping[str, str] | None = None):
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {}), URL_VARIABLE: url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill() if exception[0] else self._process.communicate()
        self._process.wait()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer; None where the system has no such operation. Raises `SystemFailedError`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise SystemFailedError("its process has ended") from None
        line = self._process.stdout.readline()
        if not line:
            raise SystemFailedError("its process has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SystemFailedError(answer["error"])
        return None if "unsupported" in answer else answer
