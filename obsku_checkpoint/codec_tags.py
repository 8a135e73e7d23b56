"""The tags of JSON-plus: what each value looks like in the text, and the registry of an application's own.

A tag's decoder gets a value whose inner tags are decoded; a malformed one makes it raise :class:`MalformedError`.
"""

from __future__ import annotations

import binascii
import datetime as dt
import re
import threading
import uuid
from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final, NamedTuple, TypeVar

from obsku_checkpoint.errors import ConfigurationError

__all__ = ["MalformedError", "Map", "TaggedDict", "register", "registry", "unregister", "write_big_int", "write_number"]

T = TypeVar("T")

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
    # isoformat() cuts microseconds off, which floors before 1970 too, and writes all years with four digits.
    return value.isoformat("T", "milliseconds")[:23] + "Z"


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
        result = set(_freeze(value))
    except Exception:  # unhashable, or an application's type that cannot be hashed or compared
        return TaggedDict(__type="Set", value=value)
    return result if len(result) == len(value) else TaggedDict(__type="Set", value=value)


def _read_map(value: Any) -> Map | TaggedDict:
    if type(value) is not list or any(type(pair) is not list or len(pair) != 2 for pair in value):
        raise MalformedError("its value is not an array of pairs")
    try:
        result = Map(zip(_freeze([pair[0] for pair in value]), [pair[1] for pair in value], strict=True))
    except Exception:  # as above
        return TaggedDict(__type="Map", value=value)
    return result if len(result) == len(value) else TaggedDict(__type="Map", value=value)


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
_ENCODERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    dt.datetime: ("Date", _write_date),
    bytes: ("Buffer", _write_bytes),
    bytearray: ("Buffer", _write_bytes),
    memoryview: ("Buffer", _write_bytes),
    Decimal: ("Decimal", _DECIMALS.to_sci_string),
    uuid.UUID: ("UUID", str),
}
_NATIVE: Final = frozenset({str, int, float, bool, type(None), dict, list, tuple, set, frozenset, Map, TaggedDict})
_lock: Final = threading.Lock()
_registry = Registry(_ENCODERS, _DECODERS)
