"""JSON-plus: JSON text with tagged objects for dates, sets, bytes and maps, shared with the npm package.

What goes in comes out equal and of the same type, or :func:`dumps` refuses it. No class is found by a name in
stored data: beyond the built-in tags only :func:`register` adds any. What Python does not have, or would take too long
to build, is read as a :class:`TaggedDict`, and written again unchanged.

Normalised on the way: tuples become lists, ``bytearray`` and ``memoryview`` bytes, times UTC with whole
milliseconds, a frozenset at the top a set. Inside sets and map keys arrays come back as tuples and sets as
frozensets. Nothing here recurses in Python, so no document, however deep, exhausts the caller's stack.

A value is written by the first of three stages that can (:mod:`codec.writing`; times for a state of 2 kB):

1. orjson, and marshal to prove that the text is the whole value: plain JSON, 6 us. The next stage takes 1.4 times as
   long for it.
2. orjson with a hook for tagged values, and a look at the types of all values: dates, bytes, Decimals, UUIDs, and sets
   and maps of atoms, 10 us for one date, 50 us for 25 dates and sets. The next stage takes twice as long for them.
3. A walk in Python that makes the tree that orjson writes: everything else, such as keys that are not text, integers
   that JavaScript would round, NaN and registered types, 30 to 80 us; and once more where it met a lone surrogate.

A text is read in as many stages as it needs (:mod:`codec.reading`), in time linear in its length:

1. orjson parses it: 4 us, which is all for plain JSON. Lone surrogates pass through it in disguise
   (:mod:`codec.surrogates`), which takes 3 times as long.
2. Where it may hold a tag, a walk replaces tagged objects by values: 10 us, and 1 us for each (:mod:`codec.tags`).
   Before a set or map is built, elements that are too deep or too long are looked for, and those that hash alike are
   counted (:mod:`codec.hashes`); Python's search for free places is followed where there are more than 1,000 of other
   types than text (:mod:`codec.tables`); the digits of long integers are summed up before these are converted
   (:mod:`codec.digits`).

1 MB that was made to be slow takes at most 20 times as long as 1 MB of plain JSON, but for what holds tens of thousands
of elements or keys that are neither text nor bytes, sets within each other, or lone surrogates: up to 42 times
(``python -m benchmarks.adversarial``). The slowest that a search at random has found takes 70 times as long: a map of
numbers most of which are repeated (``--search``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, islice
from typing import Any, Final, NoReturn

import orjson

from obsku_checkpoint.codec import garbage
from obsku_checkpoint.codec.digits import tag_integers
from obsku_checkpoint.codec.reading import decode
from obsku_checkpoint.codec.surrogates import GUARD, guard_escapes, unguard_all, unguard_escapes
from obsku_checkpoint.codec.tags import Map, TaggedDict, register, unregister
from obsku_checkpoint.codec.writing import MAX_DEPTH, dumps
from obsku_checkpoint.errors import PREVIEW_CHARACTERS, CheckpointCorruptionError
from obsku_checkpoint.records import CorruptValue

__all__ = [
    "MAX_DEPTH",
    "Map",
    "TaggedDict",
    "canonical",
    "corrupt_value",
    "dumps",
    "loads",
    "loads_or_corrupt",
    "register",
    "tag_integers",
    "uncollected",
    "unregister",
]

# A key that may be `__type`, or has one of its letters written as an escape. Most texts have no underscore, so that is
# looked for first; a false positive only costs the slower path.
_ESCAPED_TAG: Final = re.compile(r"\\u00(?:5[fF]|7[049]|65)")

#: characters from which on the search for garbage is put off while a text is parsed
_LONG: Final = 10_000


def loads(text: str | bytes) -> Any:
    """Read JSON-plus text; :class:`CheckpointCorruptionError` names the path of what is malformed."""
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise CheckpointCorruptionError("$", f"not UTF-8 at byte {error.start}") from None
    tree = _parse(text)
    if ("_" in text and "__type" in text) or ("\\" in text and _ESCAPED_TAG.search(text)):
        return decode(tree)
    return tree


def loads_or_corrupt(text: str) -> Any:
    """`loads`, or the `CorruptValue` that stands for what cannot be decoded where reading goes on around it."""
    try:
        return loads(text)
    except CheckpointCorruptionError as error:
        return corrupt_value(text, error)


def corrupt_value(text: str, error: CheckpointCorruptionError) -> CorruptValue:
    """``error`` is what decoding the text has raised."""
    return CorruptValue(text=text, reason=f"{error.path}: {error.reason}")


def canonical(text: str | bytes) -> bytes:
    """Return a form of the text that does not depend on the order of keys, to compare stored texts by."""
    if isinstance(text, bytes):
        text = text.decode()
    try:
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)
    except ValueError as error:
        guarded = orjson.loads(_guard_escapes(text, error))
        return unguard_escapes(orjson.dumps(guarded, option=orjson.OPT_SORT_KEYS).decode()).encode()
    except TypeError:
        raise CheckpointCorruptionError("$", f"nesting deeper than MAX_DEPTH ({MAX_DEPTH} levels of JSON)") from None


def _parse(text: str) -> Any:
    try:
        return uncollected(text)
    except orjson.JSONDecodeError as error:
        guarded = _guard_escapes(text, error)
    try:
        tree = uncollected(guarded)
    except orjson.JSONDecodeError as error:
        _refuse_text(guarded, error)
    return _unguarded(tree)


def _unguarded(tree: Any) -> Any:
    holder = [tree]
    nodes: list[Any] = [holder]
    renamed: list[dict[str, Any]] = []
    places: list[tuple[Any, Any]] = []
    texts: list[str] = []
    for node in nodes:
        if type(node) is dict and GUARD in "".join(node):
            renamed.append(node)
        entries: Iterable[tuple[Any, Any]] = node.items() if type(node) is dict else enumerate(node)
        for key, value in entries:
            item = value
            if type(item) is str:
                if GUARD in item:
                    places.append((node, key))
                    texts.append(item)
            elif type(item) is list:
                while len(item) == 1 and type(item[0]) is list:  # at once, since two characters make each
                    item = item[0]
                if item:
                    nodes.append(item)
            elif type(item) is dict and item:
                nodes.append(item)
    for (node, key), text in zip(places, unguard_all(texts), strict=False):  # of no texts it is one
        node[key] = text
    names = iter(unguard_all(chain.from_iterable(renamed)))
    for node in renamed:
        items = list(zip(islice(names, len(node)), node.values(), strict=True))
        node.clear()
        node.update(items)
    return holder[0]


def uncollected(text: str) -> Any:
    """Parse JSON, without Python's looking for garbage among the new objects."""
    return orjson.loads(text) if len(text) < _LONG else garbage.put_off(orjson.loads, text)


def _guard_escapes(text: str, error: ValueError) -> str:
    """Return the text with guards for its lone surrogates; if there are none, they were not what is wrong."""
    guarded = guard_escapes(text)
    if guarded == text:
        _refuse_text(text, error)
    return guarded


def _refuse_text(text: str, error: Any) -> NoReturn:
    # `from None`: a JSONDecodeError carries the whole document, which must not get into logs.
    start = max(0, error.pos - PREVIEW_CHARACTERS // 2)
    preview = text[start : start + PREVIEW_CHARACTERS].encode("utf-8", "backslashreplace").decode()
    raise CheckpointCorruptionError("$", f"not JSON at character {error.pos}: {error.msg}", preview) from None
