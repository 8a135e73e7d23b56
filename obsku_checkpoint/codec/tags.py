"""The tags of JSON-plus: what each value looks like in the text, and the registry of an application's own.

A tag's decoder gets a value whose inner tags are decoded. It raises :class:`ForeignError` where the object may be
another program's, which stays as it is, and :class:`MalformedError` where it can only be a damaged one.
"""

from __future__ import annotations

import binascii
import datetime as dt
import functools
import re
import threading
import uuid
from collections.abc import Callable, Collection, Sequence, Sized
from decimal import Context, Decimal, InvalidOperation
from itertools import chain
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from obsku_checkpoint.codec import digits, garbage, hashes
from obsku_checkpoint.errors import ConfigurationError

T = TypeVar("T")
C = TypeVar("C", bound=Sized)

TAG: Final = "__type"
SHARED: Final = frozenset({"Date", "Set", "Buffer", "Map"})
"""The tags that the npm package writes, too; what has another one may be an object of a TypeScript program."""

_JAVASCRIPT_DATE: Final = re.compile(r"([+-][0-9]{6}|[0-9]{4})(-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z)")
#: each NaN is the same object, so that two of them are found to be equal in a set, wherever they are in its elements
_NUMBERS: Final = {text: float(text) for text in ("NaN", "Infinity", "-Infinity")}
_DECIMAL: Final = re.compile(r"[-+0-9.eEA-Za-z]+")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# A context of our own, because the caller's may not trap bad syntax, or write small exponents.
_DECIMALS: Final = Context(prec=1, traps=[InvalidOperation], capitals=1)


class MalformedError(ValueError):
    """A tag's value cannot be written or read; ``reason`` shows nothing of the value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ForeignError(MalformedError):
    """A tagged object that may be another program's, or that Python cannot represent: it stays a plain object."""


class Map(dict[Any, Any]):
    """A dict that was, and will be, written as a ``Map``, whatever its keys are."""

    __slots__ = ()


