"""Text for one line of a page, a log or a terminal: without characters that act unseen, and bounded."""

from __future__ import annotations

import re

# Control characters but for line ends and tabs, lone surrogates, and what turns or joins the text around it.
ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_CONTROL_PICTURES = 0x2400


def plain(text: str, characters: int = 200) -> str:
    """At most so many characters in one line; acting ones are replaced by visible symbols."""
    line = ACTING.sub(lambda found: symbol(found[0]), " ".join(text[: 4 * characters].split()))
    return line if len(line) <= characters else line[: characters - 1] + "…"


def symbol(character: str) -> str:
    """What stands for an acting character: ``␛``, ``⟨U+202E⟩``."""
    code = ord(character)
    return chr(_CONTROL_PICTURES + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
