"""JSON-plus: JSON text with tagged objects for dates, sets, bytes and maps, shared with the npm package.

What goes in comes out equal and of the same type, or :func:`dumps` refuses it. No class is found by a name in
stored data: beyond the built-in tags only :func:`register` adds any. The tags are in :mod:`codec.tags`.

Normalised on the way: tuples become lists, ``bytearray`` and ``memoryview`` bytes, times UTC with whole
milliseconds, a frozenset at the top a set. Inside sets and map keys arrays come back as tuples and sets as
frozensets. Nothing here recurses in Python, so no document, however deep, exhausts the caller's stack.
"""

from __future__ import annotations

import gc
import marshal
import re
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final, NoReturn

import orjson

from obsku_checkpoint.codec import tags
from obsku_checkpoint.codec.surrogates import GUARD, guard, guard_escapes, has_pair, unguard, unguard_escapes
from obsku_checkpoint.codec.tags import PATH_SEGMENT, TAG, Link, Map, TaggedDict, path, register, unregister
from obsku_checkpoint.errors import PREVIEW_CHARACTERS, CheckpointCorruptionError, SerializationError
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
    "unregister",
]
MAX_DEPTH: Final = 254
"""Levels of arrays and objects in a text that :func:`dumps` writes: orjson's limit. A map takes three levels."""

_PLAIN: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS

#: how marshal marks a float (the second form can be referred to), and the last bytes of those that are not finite
_PACKED_FLOAT, _PACKED_NOT_FINITE = b"g\xe7", (b"\x7f", b"\xff")

# A key that may be `__type`, or has one of its letters written as an escape. Many texts have no underscore, which is
# told at once; false alarms cost time only.
_TEXT_TAG, _BYTES_TAG = "__type", b"__type"
_TEXT_ESCAPED_TAG: Final = re.compile(r"\\u00(?:5[fF]|7[049]|65)")

_STR: Final = frozenset({str})
_ATOMS: Final = frozenset({str, int, float, bool, type(None)})
_HOOKED_SETS: Final = frozenset({set, frozenset, Map})
_HOOKED: Final = _ATOMS | _HOOKED_SETS | {dict, list, tuple, type} | tags.BUILT_IN_ENCODERS.keys()
_CAREFUL_ATOMS: Final = frozenset({bool, type(None)})


def dumps(value: Any) -> str:
    """Write a value as JSON-plus text; :class:`SerializationError` names the path of what cannot be written."""
    try:
        raw = orjson.dumps(value, option=_PLAIN)
        # orjson also writes enums, UUIDs and NaN, each without a sign that it did. marshal takes nothing but
        # exact built-in types, at the speed of C, so its success proves that the text is the whole value.
        packed = marshal.dumps(value, 4)
    except (TypeError, ValueError):
        return _dumps_tagged(value)
    if (b"_" in raw and _BYTES_TAG in raw) or _hides_not_finite(raw, packed):
        return _dumps_tagged(value)
    del packed  # of a large value it is a third of the memory
    return raw.decode()


def loads(text: str | bytes) -> Any:
    """Read JSON-plus text; :class:`CheckpointCorruptionError` names the path of what is malformed."""
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise CheckpointCorruptionError("$", f"not UTF-8 at byte {error.start}") from None
    tree = _parse(text)
    if ("_" in text and _TEXT_TAG in text) or ("\\" in text and _TEXT_ESCAPED_TAG.search(text)):
        return tags.decode(tree)
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


def _dumps_tagged(value: Any) -> str:
    """Write a value that holds tags, or something to refuse."""
    if (text := _dumps_hooked(value)) is not None:
        return text
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
        return unguard_escapes(orjson.dumps(tree).decode())
    except TypeError:
        raise SerializationError("$", "the value changed while it was written") from None


def _dumps_hooked(value: Any) -> str | None:
    """Write the usual tagged values from orjson's hook, without a walk in Python; None if that is not proven right."""
    encoders = tags.BUILT_IN_ENCODERS
    count = 0

    def tagged(item: Any) -> dict[str, Any]:
        nonlocal count
        count += 1
        kind = type(item)
        if kind in encoders:
            tag, encode = encoders[kind]
            return {TAG: tag, "value": encode(item)}
        if kind not in _HOOKED_SETS or not _ATOMS.issuperset(map(type, item)):
            raise TypeError
        if kind is Map:
            return {TAG: "Map", "value": list(item.items())}
        return {TAG: "Set", "value": [orjson.Fragment(text) for text in sorted(map(orjson.dumps, item))]}

    try:
        raw = orjson.dumps(value, default=tagged, option=_PLAIN)
    except TypeError:
        return None
    # The types of all values, level by level. orjson found no cycle; a class is there for each Map, its instance.
    level = [value]
    while level:
        kinds = set(map(type, level))
        if not kinds <= _HOOKED:
            return None
        if float in kinds and b"null" in raw and not all(isfinite(item) for item in level if type(item) is float):
            return None
        if type in kinds:
            level = [item for item in level if item is not Map]
        level = gc.get_referents(*level)
    # A `__type` that the hook did not write is a key of a dict, and makes it a Map.
    return raw.decode() if raw.count(b'"__type":') == count else None


