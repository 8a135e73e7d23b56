"""Sets and maps whose elements hash alike, which Python builds in time with the square of their number.

Hashes of numbers are the same in every process, so that a text can hold any number of elements with one hash: multiples
of 2**61 - 1, UUIDs of them, tuples of those. Only the hashes of text and bytes are secret.

Not caught are different hashes that were chosen so that Python's search for a free place passes most of a dict: tens of
thousands of integers as keys, made with knowledge of CPython's tables (`benchmarks/adversarial.py`). To follow each
search in Python would take honest documents tens of times as long as reading them.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from decimal import Decimal
from itertools import chain
from typing import Any, Final

MAX_ALIKE: Final = 32
"""Elements that may have one hash. Honest ones do: -1 and -2, also in tuples, and every 61st power of two."""

_SECRET: Final = frozenset({str, bytes})


def can_hold(elements: Collection[Hashable]) -> bool:
    """Whether Python makes a set of the elements, or a dict with these keys, in time linear in their size.

    Raises what hashing them raises.
    """
    is_safe = len(elements) < 2 or _SECRET.issuperset(map(type, elements))
    return is_safe or all(map(_is_comparable, _alike(elements)))


def _alike(elements: Collection[Hashable]) -> list[list[Any]]:
    """The elements that share their hash with others."""
    hashes = list(map(hash, elements))
    if len(set(hashes)) == len(hashes):
        return []
    groups: dict[int, list[Any]] = {}
    for value, element in zip(hashes, elements, strict=True):
        groups.setdefault(value, []).append(element)
    return [group for group in groups.values() if len(group) > 1]


def _is_comparable(group: list[Any]) -> bool:
    """Whether each pair may be compared: how often is multiplied where sets within them hold elements alike.

    To compare a Decimal with a float or a long integer takes microseconds to seconds.
    """
    decimals = costly = False
    sets: list[tuple[Collection[Any], int]] = [(group, len(group))]
    for held, times in sets:
        if times > MAX_ALIKE:
            return False
        level = list(held)
        while level:  # what the set holds, what the tuples in it hold, and so on
            kinds = set(map(type, level))
            decimals = decimals or Decimal in kinds
            costly = costly or float in kinds or (int in kinds and any(map(_is_long, level)))
            if frozenset in kinds:
                inner = [item for item in level if type(item) is frozenset]
                sets.extend([(item, times * max(map(len, _alike(item)), default=1)) for item in inner])
            level = list(chain.from_iterable([item for item in level if type(item) is tuple]))
    return not (decimals and costly)


def _is_long(item: Any) -> bool:
    return type(item) is int and item.bit_length() > 64
