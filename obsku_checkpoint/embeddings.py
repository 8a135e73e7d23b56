"""Vectors, as both sides store them: the UTF-8 bytes of a JSON array of numbers. Knows no Django."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, Protocol

import orjson

#: numbers of a vector at most: as many as pgvector stores
MAX_DIMENSION = 16_000
#: a direction's numbers below this count as 0, so that no product of two is too small for a database's arithmetic
NEGLIGIBLE = 1e-100


class Embedder(Protocol):
    """What makes vectors of texts; none comes with this package."""

    def embed(self, texts: Sequence[str], /) -> list[list[float]]:
        """A vector for each of the texts, all of one dimension. It may raise what it likes."""
        ...


def stored(vector: Sequence[float]) -> bytes:
    return orjson.dumps(vector)


def loaded(stored: Any) -> list[float] | None:
    """The vector of a column's value; None where that holds no vector, or nothing that can be read as one."""
    if stored is None:
        return None
    try:
        vector = orjson.loads(stored)
    except (orjson.JSONDecodeError, TypeError):
        return None
    if not isinstance(vector, list) or not vector or not {*map(type, vector)} <= {int, float}:
        return None
    try:
        floats = [*map(float, vector)]
    except OverflowError:
        return None
    return floats if all(map(math.isfinite, floats)) else None


def cosine(direction: Sequence[float], vector: Sequence[float]) -> float:
    """Of a `direction` and a vector of any length; 0 where either has none."""
    length = math.hypot(*vector)
    if not length:
        return 0.0
    if length < NEGLIGIBLE:
        vector, length = [number / length for number in vector], 1.0
    dot: float = sum(map(operator.mul, direction, vector))
    return dot / length


def direction(vector: Sequence[float]) -> list[float]:
    """The vector of the same direction whose length is 1; zeros where it has none."""
    largest = max(map(abs, vector))
    if not largest:
        return [0.0] * len(vector)
    scaled = [number / largest for number in vector]
    length = math.sqrt(math.fsum(number * number for number in scaled))
    return [number / length if abs(number) > NEGLIGIBLE else 0.0 for number in scaled]
