"""What the columns of entities and facts may hold, as `obsku_checkpoint.validation` for the others. Knows no Django."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from obsku_checkpoint import embeddings, validation
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.records import Relationship
from obsku_checkpoint.shapes import check, check_of
from obsku_checkpoint.unset import UNSET

#: steps that relationships are followed at most
MAX_DEPTH = 100


def embedding(field: str, value: Any) -> bytes | None:
    return None if value is None else embeddings.stored(vector(field, value))


def vector(field: str, value: Any) -> list[float]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise InvalidRecordError(field, f"takes a list of numbers, not {type(value).__name__}")
    if not value:
        raise InvalidRecordError(field, "is empty; without a vector it is None")
    if len(value) > embeddings.MAX_DIMENSION:
        raise InvalidRecordError(field, f"has more than {embeddings.MAX_DIMENSION} numbers")
    return [number(f"{field}[{index}]", one) for index, one in enumerate(value)]


def number(field: str, value: Any) -> float:
    """A finite one."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidRecordError(field, f"takes a number, not {type(value).__name__}")
    try:
        as_float = float(value)
    except OverflowError:
        as_float = math.inf
    if not math.isfinite(as_float):
        raise InvalidRecordError(field, "is not a finite number")
    return as_float


def confidence(field: str, value: Any) -> float:
    """The shortest number that is the same as a 32-bit float, which the column holds: 0.7 stays 0.7."""
    given = number(field, value)
    if not 0 <= given <= 1:
        raise InvalidRecordError(field, "must be from 0 to 1")
    real = _real(given)
    return next(short for digits in range(1, 10) if _real(short := float(f"{real:.{digits}g}")) == real)


def _real(value: float) -> float:
    (real,) = struct.unpack("f", struct.pack("f", value))
    return float(real)


def flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRecordError(field, f"takes a bool, not {type(value).__name__}")
    return value


def top_k(value: Any) -> int:
    return validation.integer("top_k", value, low=0)


def depth(value: Any) -> int:
    return validation.integer("depth", value, low=0, high=MAX_DEPTH)


def _attributes(field: str, value: Any) -> str:
    if value is None:
        return "{}"
    check(field, value, _ATTRIBUTES)
    return validation.json_plus(field, value)


def _relationships(field: str, value: Any) -> str:
    if value is None:
        return "[]"
    check(field, value, _RELATIONSHIPS)
    return validation.json_plus(field, value)


def _fact_content(field: str, value: Any) -> str:
    stored = validation.said(field, value, of="fact")
    if stored is None:
        raise InvalidRecordError(field, "takes text, not NoneType")
    return stored


def _id(field: str, value: Any) -> str:
    return new_id() if value is None else validation.key(field, value)


_ENTITY: Mapping[str, Callable[[str, Any], Any]] = {
    "id": _id,
    "workspace_id": validation.optional_key,
    "name": validation.short_text,
    "type": validation.key,
    "attributes": _attributes,
    "relationships": _relationships,
    "embedding": embedding,
}
_FACT: Mapping[str, Callable[[str, Any], Any]] = {
    "id": _id,
    "workspace_id": validation.optional_key,
    "content": _fact_content,
    "confidence": confidence,
    "embedding": embedding,
}
_ATTRIBUTES = check_of(dict[str, Any], {})
_RELATIONSHIPS = check_of(list[Relationship], validation.SCALARS)


def entity(**given: Any) -> dict[str, Any]:
    """What the columns of a new entity store, but for its session and times. ``id=None`` makes one."""
    return {name: column(name, given[name]) for name, column in _ENTITY.items()}


def entity_changes(**given: Any) -> dict[str, Any]:
    """The columns of an entity that are to be changed: those that are not `UNSET`."""
    return {name: _ENTITY[name](name, value) for name, value in given.items() if value is not UNSET}


def fact(**given: Any) -> dict[str, Any]:
    """What the columns of a new fact store, but for its session and time. ``id=None`` makes one."""
    return {name: column(name, given[name]) for name, column in _FACT.items()}
