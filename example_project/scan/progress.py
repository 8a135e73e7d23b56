"""A progress bar on a terminal, and silence anywhere else."""

from __future__ import annotations

import shutil
from types import TracebackType
from typing import Self, TextIO

from example_project.scan.report import count, printable

BAR_CHARACTERS = 28


class ProgressBar:
    """Draws over one line of ``stream`` while it is open, and leaves the line empty."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._visible = stream.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draw("")

    def __call__(self, done: int, total: int, findings: int, file: str) -> None:
        full = BAR_CHARACTERS * done // max(total, 1)
        bar = "█" * full + "░" * (BAR_CHARACTERS - full)
        self._draw(f"{bar}  {done:,} of {count(total, 'file')}  {count(findings, 'finding')}  {printable(file)}")

    def _draw(self, line: str) -> None:
        if self._visible:
            # "\x1b[K" clears what an earlier, longer line left over.
            self._stream.write(f"\r{line[: shutil.get_terminal_size().columns - 1]}\x1b[K")
            self._stream.flush()
