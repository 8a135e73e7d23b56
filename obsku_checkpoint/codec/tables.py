"""How long Python searches its hash tables for free places, which whoever chooses the hashes can make quadratic.

The search of CPython (``dictobject.c`` and ``setobject.c``, alike in 3.11 to 3.14) is followed, in each of the tables
that a growing set or dict has: 0.05 us for an element in each, and 0.1 us for a step, which is what reading pays. What
shares its low bits, as multiples of powers of two and fractions do, takes up to nine steps in each table before these
bits are used up. From there on a search in a dict depends on nothing but the place that it has come to, and is followed
in leaps: numbers from these families may take hundreds of steps now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any, Final

SMALL: Final = 1000
"""Up to so many elements the longest searches take no longer than it takes to follow them."""

#: steps and leaps of all elements in all tables, for each of them; fractions in any order take up to 28
_STEPS: Final = 32

#: steps of one element of a set; 27 is the most that these families take
_LONGEST: Final = 128

#: steps that Python takes in the time of one here
_QUICKER: Final = 16

_UNSIGNED: Final = 2**64 - 1
_BLOCK: Final = 10  # places that a set looks at before it jumps


def fits_dict(hashes: Sequence[int]) -> bool:
    """Whether a dict of keys with these hashes, put into it in this order, is built in linear time."""
    left, slots, used = _STEPS * len(hashes), 1024, 0
    while used < len(hashes):
        mask, taken = slots - 1, bytearray(slots)
        leaps: dict[int, tuple[int, int]] = {}
        used = min(len(hashes), slots * 2 // 3)
        for value in hashes[:used]:
            place = value & mask
            if taken[place]:
                perturb = value & _UNSIGNED
                while perturb and taken[place]:
                    perturb >>= 5
                    place = (5 * place + perturb + 1) & mask
                    left -= 1
                if taken[place]:
                    start, steps = place, 0
                    while taken[place]:
                        place, more = leaps.get(place) or ((5 * place + 1) & mask, 1)
                        steps += more
                        left -= 1
                    leaps[start] = place, steps
                    left -= steps // _QUICKER
                if left < 0:
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
