"""The tags of JSON-plus: what each value looks like in the text, and the registry of an application's own.

A tag's decoder gets a value whose inner tags are decoded; a malformed one makes it raise :class:`MalformedError`.
"""

from __future__ import annotations

import binascii
import datetime as dt
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterable
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

import orjson

from obsku_checkpoint.codec.surrogates import unguard
from obsku_checkpoint.errors import CheckpointCorruptionError, ConfigurationError

__all__ = ["MalformedError", "Map", "TaggedDict", "register", "registry", "unregister", "write_big_int", "write_number"]

T = TypeVar("T")

TAG: Final = "__type"


PATH_SEGMENT: Final = 40
_PATH_SEGMENTS: Final = 12
# Where a walk is: (container, its level, link of its parent, key in it, the container as the caller gave it).
Link = tuple[Any, int, Any, Any, Any]

MAX_BIG_INT_BITS: Final = 65_536
"""Converting to decimal takes time with the square of the length: this many bits are written in milliseconds."""

_BIG_INT: Final = re.compile(r"0|-?[1-9][0-9]{0,19999}")
_DECIMAL: Final = re.compile(r"[-+0-9.eEA-Za-z]+")
# A context of our own, because the caller's may not trap bad syntax, or write small exponents.
_DECIMALS: Final = Context(prec=1, traps=[InvalidOperation], capitals=1)


class MalformedError(ValueError):
    """A tag's value cannot be written or read; ``reason`` shows nothing of the value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Map(dict[Any, Any]):
    """A dict that was, and will be, written as a ``Map``, whatever its keys are."""

    __slots__ = ()


class TaggedDict(dict[str, Any]):
    """A plain object with a ``__type`` that stands for nothing here; written as the same plain object.

    Also what a ``Set`` or ``Map`` is read as if Python cannot represent it: with an object as an element or key, or
    with elements that are equal in Python only, such as 1 and true.
    """

    __slots__ = ()


class Registry(NamedTuple):
    """The tags in use. Replaced as a whole, never changed, so that readers need no lock."""

    encoders: dict[type, tuple[str, Callable[[Any], Any]]]
    decoders: dict[str, Callable[[Any], Any]]


def registry() -> Registry:
    """Return the tags in use now."""
    return _registry


def register(type: type[T], tag: str, encode: Callable[[T], Any], decode: Callable[[Any], T]) -> None:
    """Write values of exactly this type under a tag: ``encode`` gives any JSON-plus value, ``decode`` takes it back.

    ``decode`` gets tuples as lists; if values are to be elements of sets or keys, it makes something hashable of them.
    :class:`ConfigurationError` if the type is one of JSON-plus, or the type or the tag is registered.
    """
    global _registry
    if not isinstance(tag, str) or not tag:
        raise ConfigurationError("a tag must be a string that is not empty")
    with _lock:
        encoders, decoders = _registry
        if type in encoders or type in _NATIVE:
            raise ConfigurationError(f"{type.__qualname__} is a type of JSON-plus, or registered already")
        if tag in decoders:
            raise ConfigurationError(f"the tag {tag!r} is in use")
        _registry = Registry({**encoders, type: (tag, encode)}, {**decoders, tag: decode})


def unregister(tag: str) -> None:
    """Undo :func:`register`. :class:`ConfigurationError` if the application registered no such tag."""
    global _registry
    with _lock:
        if tag in _DECODERS or tag not in _registry.decoders:
            raise ConfigurationError(f"the tag {tag!r} is not registered")
        _registry = Registry(
            {type: entry for type, entry in _registry.encoders.items() if entry[0] != tag},
            {name: decode for name, decode in _registry.decoders.items() if name != tag},
        )


def write_number(value: float) -> str:
    """Name a float that JSON has no number for, as JavaScript does."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def write_big_int(value: int) -> str:
    """Write decimal digits. By way of Decimal, because int() and str() refuse more than 4300 digits."""
    if value.bit_length() > MAX_BIG_INT_BITS:
        raise MalformedError(f"an integer of more than {MAX_BIG_INT_BITS} bits")
    return str(Decimal(value))


def _write_date(value: dt.datetime) -> str:
    if value.tzinfo is not dt.UTC:
        if value.utcoffset() is None:
            raise MalformedError("naive datetime: give it a time zone")
        try:
            value = value.astimezone(dt.UTC)
        except OverflowError:
            raise MalformedError("a time outside the years 1 to 9999 in UTC") from None
    # Cutting microseconds off floors before 1970 too. orjson is several times as fast here as isoformat().
    return f"{orjson.dumps(value)[1:20].decode()}.{value.microsecond // 1000:03d}Z"


def _write_bytes(value: bytes | bytearray | memoryview) -> str:
    return binascii.b2a_base64(bytes(value), newline=False).decode()


def _text(value: Any) -> str:
    if type(value) is not str:
        raise MalformedError("its value is not a string")
    return value


def _read_date(value: Any) -> dt.datetime:
    try:
        time = dt.datetime.fromisoformat(_text(value))
        if time.tzinfo is dt.UTC:
            return time
        if time.tzinfo is not None:
            return time.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise MalformedError("not an ISO 8601 time with an offset, in the years 1 to 9999")


def _read_bytes(value: Any) -> bytes:
    text = _text(value)
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise MalformedError("not base64") from None
    # The decoder lets bits of the last character pass that encode nothing.
    if binascii.b2a_base64(data, newline=False) != text.encode():
        raise MalformedError("not base64")
    return data


def _read_number(value: Any) -> float:
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    raise MalformedError("not NaN, Infinity or -Infinity")


