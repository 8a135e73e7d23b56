"""Python's search for garbage, put off while many objects are made at once: up to 3.11 it looks through them again and
again.

Only where no other thread runs meanwhile: its garbage may hold connections, which must not wait for a text.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

A = TypeVar("A")
R = TypeVar("R")


def put_off(call: Callable[[A], R], argument: A) -> R:
    """The result of a call that runs no Python, after which garbage is looked for again."""
    if not gc.isenabled():
        return call(argument)
    gc.disable()
    try:
        return call(argument)
    finally:
        gc.enable()
