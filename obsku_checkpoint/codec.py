"""JSON-plus: JSON text with tagged objects for dates, sets, bytes and maps, shared with the npm package.

What goes in comes out equal and of the same type, or :func:`dumps` refuses it. No class is found by a name in
stored data: beyond the built-in tags only :func:`register` adds any. The tags are in :mod:`codec_tags`.

Normalised on the way: tuples become lists, ``bytearray`` and ``memoryview`` bytes, times UTC with whole
milliseconds, a frozenset at the top a set. Inside sets and map keys arrays come back as tuples and sets as
frozensets. Nothing here recurses in Python, so no document, however deep, exhausts the caller's stack.
"""

from __future__ import annotations

import json
import marshal
import re
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final, NoReturn

import orjson

from obsku_checkpoint import codec_tags as tags
from obsku_checkpoint.codec_tags import Map, TaggedDict, register, unregister
from obsku_checkpoint.errors import PREVIEW_CHARACTERS, CheckpointCorruptionError, SerializationError

__all__ = ["MAX_DEPTH", "Map", "TaggedDict", "canonical", "dumps", "loads", "register", "unregister"]

MAX_DEPTH: Final = 254
"""Levels of arrays and objects in a text that :func:`dumps` writes: orjson's limit. A map takes three levels."""

TAG: Final = "__type"

_PLAIN: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS

# Searched in marshal's bytes rather than in the text because each pattern starts with one rare byte, which `re`
# finds with memchr. False alarms (a length byte, say) cost time only: the slow writer then decides.
_PACKED_TAG: Final = re.compile(rb"\x06(?=__type)")
_PACKED_NOT_FINITE: Final = (
    re.compile(rb"\x7f(?<=[g\xe7].{6}[\xf0-\xff]\x7f)", re.DOTALL),
    re.compile(rb"\xff(?<=[g\xe7].{6}[\xf0-\xff]\xff)", re.DOTALL),
)

# A key that may be `__type`; the second form has one of its letters written as an escape.
_TEXT_TAG: Final = re.compile("__type")
_TEXT_ESCAPED_TAG: Final = re.compile(r"\\u00(?:5[fF]|7[049]|65)")

# orjson knows no lone surrogates. They pass through it as U+E000 and four hex digits, U+E000 itself likewise.
_GUARD: Final = "\ue000"
_GUARDED: Final = re.compile(_GUARD + "([0-9a-f]{4})")
_TO_GUARD: Final = re.compile("[\ud800-\udfff\ue000]")
_SURROGATE_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_ESCAPES: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([dD][89a-fA-F][0-9a-fA-F]{2}|[eE]000)|\\."
)

_STR: Final = frozenset({str})
_ATOMS: Final = frozenset({str, int, float, bool, type(None)})
_CAREFUL_ATOMS: Final = frozenset({bool, type(None)})
_PATH_SEGMENT: Final = 40
_PATH_SEGMENTS: Final = 12

# Where a walk is: (container, its level, link of its parent, key in it, the container as the caller gave it).
_Link = tuple[Any, int, Any, Any, Any]


def dumps(value: Any) -> str:
    """Write a value as JSON-plus text; :class:`SerializationError` names the path of what cannot be written."""
    try:
        raw = orjson.dumps(value, option=_PLAIN)
        # orjson also writes enums, UUIDs and NaN, each without a sign that it did. marshal takes nothing but
        # exact built-in types, at the speed of C, so its success proves that the text is the whole value.
        packed = marshal.dumps(value, 4)
    except (TypeError, ValueError):
        return _dumps_tagged(value)
    if _PACKED_TAG.search(packed) or _hides_not_finite(raw, packed):
        return _dumps_tagged(value)
    return raw.decode()


def loads(text: str | bytes) -> Any:
    """Read JSON-plus text; :class:`CheckpointCorruptionError` names the path of what is malformed."""
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise CheckpointCorruptionError("$", f"not UTF-8 at byte {error.start}") from None
    tree = _parse(text)
    if _TEXT_TAG.search(text) or ("\\" in text and _TEXT_ESCAPED_TAG.search(text)):
        return _decode(tree)
    return tree


