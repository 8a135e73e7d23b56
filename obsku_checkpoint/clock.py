"""The time of a write in milliseconds since 1970, such that order of time is order of writing. Knows no Django.

The tables know no finer time than the millisecond, in which a quick program writes several rows. "Newest first" and
"the messages written up to the checkpoint" must still hold, so within a process the clock

* gives each write a later millisecond than the one before, while it is not more than `AHEAD` ms fast by that, and
* never puts a message of a session into the millisecond of the checkpoint it follows.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

#: how far the clock may run ahead in a burst; beyond that, writes share milliseconds
AHEAD = 25
#: sessions remembered; the oldest are forgotten first
SESSIONS = 4096


@dataclass(slots=True)
class Written:
    message: int = 0
    checkpoint: int = 0


class Clock:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._sessions: OrderedDict[str, Written] = OrderedDict()

    def now(self) -> int:
        with self._lock:
            return self._tick()

    def message(self, session_id: str) -> int:
        with self._lock:
            written = self._written(session_id)
            written.message = max(self._tick(), written.message, written.checkpoint + 1)
            return written.message

    def checkpoint(self, session_id: str) -> int:
        with self._lock:
            written = self._written(session_id)
            written.checkpoint = max(self._tick(), written.message, written.checkpoint)
            return written.checkpoint

    def _tick(self) -> int:
        now = time.time_ns() // 1_000_000
        self._last = max(now, min(self._last + 1, now + AHEAD))
        return self._last

    def _written(self, session_id: str) -> Written:
        written = self._sessions.setdefault(session_id, Written())
        self._sessions.move_to_end(session_id)
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return written


clock = Clock()
