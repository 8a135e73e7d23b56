"""Stored text as HTML that can do no harm: escaped, bounded, and with every character visible that would act unseen."""

from __future__ import annotations

import re
import unicodedata

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

# Control characters but for line ends and tabs, lone surrogates, and what turns or joins the text around it.
_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_CONTROL_PICTURES = 0x2400


def harmless(text: str) -> SafeString:
    """Escaped text in which each acting character is a visible mark that names it."""
    parts = []
    end = 0
    for found in _ACTING.finditer(text):
        parts += [conditional_escape(text[end : found.start()]), _mark(found[0])]
        end = found.end()
    return format_html_join("", "{}", ((part,) for part in [*parts, conditional_escape(text[end:])]))


def plain(text: str, characters: int = 200) -> str:
    """One line without acting characters, for titles and drawings, which take no marks."""
    line = _ACTING.sub(lambda found: _symbol(found[0]), " ".join(text[: 4 * characters].split()))
    return line if len(line) <= characters else line[: characters - 1] + "…"


def _mark(character: str) -> SafeString:
    name = unicodedata.name(character, f"U+{ord(character):04X}")
    return format_html('<span class="obsku-acting" title="{}">{}</span>', name, _symbol(character))


def _symbol(character: str) -> str:
    code = ord(character)
    return chr(_CONTROL_PICTURES + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
