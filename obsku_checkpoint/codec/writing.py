"""Values become JSON-plus text."""

from __future__ import annotations

import gc
import marshal
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any, Final

import orjson

from obsku_checkpoint.codec import digits, hashes, tags
from obsku_checkpoint.codec.paths import SEGMENT, Link, path
from obsku_checkpoint.codec.surrogates import guard, has_pair, unguard_escapes
from obsku_checkpoint.codec.tags import TAG, Map, TaggedDict
from obsku_checkpoint.errors import PREVIEW_CHARACTERS, SerializationError

MAX_DEPTH: Final = 254
"""Levels of arrays and objects in a text that is written: orjson's limit. A map takes three levels."""

_PLAIN: Final = (
    orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_STRICT_INTEGER
)

#: how marshal marks a float (the second form can be referred to), and the last bytes of those that are not finite
_PACKED_FLOAT, _PACKED_NOT_FINITE = b"g\xe7", (b"\x7f", b"\xff")

#: keys that a JavaScript object does not keep as they are: a dict that has one is written as a Map
_MAP_KEYS: Final = frozenset({TAG, "__proto__"})

_STR: Final = frozenset({str})
_NUMBERS: Final = frozenset({int, float})
_LEAVES: Final = frozenset({str, bool, type(None)})
_ATOMS: Final = _LEAVES | _NUMBERS
_HOOKED_SETS: Final = frozenset({set, frozenset, Map})
_HOOKED: Final = _ATOMS | _HOOKED_SETS | {dict, list, tuple, type} | tags.BUILT_IN_ENCODERS.keys()


_TOO_LONG: Final = f"integers of more than {digits.MAX_DIGITS} digits in sum"


def dumps(value: Any) -> str:
    """Write a value as JSON-plus text; :class:`SerializationError` names the path of what cannot be written."""
    try:
        raw = orjson.dumps(value, option=_PLAIN)
        # orjson also writes enums, UUIDs and NaN, each without a sign that it did. marshal takes nothing but
        # exact built-in types, at the speed of C, so its success proves that the text is the whole value.
        packed = marshal.dumps(value, 4)
    except (TypeError, ValueError):
        return _dumps_tagged(value)
    # A single character is found at once; most texts have no underscore.
    if (b"_" in raw and (b"__type" in raw or b"__proto__" in raw)) or _hides_not_finite(raw, packed):
        return _dumps_tagged(value)
    del packed  # of a large value it is a third of the memory
    return raw.decode()


def _hides_not_finite(raw: bytes, packed: bytes) -> bool:
    if b"null" in raw:
        for end in _PACKED_NOT_FINITE:
            at = packed.find(end)
            while at >= 0:
                if packed[at - 1] >= 0xF0 and at > 7 and packed[at - 8] in _PACKED_FLOAT:
                    return True
                at = packed.find(end, at + 1)
    return False


def _dumps_tagged(value: Any) -> str:
    """Write a value that holds tags, or something to refuse."""
    text = _dumps_hooked(value)
    return _dumps_walked(value) if text is None else text


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
        value = list(item.items()) if kind is Map else sorted(item, key=_text)
        if not _can_hold(item if kind is Map else value):
            raise TypeError
        return {TAG: "Map" if kind is Map else "Set", "value": value}

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
    return raw.decode() if raw.count(b'"__type":') == count and b'"__proto__":' not in raw else None


def _dumps_walked(value: Any) -> str:
    for guarded in (False, True):
        try:
            text = orjson.dumps(_Walk(guarded=guarded).tree(value), option=_PLAIN).decode()
        except TypeError:  # of a lone surrogate
            continue
        return unguard_escapes(text) if guarded else text
    raise SerializationError("$", "the value changed while it was written")


