"""Sets and maps whose elements hash alike, which Python builds in time with the square of their number.

Hashes of numbers are the same in every process, so that a text can hold any number of elements with one hash: multiples
of 2**61 - 1, UUIDs of them, tuples of those; or of hashes whose searches for a free place pass most of a table
(:mod:`codec.tables`). Only the hashes of text and bytes are secret.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from decimal import Decimal
from itertools import chain, groupby
from secrets import randbits
from typing import Any, Final

from obsku_checkpoint.codec import tables

MAX_ALIKE: Final = 32
"""Elements that may have one hash. Honest ones do: -1 and -2, also in tuples, and every 61st power of two."""

MAX_LEVELS: Final = 5
"""Tuples and sets within each other that an element may be: Python hashes each anew with all that is in it."""

MAX_ITEMS: Final = 1000
"""Items that each of these may have."""

#: the same as `MAX_ALIKE` for tuples of more items, which are compared item by item
_FEW_ALIKE: Final = 8
_ITEMS: Final = 16

_MODULUS: Final = 2**61 - 1
_FACTOR: Final = randbits(60) | 1
_SECRET: Final = frozenset({str, bytes})
#: lists and sets are what tuples and frozensets are in the text
_HOLD_MORE: Final = frozenset({tuple, frozenset, list, set})


def is_small(elements: Iterable[Any]) -> bool:
    """Whether all elements are within `MAX_LEVELS` and `MAX_ITEMS`."""
    level = elements
    for _ in range(MAX_LEVELS):
        kinds = set(map(type, level))
        if kinds.isdisjoint(_HOLD_MORE):
            return True
        inner: Iterable[Any] = level if kinds <= _HOLD_MORE else [item for item in level if type(item) in _HOLD_MORE]
        if max(map(len, inner)) > MAX_ITEMS:
            return False
        level = list(chain.from_iterable(inner))
    return _HOLD_MORE.isdisjoint(map(type, level))


def can_hold(elements: Collection[Hashable], *, keys: bool) -> bool:
    """Whether Python makes a set of the elements, or a dict of these keys, in this order in time linear in their size.

    Raises what hashing them raises.
    """
    if len(elements) < 2 or _SECRET.issuperset(map(type, elements)):
        return True
    hashes = list(map(hash, elements))
    is_range = hashes[-1] - hashes[0] == len(hashes) - 1 and hashes == list(range(hashes[0], hashes[-1] + 1))
    if is_range:
        return True
    unique: Callable[[Iterable[int]], Collection[int]] = dict.fromkeys if keys else set
    if len(hashes) <= tables.SMALL:
        distinct = unique(hashes)
    elif len(set(hashes[: tables.SMALL])) * MAX_ALIKE < tables.SMALL:
        return False  # already of the first ones some are alike too often
    elif not (tables.fits_dict if keys else tables.fits_set)(hashes):
        return False
    elif max(hashes) < _MODULUS and min(hashes) > -_MODULUS:
        distinct = unique(hashes)  # which are their own hashes, so that they are searched for as the elements are
    else:
        # Products with a number that nobody knows are spread over a set's table, whatever is multiplied.
        distinct = set(map(_FACTOR.__mul__, hashes))
    if len(distinct) == len(hashes):
        return True
    return all(_is_comparable(group) for group in _alike(elements) if len(group) > 1)


def _alike(elements: Collection[Hashable]) -> list[list[Any]]:
    return [list(group) for _, group in groupby(sorted(elements, key=hash), key=hash)]


def _is_comparable(group: list[Any]) -> bool:
    """Whether each pair may be compared: how often is multiplied where sets within them hold elements alike.

    To compare a Decimal with a float or a long integer takes microseconds to seconds.
    """
    decimals = costly = False
    sets: list[tuple[Collection[Any], int]] = [(group, len(group))]
    for held, times in sets:
        if times > MAX_ALIKE:
            return False
        level, items = list(held), 0
        while level:  # what the set holds, what the tuples in it hold, and so on
            kinds = set(map(type, level))
            decimals = decimals or Decimal in kinds
            costly = costly or float in kinds or (int in kinds and any(map(_is_long, level)))
            if frozenset in kinds:
                inner = [item for item in level if type(item) is frozenset and item]
                # As many as may be alike if all others are different.
                sets.extend([(item, times * (len(item) - len(set(map(hash, item))) + 1)) for item in inner])
            level = list(chain.from_iterable([item for item in level if type(item) is tuple]))
            items += len(level)
        if times > _FEW_ALIKE and items > _ITEMS * len(held):
            return False
    return not (decimals and costly)


def _is_long(item: Any) -> bool:
    return type(item) is int and item.bit_length() > 64
