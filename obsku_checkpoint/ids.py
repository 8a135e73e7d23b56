"""Time-ordered ids: UUIDv7 as text, so that primary-key indexes grow at one end. Knows no Django.

RFC 9562, section 5.7, with the fixed-length counter of section 6.2 (method 1): ids of one process are strictly
increasing, also within a millisecond and when the clock steps back.
"""

from __future__ import annotations

import os
import threading
import time

COUNTER_BITS = 12
RANDOM_BITS = 62


class IdGenerator:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> str:
        random = int.from_bytes(os.urandom(10))
        # Half of the counter's range starts at random, the other half is left to count in.
        start = (time.time_ns() // 1_000_000) << COUNTER_BITS | random >> RANDOM_BITS & 0x7FF
        with self._lock:
            self._last = max(start, self._last + 1)
            stamp = self._last
        milliseconds, counter = stamp >> COUNTER_BITS, stamp & 0xFFF
        tail = random & (1 << RANDOM_BITS) - 1
        digits = f"{milliseconds << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | tail:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_generator = IdGenerator()


def _renew() -> None:
    """In a forked child: another thread of the parent may have held the lock."""
    global _generator
    _generator = IdGenerator()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew)


def new_id() -> str:
    return _generator()
