"""Text for one line of a page, a log or a terminal: without characters that act unseen, and bounded."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# Control characters but for line ends and tabs, lone surrogates, and what turns or joins the text around it.
_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
# Between letters, and between the parts of an emoji, they are spelling.
_JOINERS = "\u200c\u200d"
_CONTROL_PICTURES = 0x2400


def acting(text: str) -> Iterator[re.Match[str]]:
    """The characters that act unseen. Joiners are none where they join letters, marks or symbols."""
    return (found for found in _ACTING.finditer(text) if not _joins(text, found.start()))


def plain(text: str, characters: int = 200) -> str:
    """At most so many characters in one line; acting ones are replaced by visible symbols."""
    line = " ".join(text[: 4 * characters].split())
    parts, end = [], 0
    for found in acting(line):
        parts += [line[end : found.start()], symbol(found[0])]
        end = found.end()
    line = "".join([*parts, line[end:]])
    return line if len(line) <= characters else line[: characters - 1] + "…"


def symbol(character: str) -> str:
    """What stands for an acting character: ``␛``, ``⟨U+202E⟩``."""
    code = ord(character)
    return chr(_CONTROL_PICTURES + code) if code < 0x20 else f"⟨U+{code:04X}⟩"


def _joins(text: str, place: int) -> bool:
    if text[place] not in _JOINERS or not 0 < place < len(text) - 1:
        return False
    return all(unicodedata.category(text[beside])[0] in "LMS" for beside in (place - 1, place + 1))