def canonical(text: str | bytes) -> bytes:
    """Return a form of the text that does not depend on the order of keys, to compare stored texts by."""
    if isinstance(text, bytes):
        text = text.decode()
    try:
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)
    except ValueError as error:
        guarded = orjson.loads(_guard_escapes(text, error))
        return _unguard_text(orjson.dumps(guarded, option=orjson.OPT_SORT_KEYS).decode()).encode()


# Writing


def _dumps_tagged(value: Any) -> str:
    """Write a value that holds tags, or something to refuse."""
    try:
        tree = _plain_tree(value, careful=False)
        raw = orjson.dumps(tree, option=_PLAIN)
        if not _hides_not_finite(raw, marshal.dumps(tree, 4)):
            return raw.decode()
    except (TypeError, ValueError) as error:
        if isinstance(error, SerializationError):
            raise
    # Something that the quick walk does not look at: odd keys, big integers, NaN, surrogates.
    tree = _plain_tree(value, careful=True)
    try:
        return _unguard_text(orjson.dumps(tree).decode())
    except TypeError:
        raise SerializationError("$", "the value changed while it was written") from None


def _hides_not_finite(raw: bytes, packed: bytes) -> bool:
    return b"null" in raw and any(pattern.search(packed) for pattern in _PACKED_NOT_FINITE)


def _plain_tree(value: Any, *, careful: bool) -> Any:
    """Return the value as orjson writes it. Containers without anything to replace are not copied.

    Depth first with a stack of its own, so that a cycle reaches the depth limit before it fills the memory. The quick
    walk leaves numbers, strings and keys unseen; the careful one refuses or replaces what orjson cannot write of them.
    """
    encoders = tags.registry().encoders
    atoms = _CAREFUL_ATOMS if careful else _ATOMS
    root = [value]
    stack: list[_Link] = [(root, 0, None, 0, None)]
    unique: list[tuple[list[Any], bool, _Link, Any]] = []
    while stack:
        link = stack.pop()
        node, level, _, _, _ = link
        # Replacing the value of an existing key is allowed while iterating; `node` is a copy of our own.
        entries: Iterable[tuple[Any, Any]] = node.items() if type(node) is dict else enumerate(node)
        for key, item in entries:
            kind = type(item)
            if kind in atoms:
                continue
            if level >= MAX_DEPTH and kind not in _ATOMS:
                _check_depth(level + 1, link, key, item)
            if kind is dict and TAG not in item and (not careful or _STR.issuperset(map(type, item))):
                if careful:
                    node[key] = child = _guard_keys(item, link, key)
                elif atoms.issuperset(map(type, item.values())):
                    continue
                else:
                    node[key] = child = item.copy()
                stack.append((child, level + 1, link, key, item))
            elif kind is list or kind is tuple:
                if not atoms.issuperset(map(type, item)):
                    node[key] = elements = list(item)
                    stack.append((elements, level + 1, link, key, item))
            elif kind is set or kind is frozenset:
                _check_depth(level + 2, link, key, item)
                elements = list(item)
                node[key] = {TAG: "Set", "value": elements}
                stack.append((elements, level + 2, link, key, item))
                unique.append((elements, True, link, key))
            elif kind is dict or kind is Map:
                _check_depth(level + (3 if item else 2), link, key, item)
                pairs = [[k, v] for k, v in item.items()]
                node[key] = {TAG: "Map", "value": pairs}
                here = (pairs, level + 2, link, key, item)
                stack.extend([(pair, level + 3, here, i, None) for i, pair in enumerate(pairs)])
                if not _ATOMS.issuperset(map(type, item)):
                    unique.append((pairs, False, link, key))
            elif kind is TaggedDict:
                _check_tagged_dict(item, link, key)
                node[key] = child = _guard_keys(item, link, key) if careful else dict(item)
                stack.append((child, level + 1, link, key, item))
            elif kind in encoders:
                tag, encode = encoders[kind]
                node[key] = child = _tagged(tag, encode, item, link, key)
                if careful or type(child["value"]) is not str:
                    stack.append((child, level + 1, link, key, item))
            elif kind is str:
                node[key] = _guard(item, link, key)
            elif kind is int:
                if not -(2**63) <= item < 2**64:
                    _check_depth(level + 1, link, key, item)
                    node[key] = _tagged("BigInt", tags.write_big_int, item, link, key)
            elif kind is float:
                if not isfinite(item):
                    _check_depth(level + 1, link, key, item)
                    node[key] = {TAG: "Number", "value": tags.write_number(item)}
            else:
                raise SerializationError(_path(link, key), _refusal(kind))
    for items, is_set, link, key in reversed(unique):  # inner sets come later, and are sorted before the outer ones
        _make_unique(items, is_set, link, key)
    return root[0]


