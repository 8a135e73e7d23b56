"""Stored text as HTML that can do no harm: escaped, and with every character visible that would act unseen."""

from __future__ import annotations

import unicodedata

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

from obsku_checkpoint.plain_text import ACTING, symbol


def harmless(text: str) -> SafeString:
    """Escaped text in which each acting character is a visible mark that names it."""
    parts = []
    end = 0
    for found in ACTING.finditer(text):
        parts += [conditional_escape(text[end : found.start()]), _mark(found[0])]
        end = found.end()
    return format_html_join("", "{}", ((part,) for part in [*parts, conditional_escape(text[end:])]))


def _mark(character: str) -> SafeString:
    name = unicodedata.name(character, f"U+{ord(character):04X}")
    return format_html('<span class="obsku-acting" title="{}">{}</span>', name, symbol(character))
