"""A JSON-plus value as a folding tree: dates, sets, maps and bytes are shown as what they are.

Folding is ``<details>``, which works without a script. A tree is bounded in entries and in depth; what is left out is
counted, and the page links to the whole value.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

from obsku_checkpoint import codec
from obsku_checkpoint.admin import format
from obsku_checkpoint.codec import Map
from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.printable import ACTING, plain, symbol
from obsku_checkpoint.records import CorruptValue

ENTRIES = 1500
DEPTH = 24
#: a text longer than this is folded
LONG_TEXT = 300
#: characters of one text that are shown
TEXT = 20_000
#: containers with at most so many entries stand open
OPEN_ENTRIES = 12
OPEN_DEPTH = 2
BYTES = 32


def tree(value: Any, *, entries: int = ENTRIES) -> SafeString:
    """The value as HTML. A `CorruptValue` shows its reason and its raw text."""
    return _Tree(entries).node(value, 0)


def parsed(text: Any) -> Any:
    """The object or list that a text is the JSON of; any other value as it is."""
    if not isinstance(text, str) or text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return codec.loads(text)
    except CheckpointCorruptionError:
        return text


def corrupt(value: CorruptValue) -> SafeString:
    """Stored text that cannot be decoded, as it is."""
    return format_html(
        '<div class="obsku-corrupt"><p><strong>This cannot be decoded:</strong> {}</p>'
        '<pre class="obsku-text" tabindex="0">{}</pre>{}</div>',
        harmless(value.reason),
        harmless(value.text[:TEXT]),
        _left_out(len(value.text) - TEXT, "character"),
    )


def kind(value: Any) -> str:
    """What to call the value: ``text``, ``number``, ``list of 3``, …"""
    match value:
        case CorruptValue():
            return "corrupt"
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "text"
        case int() | float():
            return "number"
        case datetime():
            return "date"
        case bytes():
            return f"bytes, {format.size(len(value))}"
        case Map():
            return f"map of {len(value):,}"
        case dict():
            return f"object of {len(value):,}"
        case set() | frozenset():
            return f"set of {len(value):,}"
        case list() | tuple():
            return f"list of {len(value):,}"
    return type(value).__name__


class _Tree:
    def __init__(self, entries: int) -> None:
        self._entries = entries

    def node(self, value: Any, depth: int) -> SafeString:
        match value:
            case CorruptValue():
                return corrupt(value)
            case str():
                return _text(value)
            case dict() if value:
                return self._container(value, depth, _keyed(value))
            case set() | frozenset() if value:
                return self._container(value, depth, (("", item) for item in sorted(value, key=repr)))
            case list() | tuple() if value:
                return self._container(value, depth, ((str(index), item) for index, item in enumerate(value)))
        return format_html('<span class="obsku-{}">{}</span>', _class(value), _atom(value))

    def _container(self, value: Any, depth: int, entries: Iterable[tuple[str | SafeString, Any]]) -> SafeString:
        if depth >= DEPTH:
            return format_html('<span class="obsku-quiet">{}, nested too deep to show</span>', kind(value))
        rows = list(self._rows(entries, depth))
        opened = " open" if depth == 0 or (depth <= OPEN_DEPTH and len(value) <= OPEN_ENTRIES) else ""
        return format_html(
            '<details class="obsku-tree"{}><summary><span class="obsku-kind">{}</span> {}</summary>'
            "<ul>{}</ul>{}</details>",
            SafeString(opened),
            kind(value),
            _preview(value),
            format_html_join("", "<li>{}{}</li>", rows),
            _left_out(len(value) - len(rows), "entry"),
        )

    def _rows(
        self, entries: Iterable[tuple[str | SafeString, Any]], depth: int
    ) -> Iterator[tuple[SafeString, SafeString]]:
        for name, item in entries:
            if self._entries <= 0:
                return
            self._entries -= 1
            label = format_html('<span class="obsku-key">{}</span> ', name) if name != "" else SafeString("")
            yield label, format_html("{}{}", self.node(item, depth + 1), _as_moment(str(name), item))


def _as_moment(name: str, value: Any) -> SafeString:
    """What the milliseconds of a node's times mean."""
    if name not in ("startedAt", "completedAt") or type(value) not in (int, float) or abs(value) > 2.5e14:
        return SafeString("")
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    return format_html(' <span class="obsku-quiet">{}</span>', format.moment(moment))


def _keyed(value: dict[Any, Any]) -> Iterator[tuple[SafeString, Any]]:
    for key, item in value.items():
        yield (harmless(key) if isinstance(key, str) else harmless(plain(repr(key), 80))), item


def _text(value: str) -> SafeString:
    if len(value) <= LONG_TEXT and "\n" not in value:
        return format_html('<span class="obsku-string" dir="auto">{}</span>', harmless(value) if value else "“”")
    return format_html(
        '<details class="obsku-tree"><summary><span class="obsku-kind">text, {} characters</span> '
        '<span class="obsku-string">{}</span></summary>'
        '<pre class="obsku-text" dir="auto" tabindex="0">{}</pre>{}</details>',
        f"{len(value):,}",
        plain(value, 80),
        harmless(value[:TEXT]),
        _left_out(len(value) - TEXT, "character"),
    )


def _preview(value: Any) -> SafeString:
    """The keys of an object, so that one sees what is folded away."""
    if not isinstance(value, dict):
        return SafeString("")
    names = [plain(key if isinstance(key, str) else repr(key), 24) for _, key in zip(range(6), value, strict=False)]
    more = ", …" if len(value) > len(names) else ""
    return format_html('<span class="obsku-quiet">· {}{}</span>', ", ".join(names), more)


def _class(value: Any) -> str:
    match value:
        case None | bool():
            return "literal"
        case int() | float() | Decimal():
            return "number"
        case datetime():
            return "date"
    return "other"


def _atom(value: Any) -> str | SafeString:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case datetime():
            return format_html(
                '<time datetime="{}">{}</time>', value.isoformat(), f"{value:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"
            )
        case bytes():
            shown = value[:BYTES].hex(" ")
            return f"bytes, {format.size(len(value))}: {shown}{' …' if len(value) > BYTES else ''}"
        case Decimal():
            return f"{value} (decimal)"
        case UUID():
            return f"{value} (UUID)"
        case int():
            return f"{value:d}" if value.bit_length() < 10_000 else f"an integer of {value.bit_length():,} bits"
        case dict() | set() | frozenset() | list() | tuple():
            return f"empty {kind(value).partition(' ')[0]}"
    return harmless(plain(repr(value)))


def _left_out(count: int, noun: str) -> SafeString:
    if count <= 0:
        return SafeString("")
    nouns = {"entry": "entries"}.get(noun, f"{noun}s")
    return format_html('<p class="obsku-quiet">{} more {} not shown</p>', f"{count:,}", noun if count == 1 else nouns)


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
