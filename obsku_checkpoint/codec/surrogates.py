"""Lone surrogates in JSON-plus text: written and read as JSON escapes (``\\ud800``), as JavaScript does.

orjson knows no lone surrogates. They pass through it as U+E000 and four hex digits, U+E000 itself likewise.
"""

from __future__ import annotations

import re
from typing import Final

GUARD: Final = "\ue000"

_TO_GUARD: Final = re.compile("[\ud800-\udfff\ue000]")
_GUARDED: Final = re.compile(GUARD + "([0-9a-f]{4})")
_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_ESCAPES: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([dD][89a-fA-F][0-9a-fA-F]{2}|[eE]000)|\\."
)


def has_pair(text: str) -> bool:
    """Whether two surrogates stand together that would come back as one character."""
    return _PAIR.search(text) is not None


def guard(text: str) -> str:
    """A string as orjson can write it."""
    return _TO_GUARD.sub(lambda m: f"{GUARD}{ord(m[0]):04x}", text)


def unguard(text: str) -> str:
    """The string that was guarded."""
    first, *others = text.split(GUARD)
    return first + "".join([chr(int(other[:4], 16)) + other[4:] for other in others])


def guard_escapes(document: str) -> str:
    """A JSON text with guards for the escapes of its lone surrogates, as orjson can read it."""
    return _ESCAPES.sub(lambda m: GUARD + m[1].lower() if m[1] else m[0], document.replace(GUARD, GUARD + "e000"))


def unguard_escapes(document: str) -> str:
    """Put JSON escapes, or U+E000 itself, where a guard stands in a JSON text."""
    return _GUARDED.sub(lambda m: GUARD if m[1] == "e000" else "\\u" + m[1], document)
