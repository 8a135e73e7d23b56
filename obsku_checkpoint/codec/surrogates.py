"""Lone surrogates in JSON-plus text: written and read as JSON escapes (``\\ud800``), as JavaScript does.

orjson knows no lone surrogates. They pass through it as U+E000 and four hex digits; so do U+E000 itself and, where a
text is read, backslashes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

GUARD: Final = "\ue000"

_TO_GUARD: Final = re.compile("[\ud800-\udfff\ue000]+")
_GUARDED: Final = re.compile(GUARD + "([0-9a-f]{4})")
_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")

# In a JSON text without escaped backslashes: the escapes of surrogates that are no half of a pair, and of what else is
# guarded; as many as stand together, of which a text may have a hundred thousand.
_HIGH, _LOW = r"[dD][89abAB][0-9a-fA-F]{2}", r"[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = rf"\\u(?:{_HIGH}(?!\\u{_LOW})|{_LOW}(?<!\\u{_HIGH}\\u{_LOW})|[eE]000|005[cC])"
_ESCAPES: Final = re.compile(rf"{_ESCAPE}(?:{_ESCAPE})*+")

#: as two characters, which no text has that was read from JSON
_BETWEEN: Final = "\ud800\udc00"
#: what no text has that orjson has written
_APART: Final = "\ud800"


def has_pair(text: str) -> bool:
    """Whether two surrogates stand together that would come back as one character."""
    return not text.isascii() and _PAIR.search(text) is not None


def guard(text: str) -> str:
    """A string as orjson can write it."""
    return text if text.isascii() else _TO_GUARD.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    guarded = match[0].replace(GUARD, GUARD + "e000")
    return guarded.encode("utf-8", "backslashreplace").decode().replace(r"\u", GUARD)


def unguard(text: str) -> str:
    """The string that was guarded; also one that was not, with what looks like a guard."""
    return _GUARDED.sub(lambda m: chr(int(m[1], 16)), text)


def unguard_all(texts: Iterable[str]) -> list[str]:
    """The strings that were guarded: by one call of a codec that knows the escapes of surrogates."""
    escaped = _BETWEEN.join(texts).replace("\\", r"\u005c").replace(GUARD, r"\u")
    return escaped.encode("raw_unicode_escape").decode("raw_unicode_escape").split(_BETWEEN)


def guard_escapes(document: str) -> str:
    """A JSON text with guards for the escapes of its lone surrogates, as orjson can read it; unchanged without any."""
    guarded = document.replace(GUARD, GUARD + "e000").replace(r"\\", GUARD + "005c")
    guarded, found = _ESCAPES.subn(lambda match: match[0].lower().replace(r"\u", GUARD), guarded)
    return guarded if found else document


def unguard_escapes(document: str) -> str:
    """Put JSON escapes, or U+E000 itself, where a guard stands in a JSON text that orjson has written."""
    known = document.replace(GUARD + "e000", _APART).replace(GUARD + "005c", r"\\")
    return known.replace(GUARD, r"\u").replace(_APART, GUARD)