class _Walk:
    """Makes the tree that orjson writes. Containers without anything to replace are not copied.

    Depth first with a stack of its own, so that a cycle reaches the depth limit before it fills the memory. A guarded
    walk also looks at strings, for lone surrogates.
    """

    def __init__(self, *, guarded: bool) -> None:
        self.guarded = guarded
        self.encoders = tags.registry().encoders
        self.leaves = _LEAVES - _STR if guarded else _LEAVES
        self.stack: list[Link] = []
        #: sets, and maps whose keys may be written alike: what is written of them, a set's elements, where it is
        self.unique: list[tuple[list[Any], list[Any] | None, Link, Any]] = []
        #: integers that are counted, and objects that look like one: (digits, whether it is an object, where it is)
        self.big: list[tuple[int, bool, Link, Any]] = []
        self.digits = 0

    def tree(self, value: Any) -> Any:
        root = [value]
        self.stack.append((root, 0, None, 0, None))
        while self.stack:
            link = self.stack.pop()
            node = link[0]
            # Replacing the value of an existing key is allowed while iterating; `node` is a copy of our own.
            entries: Iterable[tuple[Any, Any]] = node.items() if type(node) is dict else enumerate(node)
            for key, item in entries:
                if type(item) not in self.leaves:
                    self.replace(link, key, item)
        self.check_big()
        for items, held, link, key in reversed(self.unique):  # inner sets come later, and are sorted first
            if not _make_unique(items, held, self.guarded):
                raise SerializationError(path(link, key), "different elements or keys would be written alike")
            if held is not None:
                self.check_hashes(held, link, key)
        return root[0]

    def replace(self, link: Link, key: Any, item: Any) -> None:
        """Put what is written for an item into its container, which is our own."""
        node, level, _, _, _ = link
        kind = type(item)
        if kind is int:
            if not -digits.SAFE <= item <= digits.SAFE:
                _check_depth(level + 1, link, key, item)
                node[key] = {TAG: "BigInt", "value": self.big_int(item, link, key)}
        elif kind is float:
            if not isfinite(item):
                _check_depth(level + 1, link, key, item)
                node[key] = {TAG: "Number", "value": tags.write_number(item)}
        elif kind is str:
            node[key] = _guard(item, link, key)
        elif kind is list or kind is tuple:
            _check_depth(level + 1, link, key, item)
            if self.has_more(item):
                node[key] = elements = list(item)
                self.stack.append((elements, level + 1, link, key, item))
        elif kind is dict and _STR.issuperset(map(type, item)) and _MAP_KEYS.isdisjoint(item):
            _check_depth(level + 1, link, key, item)
            if self.guarded or self.has_more(item.values()):
                node[key] = child = _guard_keys(item, link, key) if self.guarded else item.copy()
                self.stack.append((child, level + 1, link, key, item))
        elif kind is dict or kind is Map or (kind is TaggedDict and "__proto__" in item):
            _check_depth(level + (3 if item else 2), link, key, item)
            pairs = [[k, v] for k, v in item.items()]
            node[key] = {TAG: "Map", "value": pairs}
            if self.has_more(item) or self.has_more(item.values()):
                here = (pairs, level + 2, link, key, item)
                self.stack.extend([(pair, level + 3, here, i, None) for i, pair in enumerate(pairs)])
            self.check_hashes(item, link, key)
            if not _ATOMS.issuperset(map(type, item)):
                self.unique.append((pairs, None, link, key))
        elif kind is set or kind is frozenset:
            _check_depth(level + 2, link, key, item)
            elements = list(item)
            node[key] = {TAG: "Set", "value": elements}
            if self.has_more(item):
                self.stack.append((elements, level + 2, link, key, item))
            if len(elements) > 1:
                self.unique.append((elements, list(item), link, key))
            else:
                self.check_hashes(elements, link, key)
        elif kind is TaggedDict:
            _check_depth(level + 1, link, key, item)
            self.check_tagged_dict(item, link, key)
            node[key] = child = _guard_keys(item, link, key) if self.guarded else dict(item)
            self.stack.append((child, level + 1, link, key, item))
        elif kind in self.encoders:
            _check_depth(level + 1, link, key, item)
            tag, encode = self.encoders[kind]
            node[key] = child = {TAG: tag, "value": _encoded(tag, encode, item, link, key)}
            if type(child["value"]) not in self.leaves:
                self.stack.append((child, level + 1, link, key, item))
        else:
            raise SerializationError(path(link, key), _refusal(kind))

    def has_more(self, values: Iterable[Any]) -> bool:
        """Whether there may be anything to replace among the values of a list or a dict."""
        kinds = set(map(type, values))
        if kinds <= self.leaves:
            return False
        return not (kinds <= self.leaves | _NUMBERS and all(map(_is_plain, values)))

    def check_hashes(self, item: Any, link: Link, key: Any) -> None:
        if not _can_hold(item):
            reason = (
                f"an element or key has more than {hashes.MAX_LEVELS} levels or {hashes.MAX_ITEMS} items, or more than"
                f" {hashes.MAX_ALIKE} of them hash alike, or a Decimal and another number do, or long tuples, or Python"
                " searches its tables for too long"
            )
            raise SerializationError(path(link, key), reason)

    def check_tagged_dict(self, item: dict[Any, Any], link: Link, key: Any) -> None:
        """Refuse what would not come back as a TaggedDict: one without a tag, or with a tag that reading decodes."""
        if not _STR.issuperset(map(type, item)) or TAG not in item:
            raise SerializationError(path(link, key), "a TaggedDict has string keys and a __type: use a dict")
        tag, decoders = item[TAG], tags.registry().decoders
        if type(tag) is not str or tag not in decoders:
            return
        if not tags.has_shape(item):
            if tag not in tags.SHARED:
                return
        elif tag == "BigInt" and type(item["value"]) is str and digits.is_integer(item["value"]):
            self.big.append((digits.count(item["value"]), True, link, key))
            return
        elif tag in tags.BUILT_IN_TAGS:
            try:
                decoders[tag](item["value"])
            except tags.ForeignError:
                return
            except tags.MalformedError:
                pass
        raise SerializationError(path(link, key), _known_tag(tag))

    def big_int(self, number: int, link: Link, key: Any) -> str:
        # No more digits than it has, for those that are far too long to convert.
        if number.bit_length() * 3 // 10 <= digits.UNCOUNTED + digits.MAX_DIGITS - self.digits:
            text = digits.write(number)
            if count := digits.count(text):
                self.digits += count
                self.big.append((count, False, link, key))
            if self.digits <= digits.MAX_DIGITS:
                return text
        raise SerializationError(path(link, key), _TOO_LONG)

    def check_big(self) -> None:
        longest = digits.longest(count for count, _, _, _ in self.big)
        for count, is_tagged, link, key in self.big:
            if is_tagged == (count <= longest):
                raise SerializationError(path(link, key), _known_tag("BigInt") if is_tagged else _TOO_LONG)


