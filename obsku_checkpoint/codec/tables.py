"""How long Python searches its hash tables for free places, which whoever chooses the hashes can make quadratic.

The search of CPython (``dictobject.c`` and ``setobject.c``, alike in 3.11 to 3.14) is followed, in each of the tables
that a growing set or dict has: 0.05 us for an element in each, and 0.1 us for a step, which is what reading pays.
Integers, UUIDs and tuples take less than two steps in sum, and decimal fractions less than is allowed. What shares its
low bits may take more: fractions of great powers of two, and multiples of them, which stay plain objects then.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any, Final

SMALL: Final = 1000
"""Up to so many elements the longest searches take no longer than it takes to follow them."""

#: steps of all elements in all tables, for each of them; times in milliseconds as floats take up to 26
_STEPS: Final = 32

#: steps of one element: after 13 it has used up its hash, and soon meets a free place if the others are honest
_LONGEST: Final = 128

_UNSIGNED: Final = 2**64 - 1
_BLOCK: Final = 10  # places that a set looks at before it jumps


def fits_dict(hashes: Sequence[int]) -> bool:
    """Whether a dict of keys with these hashes, put into it in this order, is built in linear time."""
    left, slots, used = _STEPS * len(hashes), 1024, 0
    while used < len(hashes):
        mask, taken = slots - 1, bytearray(slots)
        used = min(len(hashes), slots * 2 // 3)
        for value in hashes[:used]:
            place = value & mask
            if taken[place]:
                perturb, steps = value & _UNSIGNED, 0
                while taken[place]:
                    perturb >>= 5
                    place = (5 * place + perturb + 1) & mask
                    steps += 1
                left -= steps
                if steps > _LONGEST or left < 0:
                    return False
            taken[place] = 1
        slots *= 2
    return True


def fits_set(hashes: Sequence[int]) -> bool:
    """Whether a set of elements with these hashes, put into it in this order, is built in linear time."""
    return order_in_set(hashes) is not None


def order_in_set(hashes: Sequence[int]) -> Sequence[int] | None:
    """The order of the set that is made of elements with these hashes; None where that takes too long."""
    left, slots, used = _STEPS * len(hashes), 8, 0
    arriving: Sequence[int] = ()
    while True:
        limit = (3 * (slots - 1) + 4) // 5  # it grows when as many are in it
        arriving = [*arriving, *hashes[used:limit]]
        left, arriving = _placed(arriving, slots, left)
        used = len(arriving)
        if left < 0:
            return None
        if used < limit:
            return arriving
        slots = 1 << (used * (2 if used > 50_000 else 4)).bit_length()


def _placed(hashes: Sequence[int], slots: int, left: int) -> tuple[int, Sequence[int]]:
    """Return the steps that are left, and the elements of a set in the order of its table."""
    mask, last = slots - 1, slots - _BLOCK
    table: list[Any] = [None] * slots
    taken = bytearray(slots)
    for value in hashes:
        place = value & mask
        if taken[place]:
            perturb, steps = value & _UNSIGNED, 1
            while (free := taken.find(0, place, place + (_BLOCK if place <= last else 1))) < 0:
                perturb >>= 5
                place = (5 * place + perturb + 1) & mask
                steps += 1
            left -= steps
            if steps > _LONGEST or left < 0:
                return -1, ()
            place = free
        taken[place] = 1
        table[place] = value
    return left, list(compress(table, taken))
