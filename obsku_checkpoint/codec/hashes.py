"""Sets and maps whose elements hash alike, which Python builds in time with the square of their number.

Hashes of numbers are the same in every process, so that a text can hold any number of elements with one hash: multiples
of 2**61 - 1, UUIDs of them, tuples of those; or of hashes whose searches for a free place pass most of a table
(:mod:`codec.tables`). Only the hashes of text and bytes are secret.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from decimal import Decimal
from itertools import chain, groupby, islice
from operator import eq
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

_SECRET: Final = frozenset({str, bytes})
#: lists and sets are what tuples and frozensets are in the text
_HOLD_MORE: Final = frozenset({tuple, frozenset, list, set})


def is_small(elements: Iterable[Any]) -> bool:
    """Whether all elements are within `MAX_LEVELS` and `MAX_ITEMS`."""
    level = elements
    for _ in range(MAX_LEVELS):
        if _HOLD_MORE.isdisjoint(map(type, level)):
            return True
        inner = [item for item in level if type(item) in _HOLD_MORE]
        if max(map(len, inner)) > MAX_ITEMS:
            return False
        level = list(chain.from_iterable(inner))
    return _HOLD_MORE.isdisjoint(map(type, level))


def in_order(elements: Collection[Hashable]) -> Collection[Hashable]:
    """The order in which a set is made of elements in the order of their text.

    Numbers are sorted, since most take least that way, and every order of the text is alike. Tuples and sets are not:
    their hashes look random, so that to sort them takes longer than all the rest.
    """
    if len(elements) <= tables.SMALL or not _SECRET.union(_HOLD_MORE).isdisjoint(map(type, elements)):
        return elements
    return sorted(elements, key=hash)


def can_hold(elements: Collection[Hashable], fits: Callable[[list[int]], bool]) -> bool:
    """Whether Python makes a set of the elements, or a dict with these keys, in time linear in their size.

    ``fits`` is asked about their hashes in this order (:mod:`codec.tables`). Raises what hashing them raises.
    """
    if len(elements) < 2 or _SECRET.issuperset(map(type, elements)):
        return True
    hashes = list(map(hash, elements))
    if len(hashes) <= tables.SMALL:
        has_repeated = len(set(hashes)) < len(hashes)
    else:
        # Not a set, since hash(hash(x)) is not always hash(x).
        ordered = sorted(hashes)
        has_repeated = any(map(eq, ordered, islice(ordered, 1, None)))
        is_range = not has_repeated and ordered == hashes and ordered[-1] - ordered[0] == len(ordered) - 1
        if not is_range and not fits(hashes):
            return False
    return not has_repeated or all(map(_is_comparable, _alike(elements)))


def _alike(elements: Collection[Hashable]) -> list[list[Any]]:
    """The elements that share their hash with others."""
    if len(set(map(hash, elements))) == len(elements):
        return []
    groups = [list(group) for _, group in groupby(sorted(elements, key=hash), key=hash)]
    return [group for group in groups if len(group) > 1]


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
                inner = [item for item in level if type(item) is frozenset]
                sets.extend([(item, times * max(map(len, _alike(item)), default=1)) for item in inner])
            level = list(chain.from_iterable([item for item in level if type(item) is tuple]))
            items += len(level)
        if times > _FEW_ALIKE and items > _ITEMS * len(held):
            return False
    return not (decimals and costly)


def _is_long(item: Any) -> bool:
    return type(item) is int and item.bit_length() > 64