class TaggedDict(dict[str, Any]):
    """A plain object with a ``__type`` that stands for nothing here; written as the same plain object.

    With the key ``__proto__``, which JavaScript drops from a plain object, it is written as a `Map`, and is one then.

    Also what is read if Python cannot represent it: a ``Set`` or ``Map`` with an object as an element or key, with
    elements that are equal in Python only, such as 1 and true, or that take Python too long (:mod:`codec.hashes`); a
    ``Date`` outside the years 1 to 9999; a ``BigInt`` too long to convert; and an object that only looks like a
    ``Number``, ``BigInt``, ``Decimal`` or ``UUID``.
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


def has_shape(item: dict[Any, Any]) -> bool:
    """Whether an object has exactly a tag and a value."""
    return len(item) == 2 and "value" in item


def _read_date(value: Any) -> dt.datetime:
    if type(value) is str:
        try:
            time = dt.datetime.fromisoformat(value)
            if time.tzinfo is dt.UTC:
                return time
            if time.tzinfo is not None:
                return time.astimezone(dt.UTC)
        except ValueError:
            if _is_of_another_age(value):
                raise ForeignError("outside the years 1 to 9999") from None
        except OverflowError:
            raise ForeignError("outside the years 1 to 9999 in UTC") from None
    raise MalformedError("not an ISO 8601 time with an offset")


def _is_of_another_age(text: str) -> bool:
    """Whether the text is a date as JavaScript writes those that Python does not have."""
    if not (match := _JAVASCRIPT_DATE.fullmatch(text)) or 1 <= (year := int(match[1])) <= 9999:
        return False
    try:
        dt.datetime.fromisoformat(f"{2000 + year % 400}{match[2]}")  # a year with the same days
    except ValueError:
        return False
    return True


def _read_bytes(value: Any) -> bytes:
    if type(value) is not str:
        raise MalformedError("its value is not a string")
    try:
        data = binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise MalformedError("not base64") from None
    # The decoder lets bits of the last character pass that encode nothing.
    if binascii.b2a_base64(data, newline=False) != value.encode():
        raise MalformedError("not base64")
    return data


def _read_number(value: Any) -> float:
    if type(value) is str and value in _NUMBERS:
        return _NUMBERS[value]
    raise ForeignError("not NaN, Infinity or -Infinity")


def _read_big_int(value: Any) -> int:
    if type(value) is str and digits.is_integer(value):
        return digits.read(value)
    raise ForeignError("not an integer in decimal digits")


def _read_decimal(value: Any) -> Decimal:
    try:
        if type(value) is str and _DECIMAL.fullmatch(value):
            return _nan(value) if "n" in value.lower() else Decimal(value, _DECIMALS)
    except InvalidOperation:
        pass
    raise ForeignError("not a decimal number")


@functools.lru_cache(maxsize=256)
def _nan(text: str) -> Decimal:
    """One object for one text, as in `_NUMBERS`."""
    return Decimal(text, _DECIMALS)


def _read_uuid(value: Any) -> uuid.UUID:
    if type(value) is str and _UUID.fullmatch(value):
        return uuid.UUID(int=int(value.replace("-", ""), 16))
    raise ForeignError("not a UUID")


def _read_set(value: Any) -> set[Any]:
    if type(value) is not list:
        raise MalformedError("its value is not an array")
    return _hashed(value, set, keys=False) if value else set()


def _read_map(value: Any) -> Map:
    if not value and type(value) is list:
        return Map()
    if type(value) is not list or set(map(type, value)) != {list} or set(map(len, value)) != {2}:
        raise MalformedError("its value is not an array of pairs")
    keys, values = zip(*value, strict=True)
    return _hashed(keys, lambda keys: Map(zip(keys, values, strict=True)), keys=True)


_HOLD_MORE: Final = frozenset({list, set})
_UNHASHABLE: Final[tuple[Any, ...]] = (dict, Map, TaggedDict)


def _hashed(values: Sequence[Any], build: Callable[[Collection[Any]], C], *, keys: bool) -> C:
    """Build a set of the values, or a map with these keys, where Python can hold it and none of them is lost."""
    kinds = set(map(type, values))
    if not kinds.isdisjoint(_UNHASHABLE):
        raise ForeignError("some are objects")
    elements: Collection[Any] = values
    if not _HOLD_MORE.isdisjoint(kinds):
        if not hashes.is_small(values):
            raise ForeignError("some are nested too deep, or too long")
        elements = _frozen(values)
    try:
        if hashes.can_hold(elements, keys=keys) and len(result := build(elements)) == len(values):
            return result
    except Exception as error:
        raise ForeignError("some cannot be hashed, or an application's type fails to compare") from error
    raise ForeignError("some are equal, or too many hash alike")


def _frozen(values: Collection[Any]) -> tuple[Any, ...]:
    """Return a copy with tuples for lists and frozensets for sets, at every level (`hashes.MAX_LEVELS`)."""
    if set(map(type, values)) == {set}:
        return garbage.put_off(tuple, map(frozenset, values))
    lists = [v for v in values if type(v) is list]
    if not _HOLD_MORE.isdisjoint(map(type, chain.from_iterable(lists))):
        return tuple([_frozen(v) if type(v) is list else frozenset(v) if type(v) is set else v for v in values])
    if len(lists) == len(values):
        return tuple(map(tuple, lists))
    return tuple([tuple(v) if type(v) is list else frozenset(v) if type(v) is set else v for v in values])


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
BUILT_IN_TAGS: Final = frozenset(_DECODERS)
_NATIVE: Final = frozenset({str, int, float, bool, type(None), dict, list, tuple, set, frozenset, Map, TaggedDict})
_lock: Final = threading.Lock()
_registry = Registry(BUILT_IN_ENCODERS, _DECODERS)