def _make_unique(items: list[Any], is_set: bool, link: _Link, key: Any) -> None:
    """Sort the elements of a set by their text; refuse elements, or keys of a map, that are written alike."""
    texts = [orjson.dumps(item if is_set else item[0]).decode() for item in items]
    if any(_GUARD in text for text in texts):
        texts = [_unguard_text(text) for text in texts]
    if len(set(texts)) != len(texts):
        raise SerializationError(_path(link, key), "different elements or keys would be written alike")
    if is_set:
        items[:] = [items[i] for i in sorted(range(len(texts)), key=texts.__getitem__)]


def _tagged(tag: str, encode: Any, item: Any, link: _Link, key: Any) -> dict[str, Any]:
    try:
        return {TAG: tag, "value": encode(item)}
    except tags.MalformedError as error:
        raise SerializationError(_path(link, key), error.reason) from None
    except Exception as error:
        reason = f"the encoder of the tag {tag[:_PATH_SEGMENT]!r} failed: {type(error).__name__}"
        raise SerializationError(_path(link, key), reason) from error


def _check_tagged_dict(item: dict[Any, Any], link: _Link, key: Any) -> None:
    """Refuse what would not come back as a TaggedDict: one without a tag, or with a tag that reading decodes."""
    if not _STR.issuperset(map(type, item)) or TAG not in item:
        raise SerializationError(_path(link, key), "a TaggedDict has string keys and a __type: use a dict")
    tag = item[TAG]
    if type(tag) is not str or tag not in tags.registry().decoders:
        return
    # The reader leaves a Set or Map that Python cannot represent as it is.
    if len(item) == 2 and tag in ("Set", "Map") and "value" in item:
        try:
            if type(tags.registry().decoders[tag](item["value"])) is TaggedDict:
                return
        except tags.MalformedError:
            pass
    raise SerializationError(_path(link, key), f"a TaggedDict with the known tag {tag[:_PATH_SEGMENT]!r}: use its type")


def _check_depth(level: int, link: _Link, key: Any, item: Any) -> None:
    if level <= MAX_DEPTH:
        return
    seen = {id(item)}
    above: _Link | None = link
    while above is not None:
        _, _, above, _, container = above
        if container is not None:
            if id(container) in seen:
                raise SerializationError(_path(link, key), "cycle: the value contains itself")
            seen.add(id(container))
    raise SerializationError(_path(link, key), f"nesting deeper than MAX_DEPTH ({MAX_DEPTH} levels of JSON)")


def _refusal(kind: type) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}"[:PREVIEW_CHARACTERS]
    return f"{name} is not a type of JSON-plus: convert the value, or register the type"


def _guard(text: str, link: _Link, key: Any) -> str:
    if _SURROGATE_PAIR.search(text):
        raise SerializationError(_path(link, key), "two surrogates that would come back as one character")
    return _TO_GUARD.sub(lambda m: f"{_GUARD}{ord(m[0]):04x}", text)


def _guard_keys(item: dict[str, Any], link: _Link, key: Any) -> dict[str, Any]:
    here = (item, 0, link, key, item)
    return {_guard(key, here, key): value for key, value in item.items()}


def _unguard_text(text: str) -> str:
    """Put JSON escapes, or U+E000 itself, where the guard stands in a JSON text."""
    return _GUARDED.sub(lambda m: _GUARD if m[1] == "e000" else "\\u" + m[1], text)


def _unguard(text: str) -> str:
    return _GUARDED.sub(lambda m: chr(int(m[1], 16)), text)


# Reading


