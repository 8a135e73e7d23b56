"""What is heavy is done in turn: a long body, a page of many bytes. Small requests pass by.

Each keeps the interpreter busy, which all requests of a process share, and takes many times its size of memory. So
there is one at a time, and one reader's next waits until others who wait had theirs: nobody's heavy requests, however
many, are more than one ahead of somebody else's.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from obsku_checkpoint.api.readers import reader_of

#: bytes of a body, or of stored text on a page, that are heavy
HEAVY = 256 * 1024

_turns = threading.Lock()
_own: dict[str | None, threading.Lock] = {}
_waiting: Counter[str | None] = Counter()
_counting = threading.Lock()


def turn_of(request: Any) -> Callable[[], None]:
    """Waits for the turn of a request of Django REST framework's."""
    return partial(request.parser_context["view"].turn.take, request)


class Turn:
    """Of one request, up to the end of its answer."""

    def __init__(self) -> None:
        self._reader: str | None = None
        self.taken = False

    def take(self, request: Any) -> None:
        """Wait for it, unless the request has it."""
        if self.taken:
            return
        self._reader = reader_of(request)
        with _counting:
            _waiting[self._reader] += 1
            own = _own.setdefault(self._reader, threading.Lock())
        own.acquire()
        _turns.acquire()
        self.taken = True

    def end(self) -> None:
        if not self.taken:
            return
        self.taken = False
        _turns.release()
        with _counting:
            _own[self._reader].release()
            _waiting[self._reader] -= 1
            if not _waiting[self._reader]:
                del _waiting[self._reader], _own[self._reader]
