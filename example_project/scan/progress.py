"""A progress bar for each node on a terminal; a line for each finished node anywhere else."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self, TextIO

from example_project.scan.history import in_words
from example_project.scan.report import Paint, plain
from obsku_checkpoint.graph import Event
from obsku_checkpoint.records import CheckpointRecord, NodeResult
from obsku_checkpoint.run_state import read

BAR_CHARACTERS = 24
NAME_CHARACTERS = 6


class Progress:
    """Is told a run's events while it is open. The bars stay when it is closed; what is written then is below them."""

    def __init__(
        self, stream: TextIO, nodes: Iterable[str], checkpoint: CheckpointRecord | None, *, paint: Paint = plain
    ) -> None:
        """``checkpoint`` is where the run stands before it goes on."""
        self._stream = stream
        self._nodes = list(nodes)
        self._paint = paint
        self._on_terminal = stream.isatty()
        self._running: set[str] = set()
        self._news: list[str] = []
        self._drawn = False
        self._results: Mapping[str, NodeResult] = {}
        self._pending: list[str] = self._nodes
        self._take_in(checkpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._on_terminal:
            # Over a ^C that the terminal has written by itself.
            self._stream.write("\r\x1b[K\n")
            self._stream.flush()

    def __call__(self, event: Event) -> None:
        if event.node and event.type == "node_started":
            self._running.add(event.node)
        elif event.node and event.type in ("node_finished", "interrupted"):
            self._running.discard(event.node)
            self._news.append(event.node)
        elif event.type == "checkpoint_saved":
            self._take_in(event.checkpoint)
        if self._on_terminal:
            self._draw()
        elif event.type == "checkpoint_saved":
            self._tell()

    def again(self) -> None:
        """Draw the next bars below what has been written meanwhile."""
        self._drawn = False

    def _take_in(self, checkpoint: CheckpointRecord | None) -> None:
        if checkpoint:
            state = read(checkpoint)
            self._results, self._pending = state.results, state.pending

    def _tell(self) -> None:
        for node in self._news:
            result = self._results[node]
            # A batch is no news: the node goes on.
            if node not in self._pending or "interrupt" in result:
                self._stream.write(f"{node:<{NAME_CHARACTERS}}  {_text(node, result)}\n")
        self._news.clear()
        self._stream.flush()

    def _draw(self) -> None:
        up = f"\x1b[{len(self._nodes)}A" if self._drawn else ""
        columns = shutil.get_terminal_size().columns
        self._stream.write(up + "".join(f"\r{self._line(node, columns)}\x1b[K\n" for node in self._nodes))
        self._stream.flush()
        self._drawn = True

    def _line(self, node: str, columns: int) -> str:
        result = self._results.get(node)
        text = _text(node, result) if result else ""
        share, style = _share(result, pending=node in self._pending)
        if node in self._running:
            text, style = text or "at work", "command"
        width = max(0, min(BAR_CHARACTERS, columns - NAME_CHARACTERS - 5))
        full = int(width * share)
        bar = self._paint("█" * full, style) + "░" * (width - full)
        return f"  {node:<{NAME_CHARACTERS}} {bar}  {text[: max(0, columns - width - NAME_CHARACTERS - 6)]}"


def _text(node: str, result: NodeResult) -> str:
    # The question itself is asked below.
    return "waits for an answer" if "interrupt" in result else in_words(node, result)


def _share(result: NodeResult | None, *, pending: bool) -> tuple[float, str]:
    """How much of the node's work is done, and the style that says how it is."""
    if result is None:
        return 0.0, ""
    style = "bad" if result["status"] == "failed" else "command" if pending else "good"
    if "interrupt" in result:
        style = "medium"
    match result.get("interrupt") or result.get("output"):
        case {"done": int(done), "of": int(of)} if of:
            return done / of, style
    return (0.0 if pending else 1.0), style