def _hides_not_finite(raw: bytes, packed: bytes) -> bool:
    if b"null" in raw:
        for end in _PACKED_NOT_FINITE:
            at = packed.find(end)
            while at >= 0:
                if packed[at - 1] >= 0xF0 and at > 7 and packed[at - 8] in _PACKED_FLOAT:
                    return True
                at = packed.find(end, at + 1)
    return False


def _plain_tree(value: Any, *, careful: bool) -> Any:
    """Return the value as orjson writes it. Containers without anything to replace are not copied.

    Depth first with a stack of its own, so that a cycle reaches the depth limit before it fills the memory. The quick
    walk leaves numbers, strings and keys unseen; the careful one refuses or replaces what orjson cannot write of them.
    """
    encoders = tags.registry().encoders
    atoms = _CAREFUL_ATOMS if careful else _ATOMS
    root = [value]
    stack: list[Link] = [(root, 0, None, 0, None)]
    unique: list[tuple[list[Any], bool, Link, Any]] = []
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
            # The first key speaks for all in the quick walk: orjson refuses mixed ones, and the careful walk follows.
            if (
                kind is dict
                and TAG not in item
                and (_STR.issuperset(map(type, item)) if careful else type(next(iter(item), "")) is str)
            ):
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
                raise SerializationError(path(link, key), _refusal(kind))
    for items, is_set, link, key in reversed(unique):  # inner sets come later, and are sorted before the outer ones
        if not _make_unique(items, is_set):
            if not careful:  # it may be None and NaN, which orjson writes alike
                raise ValueError
            raise SerializationError(path(link, key), "different elements or keys would be written alike")
    return root[0]


def _make_unique(items: list[Any], is_set: bool) -> bool:
    """Sort the elements of a set by their text. False where elements, or keys of a map, are written alike."""
    texts = [orjson.dumps(item if is_set else item[0]).decode() for item in items]
    if any(GUARD in text for text in texts):
        texts = [unguard_escapes(text) for text in texts]
    if is_set:
        items[:] = [items[i] for i in sorted(range(len(texts)), key=texts.__getitem__)]
    return len(set(texts)) == len(texts)


def _tagged(tag: str, encode: Any, item: Any, link: Link, key: Any) -> dict[str, Any]:
    try:
        return {TAG: tag, "value": encode(item)}
    except tags.MalformedError as error:
        raise SerializationError(path(link, key), error.reason) from None
    except Exception as error:
        reason = f"the encoder of the tag {tag[:PATH_SEGMENT]!r} failed: {type(error).__name__}"
        raise SerializationError(path(link, key), reason) from error


def _check_tagged_dict(item: dict[Any, Any], link: Link, key: Any) -> None:
    """Refuse what would not come back as a TaggedDict: one without a tag, or with a tag that reading decodes."""
    if not _STR.issuperset(map(type, item)) or TAG not in item:
        raise SerializationError(path(link, key), "a TaggedDict has string keys and a __type: use a dict")
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
    raise SerializationError(path(link, key), f"a TaggedDict with the known tag {tag[:PATH_SEGMENT]!r}: use its type")


def _check_depth(level: int, link: Link, key: Any, item: Any) -> None:
    if level <= MAX_DEPTH:
        return
    seen = {id(item)}
    above: Link | None = link
    while above is not None:
        _, _, above, _, container = above
        if container is not None:
            if id(container) in seen:
                raise SerializationError(path(link, key), "cycle: the value contains itself")
            seen.add(id(container))
    raise SerializationError(path(link, key), f"nesting deeper than MAX_DEPTH ({MAX_DEPTH} levels of JSON)")


def _refusal(kind: type) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}"[:PREVIEW_CHARACTERS]
    return f"{name} is not a type of JSON-plus: convert the value, or register the type"


def _guard(text: str, link: Link, key: Any) -> str:
    if has_pair(text):
        raise SerializationError(path(link, key), "two surrogates that would come back as one character")
    return guard(text)


def _guard_keys(item: dict[str, Any], link: Link, key: Any) -> dict[str, Any]:
    here = (item, 0, link, key, item)
    return {_guard(key, here, key): value for key, value in item.items()}


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
            node.update((unguard(k), unguard(v) if type(v) is str else v) for k, v in items)
            nodes.extend(v for v in node.values() if type(v) in (dict, list))
        else:
            node[:] = [unguard(v) if type(v) is str else v for v in node]
            nodes.extend(v for v in node if type(v) in (dict, list))
    return holder[0]


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
