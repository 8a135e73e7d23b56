"""The time of a write in milliseconds since 1970, such that order of time is order of writing. Knows no Django.

The tables know no finer time than the millisecond, in which a quick program writes several rows. Within a process

* a message never falls into the millisecond of the checkpoint it follows (a fork of that checkpoint would copy it):
  its writer waits for the next one;
* two sessions are not last active in the same millisecond: the later one's ``updated_at`` is put up to `AHEAD` ms into
  the future, so that "newest first" is the order of writing and a page can go on ``before`` the last one's time.

No other time is ever in the future, since other processes compare with it, but for what is made together with a
session: its ``created_at`` and a fork's checkpoint have the time of its first ``updated_at``.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

#: milliseconds by which ``updated_at`` may run ahead; beyond that, sessions share milliseconds
AHEAD = 5
#: a checkpoint that is further ahead than this (the system's clock was set back) is not waited for
PATIENCE = 10
#: sessions remembered; the oldest are forgotten first
SESSIONS = 4096


@dataclass(slots=True)
class Written:
    message: int = 0
    checkpoint: int = 0


class Clock:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, Written] = OrderedDict()
        self._active = 0
        self._active_session = ""

    def message(self, session_id: str) -> int:
        """The time of a message, later than that of the session's last checkpoint."""
        while True:
            with self._lock:
                written, now = self._written(session_id), _now()
                if now > written.checkpoint or written.checkpoint - now > PATIENCE:
                    written.message = max(now, written.message, written.checkpoint + 1)
                    return written.message
            time.sleep(0.0002)

    def checkpoint(self, session_id: str, at: int = 0) -> int:
        """The time of a checkpoint, not earlier than that of the session's last message, nor than ``at``."""
        with self._lock:
            written = self._written(session_id)
            written.checkpoint = max(_now(), at, written.message, written.checkpoint)
            return written.checkpoint

    def activity(self, session_id: str, at: int = 0) -> int:
        """A session's ``updated_at``, not earlier than ``at``."""
        with self._lock:
            now = max(_now(), at)
            if session_id != self._active_session:
                now = max(now, min(self._active + 1, now + AHEAD))
            self._active, self._active_session = max(now, self._active), session_id
            return now

    def _written(self, session_id: str) -> Written:
        written = self._sessions.setdefault(session_id, Written())
        self._sessions.move_to_end(session_id)
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return written


def _now() -> int:
    return time.time_ns() // 1_000_000


clock = Clock()