def _parse(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        guarded = _guard_escapes(text, error)
    try:
        tree = orjson.loads(guarded)
    except orjson.JSONDecodeError as error:
        _refuse_text(guarded, error)
    holder = [tree]
    nodes: list[Any] = [holder]
    for node in nodes:
        if type(node) is dict:
            items = list(node.items())
            node.clear()
            node.update((_unguard(k), _unguard(v) if type(v) is str else v) for k, v in items)
            nodes.extend(v for v in node.values() if type(v) in (dict, list))
        else:
            node[:] = [_unguard(v) if type(v) is str else v for v in node]
            nodes.extend(v for v in node if type(v) in (dict, list))
    return holder[0]


def _guard_escapes(text: str, error: ValueError) -> str:
    """Return the text with guards for its lone surrogates; if there are none, they were not what is wrong."""
    guarded = _ESCAPES.sub(lambda m: _GUARD + m[1].lower() if m[1] else m[0], text.replace(_GUARD, _GUARD + "e000"))
    if guarded == text:
        _refuse_text(text, error)
    return guarded


def _refuse_text(text: str, error: Any) -> NoReturn:
    # `from None`: a JSONDecodeError carries the whole document, which must not get into logs.
    start = max(0, error.pos - PREVIEW_CHARACTERS // 2)
    preview = text[start : start + PREVIEW_CHARACTERS].encode("utf-8", "backslashreplace").decode()
    raise CheckpointCorruptionError("$", f"not JSON at character {error.pos}: {error.msg}", preview) from None


def _decode(tree: Any) -> Any:
    """Replace the tagged objects of a parsed text, inner ones first."""
    decoders = tags.registry().decoders
    root = [tree]
    nodes: list[Any] = [root]
    found: list[tuple[Any, Any, dict[str, Any]]] = []
    for node in nodes:
        entries: Iterable[tuple[Any, Any]] = node.items() if type(node) is dict else enumerate(node)
        for key, item in entries:
            kind = type(item)
            if kind is dict:
                if TAG not in item:
                    nodes.append(item)
                elif len(item) == 2 and type(item.get("value")) is str and type(item[TAG]) is str:
                    node[key] = _untag(item, decoders, root)  # the most frequent ones, with nothing inside
                else:
                    nodes.append(item)
                    found.append((node, key, item))
            elif kind is list:
                nodes.append(item)
    for node, key, item in reversed(found):
        node[key] = _untag(item, decoders, root)
    return root[0]


def _untag(item: dict[str, Any], decoders: dict[str, Any], root: list[Any]) -> Any:
    tag = item[TAG]
    if type(tag) is not str or tag not in decoders:
        return TaggedDict(item)
    if len(item) != 2 or "value" not in item:
        _refuse_tag(root, item, "has exactly __type and value", None)
    try:
        return decoders[tag](item["value"])
    except tags.MalformedError as error:
        _refuse_tag(root, item, error.reason, None)
    except Exception as error:
        _refuse_tag(root, item, f"its decoder failed: {type(error).__name__}", error)


def _refuse_tag(root: list[Any], item: dict[str, Any], reason: str, cause: Exception | None) -> NoReturn:
    """Raise for a tagged object, whose ancestors are all still as they were parsed."""
    value = item.get("value")
    preview = value if type(value) is str else type(value).__name__
    stack: list[_Link] = [(root, 0, None, 0, None)]
    while True:
        link = stack.pop()
        node = link[0]
        for key, child in node.items() if type(node) is dict else enumerate(node):
            if child is item:
                where = _path(link, key)
                raise CheckpointCorruptionError(where, f"{item[TAG][:_PATH_SEGMENT]}: {reason}", preview) from cause
            if type(child) in (dict, list):
                stack.append((child, 0, link, key, None))


def _path(link: _Link, key: Any) -> str:
    """Return ``$.when[2]["a b"]``, bounded in length. The outermost link is the holder of the root."""
    keys = []
    while link[2] is not None:
        keys.append(key)
        _, _, link, key, _ = link
    segments = [_segment(k) for k in reversed(keys)]
    if len(segments) > _PATH_SEGMENTS:
        half = _PATH_SEGMENTS // 2
        segments = [*segments[:half], "…", *segments[-half:]]
    return "$" + "".join(segments)


def _segment(key: int | str) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    key = _unguard(key)
    if len(key) > _PATH_SEGMENT:
        key = key[:_PATH_SEGMENT] + "…"
    if key.isidentifier():
        return f".{key}"
    return f"[{json.dumps(key, ensure_ascii=not key.isprintable())}]"