def _read_big_int(value: Any) -> int:
    if not _BIG_INT.fullmatch(_text(value)) or (number := int(Decimal(value))).bit_length() > MAX_BIG_INT_BITS:
        raise MalformedError(f"not an integer in decimal digits, of at most {MAX_BIG_INT_BITS} bits")
    return number


def _read_decimal(value: Any) -> Decimal:
    try:
        if _DECIMAL.fullmatch(_text(value)):
            return Decimal(value, _DECIMALS)
    except InvalidOperation:
        pass
    raise MalformedError("not a decimal number")


def _read_uuid(value: Any) -> uuid.UUID:
    text = _text(value)
    try:
        result = uuid.UUID(text)
    except ValueError:
        raise MalformedError("not a UUID") from None
    if str(result) != text.lower():
        raise MalformedError("not a UUID")
    return result


def _read_set(value: Any) -> set[Any] | TaggedDict:
    if type(value) is not list:
        raise MalformedError("its value is not an array")
    try:
        result = set(_freeze(value) if _HOLD_MORE.intersection(map(type, value)) else value)
    except Exception:  # noqa: BLE001 - unhashable, or an application's type fails to hash or compare
        return TaggedDict(__type="Set", value=value)
    return result if len(result) == len(value) else TaggedDict(__type="Set", value=value)


def _read_map(value: Any) -> Map | TaggedDict:
    if type(value) is not list or any(type(pair) is not list or len(pair) != 2 for pair in value):
        raise MalformedError("its value is not an array of pairs")
    try:
        result = Map(zip(_freeze([pair[0] for pair in value]), [pair[1] for pair in value], strict=True))
    except Exception:  # noqa: BLE001 - as above
        return TaggedDict(__type="Map", value=value)
    return result if len(result) == len(value) else TaggedDict(__type="Map", value=value)


_CONTAINERS: Final = frozenset({list, dict})
_HOLD_MORE: Final = frozenset({list, set})


def _freeze(values: list[Any]) -> tuple[Any, ...]:
    """Return a copy with tuples for lists and frozensets for sets, at every level; the given lists stay as they are."""
    nodes: list[Any] = [values]
    for node in nodes:
        nodes.extend(item for item in node if type(item) is list)
    frozen: dict[int, tuple[Any, ...]] = {}
    for node in reversed(nodes):  # inner lists come later
        frozen[id(node)] = tuple(
            frozen[id(item)] if type(item) is list else frozenset(item) if type(item) is set else item for item in node
        )
    return frozen[id(values)]


_DECODERS: Final[dict[str, Callable[[Any], Any]]] = {
    "Date": _read_date,
    "Set": _read_set,
    "Buffer": _read_bytes,
    "Map": _read_map,
    "Number": _read_number,
    "BigInt": _read_big_int,
    "Decimal": _read_decimal,
    "UUID": _read_uuid,
}
BUILT_IN_ENCODERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    dt.datetime: ("Date", _write_date),
    bytes: ("Buffer", _write_bytes),
    bytearray: ("Buffer", _write_bytes),
    memoryview: ("Buffer", _write_bytes),
    Decimal: ("Decimal", _DECIMALS.to_sci_string),
    uuid.UUID: ("UUID", str),
}
_NATIVE: Final = frozenset({str, int, float, bool, type(None), dict, list, tuple, set, frozenset, Map, TaggedDict})
_lock: Final = threading.Lock()
_registry = Registry(BUILT_IN_ENCODERS, _DECODERS)


def decode(tree: Any) -> Any:
    """Replace the tagged objects of a parsed text, inner ones first."""
    decoders = _registry.decoders
    root = [tree]
    nodes: list[Any] = [root]
    found: list[tuple[Any, Any, dict[str, Any]]] = []
    for node in nodes:
        entries: Iterable[tuple[Any, Any]] = node.items() if type(node) is dict else enumerate(node)
        for key, item in entries:
            kind = type(item)
            if kind is str:
                continue
            if kind is list:
                if not _CONTAINERS.isdisjoint(map(type, item)):
                    nodes.append(item)
            elif kind is dict:
                if TAG not in item:
                    nodes.append(item)
                elif len(item) == 2 and type(item.get("value")) is str and type(item[TAG]) is str:
                    # The most frequent ones, with nothing inside.
                    node[key] = _untag(item, decoders, root)
                else:
                    nodes.append(item)
                    found.append((node, key, item))
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
    except MalformedError as error:
        _refuse_tag(root, item, error.reason, None)
    except Exception as error:  # noqa: BLE001 - whatever an application's decoder raises
        _refuse_tag(root, item, f"its decoder failed: {type(error).__name__}", error)


def _refuse_tag(root: list[Any], item: dict[str, Any], reason: str, cause: Exception | None) -> NoReturn:
    """Raise for a tagged object, whose ancestors are all still as they were parsed."""
    value = item.get("value")
    preview = value if type(value) is str else type(value).__name__
    stack: list[Link] = [(root, 0, None, 0, None)]
    while True:
        link = stack.pop()
        node = link[0]
        for key, child in node.items() if type(node) is dict else enumerate(node):
            if child is item:
                where = path(link, key)
                raise CheckpointCorruptionError(where, f"{item[TAG][:PATH_SEGMENT]}: {reason}", preview) from cause
            if type(child) in (dict, list):
                stack.append((child, 0, link, key, None))


def path(link: Link, key: Any) -> str:
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
    key = unguard(key)
    plain = key.isidentifier()
    if len(key) > PATH_SEGMENT:
        key = key[:PATH_SEGMENT] + "…"
    return f".{key}" if plain else f"[{json.dumps(key, ensure_ascii=not key.isprintable())}]"
