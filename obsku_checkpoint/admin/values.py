"""Stored values on a page: as text of one line (`text_of`), as harmless text (`harmless`), as a folding tree (`tree`).

None of the three raises, whatever the value is. Dates, sets, maps and bytes are shown as what they are. Folding is
``<details>``, which works without a script. What is shown is bounded in entries and in depth; what is left out is
counted, and the page leads to the whole value.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from obsku_checkpoint import codec
from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.large_columns import Beginning, Large
from obsku_checkpoint.codec import Map
from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.printable import acting, plain, symbol
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
#: an integer of more bits is said by its length: Python converts no longer ones
BITS = 10_000


# -- in one line


def text_of(value: Any, characters: int = 200) -> str:
    """Any value in one line of at most so many characters, near to its JSON; a text is its characters."""
    if isinstance(value, str):
        return plain(value, characters)
    pieces, length = [], 0
    for piece in _pieces(value, 0, characters):
        pieces.append(piece)
        length += len(piece)
        if length > characters:
            break
    return plain("".join(pieces), characters)


def _pieces(value: Any, depth: int, characters: int) -> Iterator[str]:
    match value:
        case str():
            yield f"“{plain(value, characters)}”"
        case dict() | list() | tuple() | set() | frozenset() if depth >= DEPTH:
            yield "…"
        case dict():
            yield "{"
            for place, (key, item) in enumerate(value.items()):
                yield ", " if place else ""
                yield f"{text_of(key, characters)}: "
                yield from _pieces(item, depth + 1, characters)
            yield "}"
        case list() | tuple() | set() | frozenset():
            yield "["
            for place, item in enumerate(_ordered(value)):
                yield ", " if place else ""
                yield from _pieces(item, depth + 1, characters)
            yield "]"
        case Large():
            yield f"{plain(value.beginning, characters)}…"
        case CorruptValue():
            yield plain(value.text, characters)
        case _:
            yield _atom(value)


def _atom(value: Any) -> str:
    """A value that holds no others."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"
        case bytes():
            more = " …" if len(value) > BYTES else ""
            return f"{_bytes(value)}: {value[:BYTES].hex(' ')}{more}"
        case Decimal():
            return _("%(number)s (decimal)") % {"number": value}
        case UUID():
            return f"{value} (UUID)"
        case int():
            if value.bit_length() < BITS:
                return f"{value:d}"
            return _("an integer of %(count)s bits") % {"count": format.number(value.bit_length())}
        case float():
            return repr(value)
    return type(value).__name__  # an application's own, whose repr may do anything


def _bytes(value: bytes) -> str:
    return _("bytes, %(size)s") % {"size": format.size(len(value))}


def _ordered(value: Iterable[Any]) -> Iterable[Any]:
    """The elements, those of a set in an order of their own, so that equal sets look alike."""
    return sorted(value, key=lambda item: text_of(item, 80)) if isinstance(value, set | frozenset) else value


# -- as HTML


def harmless(text: str) -> SafeString:
    """Escaped text in which each acting character is a visible mark that names it."""
    parts = []
    end = 0
    for found in acting(text):
        parts += [conditional_escape(text[end : found.start()]), _mark(found[0])]
        end = found.end()
    return format_html_join("", "{}", ((part,) for part in [*parts, conditional_escape(text[end:])]))


def _mark(character: str) -> SafeString:
    name = unicodedata.name(character, f"U+{ord(character):04X}")
    return format_html('<span class="obsku-acting" title="{}">{}</span>', name, symbol(character))


def tree(value: Any, *, entries: int = ENTRIES, rest: str = "") -> SafeString:
    """The value as HTML. A `CorruptValue` shows its reason and its text, a `Large` its size and its beginning.

    ``rest`` is the address of the whole value, for what is `Large`.
    """
    return _Tree(entries, rest).node(value, 0)


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
        '<div class="obsku-corrupt"><p><strong>{}</strong> {}</p><pre class="obsku-text" tabindex="0">{}</pre>{}</div>',
        _("This cannot be decoded:"),
        harmless(value.reason),
        harmless(value.text[:TEXT]),
        _characters_left_out(len(value.text) - TEXT),
    )


def kind(value: Any) -> str:
    """What to call the value: ``text``, ``number``, ``list of 3``, …"""
    match value:
        case CorruptValue():
            return _("corrupt")
        case Large():
            return format.size(value.bytes)
        case None:
            return "null"
        case bool():
            return _("boolean")
        case str():
            return _("text")
        case int() | float():
            return _("number")
        case datetime():
            return _("date")
        case bytes():
            return _bytes(value)
        case Map():
            return _("map of %(count)s") % {"count": format.number(len(value))}
        case dict():
            return _("object of %(count)s") % {"count": format.number(len(value))}
        case set() | frozenset():
            return _("set of %(count)s") % {"count": format.number(len(value))}
        case list() | tuple():
            return _("list of %(count)s") % {"count": format.number(len(value))}
    return type(value).__name__


