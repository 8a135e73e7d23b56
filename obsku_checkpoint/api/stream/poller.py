"""One thread a process and database asks what is new, for all who listen: one statement an interval.

It runs while somebody listens. A listener that has not yet taken what it was given (a slow client) is not asked for;
it falls behind, and goes on from its own cursor. So nobody holds more than one answer.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Self

from django.db import connections

from obsku_checkpoint import conf
from obsku_checkpoint.api.stream.feed import Changes, Feed
from obsku_checkpoint.api.stream.postgres import PostgresFeed
from obsku_checkpoint.api.stream.sqlite import SqliteFeed
from obsku_checkpoint.errors import StoreUnavailableError

#: seconds from the end of a batch to the next one of those who catch up, so that requests have the interpreter as well
PAUSE = 0.05
FEEDS: dict[str, type[Feed]] = {"postgresql": PostgresFeed, "sqlite": SqliteFeed}


class Listener:
    """Follows one session from one cursor on, in one event loop; a context manager."""

    def __init__(self, poller: Poller, session_id: str, cursor: Any, sees: Callable[[str | None], bool]) -> None:
        self.session_id = session_id
        self.cursor = cursor
        #: whether a session of this workspace may be seen
        self.sees = sees
        self._poller = poller
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Changes] | None = None

    def __enter__(self) -> Self:
        self._poller.open(self)
        return self

    def __exit__(self, *exception: object) -> None:
        self._poller.close(self)

    async def changes(self, seconds: float) -> Changes | None:
        """The next events, or that the session is gone (``exists`` is false); None after so many seconds of silence."""
        if self._answer is None:
            self._answer = self._loop.create_future()
            self._poller.ask(self)
        done, _ = await asyncio.wait([self._answer], timeout=seconds)
        if not done:
            return None
        answer, self._answer = self._answer, None
        return answer.result()

    def answer(self, found: Changes | Exception) -> None:
        """Called by the poller's thread."""
        if isinstance(found, Changes):
            self.cursor = found.cursor
        self._loop.call_soon_threadsafe(self._take, self._answer, found)

    @staticmethod
    def _take(answer: asyncio.Future[Changes] | None, found: Changes | Exception) -> None:
        if answer is None or answer.done():  # its task was cancelled
            return
        if isinstance(found, Changes):
            answer.set_result(found)
        else:
            answer.set_exception(found)


class Poller:
    def __init__(self, using: str) -> None:
        self.feed = FEEDS[connections[using].vendor](using)
        self._changed = threading.Condition()
        self._open: set[Listener] = set()
        #: as a dict, in the order in which they asked: who has waited longest is served first
        self._asking: dict[Listener, None] = {}
        self._thread: threading.Thread | None = None

    def listen(self, session_id: str, cursor: Any, sees: Callable[[str | None], bool] = lambda _: True) -> Listener:
        return Listener(self, session_id, cursor, sees)

    # -- called by listeners

    def open(self, listener: Listener) -> None:
        with self._changed:
            self._open.add(listener)

    def ask(self, listener: Listener) -> None:
        with self._changed:
            self._asking[listener] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="obsku-checkpoint-stream", daemon=True)
                self._thread.start()

    def close(self, listener: Listener) -> None:
        with self._changed:
            self._open.discard(listener)
            self._asking.pop(listener, None)
            self._changed.notify()

    # -- the thread

    def _run(self) -> None:
        try:
            while True:
                begin = time.monotonic()
                with self._changed:
                    asking = list(self._asking)
                more = bool(asking) and self._poll(asking)
                interval = conf.current().STREAM_INTERVAL_MS / 1000
                seconds = PAUSE if more else interval - (time.monotonic() - begin)
                with self._changed:
                    self._changed.wait_for(lambda: not self._open, max(seconds, 0))
                    if not self._open:
                        self._thread = None
                        return
        finally:
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None  # whoever asks next starts another
            self.feed.close()

    def _poll(self, asking: list[Listener]) -> bool:
        """Whether there is more than what was read at once."""
        groups: dict[tuple[str, Any], list[Listener]] = defaultdict(list)
        for listener in asking:
            groups[listener.session_id, listener.cursor].append(listener)
        try:
            answers = self.feed.read(list(groups))
        except StoreUnavailableError:  # which the store has logged: the next interval may have more luck
            return False
        except Exception as error:  # noqa: BLE001 - each listener raises it
            for listener in asking:
                self._answer(listener, error)
            return False
        for found, listeners in zip(answers, groups.values(), strict=True):
            for listener in listeners:
                if not (found.exists and listener.sees(found.workspace_id)):
                    self._answer(listener, Changes(exists=False, workspace_id=None, events=[], cursor=found.cursor))
                elif found.events:
                    self._answer(listener, found)
                else:
                    listener.cursor = found.cursor
        return any(found.more for found in answers)

    def _answer(self, listener: Listener, found: Changes | Exception) -> None:
        with self._changed:
            if listener not in self._asking:
                return
            del self._asking[listener]
        try:
            listener.answer(found)
        except RuntimeError:  # its loop was closed without it
            self.close(listener)


_pollers: dict[str, Poller] = {}
_making = threading.Lock()


def poller(using: str) -> Poller:
    """This process's poller of a database."""
    with _making:
        if using not in _pollers:
            _pollers[using] = Poller(using)
        return _pollers[using]


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_pollers.clear)  # a child process has none of its parent's threads
