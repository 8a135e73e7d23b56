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
            self._last = stamp = max(start, self._last + 1)
        milliseconds, tail = stamp >> COUNTER_BITS, 0b10 << RANDOM_BITS | random & (1 << RANDOM_BITS) - 1
        return (
            f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{stamp & 0xFFF:03x}"
            f"-{tail >> 48:04x}-{tail & 0xFFFF_FFFF_FFFF:012x}"
        )


_generator = IdGenerator()


def _renew() -> None:
    """In a forked child: another thread of the parent may have held the lock."""
    global _generator
    _generator = IdGenerator()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew)


def new_id() -> str:
    return _generator()