class _Tree:
    def __init__(self, entries: int, rest: str) -> None:
        self._entries = entries
        self._rest = rest

    def node(self, value: Any, depth: int) -> SafeString:
        match value:
            case CorruptValue():
                return corrupt(value)
            case Large():
                return self._large(value)
            case Beginning():
                return self._large(value.whole)
            case str():
                return _text(value)
            case dict() if value:
                return self._container(value, depth, value.items())
            case list() | tuple() if value:
                return self._container(value, depth, enumerate(value))
            case set() | frozenset() if value:
                return self._container(value, depth, ((None, item) for item in _ordered(value)))
            case dict() | set() | frozenset() | list() | tuple():
                return format_html('<span class="obsku-other">{}</span>', _("empty"))
        return format_html('<span class="obsku-{}">{}</span>', _class(value), plain(_atom(value), LONG_TEXT * 12))

    def _container(self, value: Any, depth: int, entries: Iterable[tuple[Any, Any]]) -> SafeString:
        if depth >= DEPTH:
            return format_html('<span class="obsku-quiet">{}, {}</span>', kind(value), _("nested too deep to show"))
        rows = list(self._rows(entries, depth))
        opened = " open" if depth == 0 or (depth <= OPEN_DEPTH and len(value) <= OPEN_ENTRIES) else ""
        return format_html(
            '<details class="obsku-tree"{}><summary><span class="obsku-kind">{}</span> {}</summary>'
            "<ul>{}</ul>{}</details>",
            SafeString(opened),
            kind(value),
            _preview(value),
            format_html_join("", "<li>{}{}</li>", rows),
            _entries_left_out(len(value) - len(rows)),
        )

    def _rows(self, entries: Iterable[tuple[Any, Any]], depth: int) -> Iterator[tuple[SafeString, SafeString]]:
        for key, item in entries:
            if self._entries <= 0:
                return
            self._entries -= 1
            yield _label(key), format_html("{}{}", self.node(item, depth + 1), _as_timestamp(key, item))

    def _large(self, value: Large) -> SafeString:
        more = format_html(' <a href="{}">{}</a>', self._rest, _("All of it as plain text")) if self._rest else ""
        return format_html(
            '<div class="obsku-large"><p><span class="obsku-kind">{}</span>{}</p>'
            '<pre class="obsku-text" dir="auto" tabindex="0">{}…</pre></div>',
            _("%(size)s, of which this is the beginning.") % {"size": format.size(value.bytes)},
            more,
            harmless(value.beginning),
        )


def _label(key: Any) -> SafeString:
    if key is None:  # an element of a set
        return SafeString("")
    return format_html('<span class="obsku-key">{}</span> ', harmless(text_of(key, 200)))


def _as_timestamp(key: Any, value: Any) -> SafeString:
    """What the milliseconds of a node's times mean."""
    if key not in ("startedAt", "completedAt") or (moment := format.milliseconds(value)) is None:
        return SafeString("")
    return format_html(' <span class="obsku-quiet">{}</span>', format.timestamp(format.at(moment)))


def _text(value: str) -> SafeString:
    if len(value) <= LONG_TEXT and "\n" not in value:
        return format_html('<span class="obsku-string" dir="auto">{}</span>', harmless(value) if value else "“”")
    return format_html(
        '<details class="obsku-tree"><summary><span class="obsku-kind">{}</span> '
        '<span class="obsku-string">{}</span></summary>'
        '<pre class="obsku-text" dir="auto" tabindex="0">{}</pre>{}</details>',
        _("text, %(count)s characters") % {"count": format.number(len(value))},
        plain(value, 80),
        harmless(value[:TEXT]),
        _characters_left_out(len(value) - TEXT),
    )


def _preview(value: Any) -> SafeString:
    """The keys of an object, so that one sees what is folded away."""
    if not isinstance(value, dict):
        return SafeString("")
    names = [text_of(key, 24) for key in islice(value, 6)]
    return format_html(
        '<span class="obsku-quiet">· {}{}</span>', ", ".join(names), ", …" if len(value) > len(names) else ""
    )


def _class(value: Any) -> str:
    match value:
        case None | bool():
            return "literal"
        case int() | float() | Decimal():
            return "number"
        case datetime():
            return "date"
    return "other"


def _entries_left_out(count: int) -> SafeString:
    text = ngettext("%(count)s more entry not shown", "%(count)s more entries not shown", count)
    return _left_out(text, count)


def _characters_left_out(count: int) -> SafeString:
    text = ngettext("%(count)s more character not shown", "%(count)s more characters not shown", max(count, 0))
    return _left_out(text, count)


def _left_out(text: str, count: int) -> SafeString:
    return (
        format_html('<p class="obsku-quiet">{}</p>', text % {"count": format.number(count)})
        if count > 0
        else SafeString("")
    )
