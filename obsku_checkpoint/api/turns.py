"""What is heavy is done in turn: a long body, a page of many bytes. Small requests pass by.

Each keeps the interpreter busy, which all requests of a process share, and takes many times its size of memory. So
there is one at a time, and one reader's next waits until others who wait had theirs: nobody's heavy requests, however
many, are more than one ahead of somebody else's. Between two of them the interpreter is left to small requests for as
long as the first one took. So many may wait, without a connection to the database; one more is told to come again.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from django.core.handlers.asgi import ASGIRequest
from django.db import connections

from obsku_checkpoint.api.errors import RETRY_AFTER, Busy
from obsku_checkpoint.api.readers import reader_of

#: requests that may wait, of one reader and in sum: each holds a thread
WAITING_OF_READER, WAITING = 16, 64
#: bytes of a body, or of stored text on a page, that are heavy
HEAVY = 256 * 1024
#: seconds after which the thread of a heavy request gives way to another one. With Python's usual 5 ms, which a small
#: request waits again after every answer of the database, the heavy one would get nearly all of the interpreter
SWITCH_INTERVAL = 0.0002
#: most seconds from the end of a heavy request to the begin of one that waited for it
PAUSE = 1.0

_lock = threading.Lock()
_busy = False
#: Python's, while no request is heavy
_usual_interval = sys.getswitchinterval()
#: by reader, in the order in which the readers get a turn
_waiting: dict[str | None, deque[Turn]] = {}
#: so many are kept at a time before they are told to come again
_refused = threading.BoundedSemaphore(WAITING)


def turn_of(request: Any) -> Callable[[], None]:
    """Waits for the turn of a request of Django REST framework's."""
    return partial(request.parser_context["view"].turn.take, request)


class Turn:
    """Of one request, up to the end of its answer."""

    def __init__(self) -> None:
        self.taken = False
        self._has_come = threading.Event()
        self._began = 0.0
        self._pause = 0.0

    def take(self, request: Any) -> None:
        """Wait for it, unless the request has it; `Busy` where too many wait."""
        global _busy, _usual_interval
        if self.taken:
            return
        reader = reader_of(request)
        with _lock:
            if not _busy:
                self.taken = _busy = True
                self._began = time.monotonic()
                _usual_interval = sys.getswitchinterval()
                sys.setswitchinterval(min(_usual_interval, SWITCH_INTERVAL))
                return
            of_reader = _waiting.get(reader, deque())
            if len(of_reader) < WAITING_OF_READER and sum(map(len, _waiting.values())) < WAITING:
                of_reader.append(self)
                _waiting[reader] = of_reader
                self.taken = True
        if not self.taken:
            _refuse(request)
        try:
            _let_connections_go()
            self._has_come.wait()
            time.sleep(self._pause)
            self._began = time.monotonic()
        except BaseException:  # a server ends its thread: the turn must not come to nobody
            with _lock:
                if not self._has_come.is_set():
                    self.taken = False
                    _waiting[reader].remove(self)
                    if not _waiting[reader]:
                        del _waiting[reader]
            raise

    def end(self) -> None:
        """Give it to the first request of the reader whose turn it is."""
        global _busy
        if not self.taken:
            return
        self.taken = False
        with _lock:
            if not _waiting:
                _busy = False
                sys.setswitchinterval(_usual_interval)
                return
            reader = next(iter(_waiting))
            requests = _waiting.pop(reader)
            following = requests.popleft()
            if requests:
                _waiting[reader] = requests  # behind the others
        following._pause = min(time.monotonic() - self._began, PAUSE)
        following._has_come.set()


def _refuse(request: Any) -> NoReturn:
    """Tell a client to come again: after the time that it is to wait, where each request has a thread of its own.

    Whoever came again at once would keep the interpreter as busy as a heavy request does.
    """
    if isinstance(request._request, ASGIRequest) and _refused.acquire(blocking=False):
        try:
            _let_connections_go()
            time.sleep(RETRY_AFTER * random.uniform(0.5, 1.5))  # so that not all of them come again together
        finally:
            _refused.release()
    raise Busy


def _let_connections_go() -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