def _text(item: Any) -> bytes:
    """A copy of what orjson writes: each of its own keeps a kilobyte or more from other use."""
    return memoryview(orjson.dumps(item, option=_PLAIN)).tobytes()


def _can_hold(item: Any) -> bool:
    """Whether a map, or a set of the elements in this order of their texts, is read as what it is."""
    return hashes.is_small(item) and hashes.can_hold(item, keys=isinstance(item, dict))


def _known_tag(tag: str) -> str:
    return f"a TaggedDict with the known tag {tag[:SEGMENT]!r}: use its type"


def _is_plain(value: Any) -> bool:
    """Whether an atom is written as it is."""
    kind = type(value)
    return -digits.SAFE <= value <= digits.SAFE if kind is int else kind is not float or isfinite(value)


def _make_unique(items: list[Any], held: list[Any] | None, guarded: bool) -> bool:
    """Sort what is written of a set by its text, and its elements. False where these, or keys, are written alike.

    They become their text, so that no level of sets within sets is written once more for each level around it.
    """
    written = [_text(item[0] if held is None else item) for item in items]
    fragments = list(map(orjson.Fragment, written))
    # UTF-8 sorts as the characters do.
    texts: list[Any] = [unguard_escapes(text.decode()) for text in written] if guarded else written
    if held is None:
        for pair, fragment in zip(items, fragments, strict=True):
            pair[0] = fragment
    else:
        order = sorted(range(len(texts)), key=texts.__getitem__)
        items[:] = [fragments[index] for index in order]
        held[:] = [held[index] for index in order]
    return len(set(texts)) == len(texts)


def _encoded(tag: str, encode: Callable[[Any], Any], item: Any, link: Link, key: Any) -> Any:
    try:
        return encode(item)
    except tags.MalformedError as error:
        raise SerializationError(path(link, key), error.reason) from None
    except Exception as error:
        reason = f"the encoder of the tag {tag[:SEGMENT]!r} failed: {type(error).__name__}"
        raise SerializationError(path(link, key), reason) from error


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
