"""How long Python searches its hash tables for free places, which whoever chooses the hashes can make quadratic.

The search of CPython (``dictobject.c`` and ``setobject.c``, alike in 3.11 to 3.14) is followed, in each of the tables
that a growing set or dict has: 0.05 us for an element in each, and 0.05 us for a step, which is what reading pays. What
shares its low bits, as multiples of powers of two and fractions do, takes up to twelve steps in each table before these
bits are used up; the way that many have in common is remembered, and followed once. From there on a search in a dict
depends on nothing but the place that it has come to, and is followed in leaps: numbers from these families may take
hundreds of steps now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any, Final

SMALL: Final = 1000
"""Up to so many elements the longest searches take no longer than it takes to follow them."""

#: with each step so many bits of a hash come into its search, until all have
_BITS: Final = 5
_ALL: Final = 60

#: bits of the steps and leaps that are followed, of all elements in all tables, for each of them: multiples of 2**13
#: as keys take up to 20 steps, times in milliseconds in a set up to 14
_LEFT_IN_DICT: Final = 24 * _BITS
_LEFT_IN_SET: Final = 16 * _BITS

#: steps of one element of a set; 27 is the most that these families take
_LONGEST: Final = 128

#: steps that Python takes in the time of one here
_QUICKER: Final = 16

_UNSIGNED: Final = 2**64 - 1
_BLOCK: Final = 10  # places that a set looks at before it jumps


def fits_dict(hashes: Sequence[int]) -> bool:
    """Whether a dict of keys with these hashes, put into it in this order, is built in linear time."""
    left, slots, used = _LEFT_IN_DICT * len(hashes), 1024, 0
    while used < len(hashes) and left >= 0:
        used = min(len(hashes), slots * 2 // 3)
        left = _put(hashes[:used], slots, left)
        slots *= 2
    return left >= 0


def _put(hashes: Sequence[int], slots: int, left: int) -> int:
    """Return what is left when a dict with so many slots has keys with these hashes."""
    mask, taken = slots - 1, bytearray(slots)
    common = _common(hashes, slots)
    low, passed = (slots << common) - 1, dict[int, int]()
    every, others = range(_BITS, _ALL + 1, _BITS), range(common + _BITS, _ALL + 1, _BITS)
    leaps: dict[int, tuple[int, int]] = {}
    for value in hashes:
        place = value & mask
        if taken[place]:
            bits, shifts = value & _UNSIGNED, every
            if common and (at := passed.get(bits & low)) is not None:
                place, shifts = at, others
                left += common
            for shift in shifts:
                place = (5 * place + (bits >> shift) + 1) & mask
                if not taken[place]:
                    break
                if shift == common:
                    passed[bits & low] = place
            else:
                start, steps = place, 0
                while taken[place]:
                    place, more = leaps.get(place) or ((5 * place + 1) & mask, 1)
                    steps += more
                    left -= _BITS
                leaps[start] = place, steps
                left -= steps // _QUICKER * _BITS
            left -= shift
            if left < 0:
                return left
        taken[place] = 1
    return left


def _common(hashes: Sequence[int], slots: int) -> int:
    """How many bits, beside those of its first place, an element shares with many others as far as a few show it."""
    if len(hashes) > SMALL:
        some = hashes[:SMALL]
        for bits in range(_ALL - 3 * _BITS, 0, -_BITS):
            if len(set(map(((slots << bits) - 1).__and__, some))) < SMALL // 4:
                return bits
    return 0


def fits_set(hashes: Sequence[int]) -> bool:
    """Whether a set of elements with these hashes, put into it in this order, is built in linear time."""
    return order_in_set(hashes) is not None


def order_in_set(hashes: Sequence[int]) -> Sequence[int] | None:
    """The order of the set that is made of elements with these hashes; None where that takes too long."""
    left, slots, used = _LEFT_IN_SET * len(hashes), 8, 0
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
    """Return what is left, and the elements of a set in the order of its table."""
    mask, last = slots - 1, max(slots - _BLOCK, -1)
    table: list[Any] = [None] * slots
    taken, full = bytearray(slots), bytearray(slots)
    full[last + 1 :] = b"\1" * (slots - last - 1)  # a place is full if all that are looked at beside it are taken
    common = _common(hashes, slots)
    low, passed = (slots << common) - 1, dict[int, int]()
    every, others = (range(first + _BITS, _LONGEST * _BITS, _BITS) for first in (0, common))
    for value in hashes:
        place = value & mask
        if taken[place]:
            if full[place] or (free := taken.find(0, place, place + _BLOCK)) < 0:
                full[place] = 1
                bits, shifts = value & _UNSIGNED, every
                if common and (at := passed.get(bits & low)) is not None:
                    place, shifts = at, others
                    left += common
                for shift in shifts:
                    place = (5 * place + (bits >> shift) + 1) & mask
                    if not taken[place]:
                        free = place
                        break
                    if not full[place]:
                        if (free := taken.find(0, place, place + _BLOCK)) >= 0:
                            break
                        full[place] = 1
                    if shift == common:
                        passed[bits & low] = place
                else:
                    return -1, ()
                left -= shift
                if left < 0:
                    return -1, ()
            place = free
        taken[place] = 1
        table[place] = value
    return left, list(compress(table, taken))
