"""What the handler of a signal raises (Ctrl-C, a time limit) must not break into the event loop.

Between taking a task's next step from its queue and calling it, asyncio would lose the step: the task could not even be
cancelled, and whoever waits for it would wait for ever. `asyncio.run` keeps Ctrl-C out of its loop for this reason;
here it is done for every signal that has a handler in Python.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

#: modules that are not broken into where the loop stands still: they make and close it, and set the handlers back
KEPT_WHOLE = frozenset({"asyncio", "selectors", __name__})


class SignalsBesideLoop:
    """While it is entered, a signal stops the loop if it runs, and is handled when it stands still.

    Otherwise it is handled at once, and so is a second one. Only the main thread is sent signals: in any other there is
    nothing to do.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._running: asyncio.AbstractEventLoop | None = None
        self._waiting: list[int] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in signal.valid_signals():
                if callable(handler := signal.getsignal(number)):
                    self._handlers[number] = handler
                    signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == self._take:  # no node has set another
                signal.signal(number, handler)
        self._handle()

    def run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the loop until it is stopped, and raise what the handler of a signal raises."""
        self._running = loop
        try:
            loop.run_forever()
        finally:
            self._running = None
        self._handle()

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._waiting or not (self._running or _is_kept_whole(frame)):
            self._handlers[number](number, frame)
            return
        self._waiting.append(number)
        if self._running:
            self._running.call_soon_threadsafe(self._running.stop)  # which wakes it, too

    def _handle(self) -> None:
        if self._waiting:
            number = self._waiting.pop()
            self._handlers[number](number, None)


def _is_kept_whole(frame: FrameType | None) -> bool:
    name: str = frame.f_globals.get("__name__", "") if frame else ""
    return name in KEPT_WHOLE or name.partition(".")[0] in KEPT_WHOLE
