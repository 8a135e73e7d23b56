"""Integers that JSON numbers do not hold: their decimal digits, and how many of them a document may have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, Inexact, localcontext
from itertools import zip_longest
from typing import Any, Final

SAFE: Final = 2**53 - 1
"""Beyond this and its negative JavaScript rounds a number."""

MAX_DIGITS: Final = 100_000
"""Digits that the longer integers of one document have in sum: to convert them takes 20 ms at most."""

UNCOUNTED: Final = 100
"""Integers of at most this many digits cost no more than other values of their length, and are not counted."""

_DIGITS: Final = re.compile(r"0|-?[1-9][0-9]*")
# In a JSON text: an integer of 19 digits or more, and as much as there is before it.
_LONG = r"-?[1-9][0-9]{18,}+(?![0-9.eE+-])"
_UP_TO_LONG: Final = re.compile(
    rf'((?:"(?:[^"\\]++|\\.)*+"?|[^"0-9-]++|(?!{_LONG})[0-9-][0-9.eE+-]*+)*+)({_LONG})?', re.DOTALL
)
_ZEROS: Final = bytes.maketrans(b"123456789", b"0" * 9)

# int() and str() take time with the square of the length, and refuse more than 4,300 digits: parts of these sizes are
# converted, and put together by multiplication, which is faster.
_PART_DIGITS, _PART_BITS = 2_000, 4_096
_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])


def is_integer(text: str) -> bool:
    """Whether the text is an integer as `write` writes it."""
    return _DIGITS.fullmatch(text) is not None


def count(text: str) -> int:
    """The digits that count towards `MAX_DIGITS` if the text is an integer."""
    digits = len(text) - text.startswith("-")
    return digits if digits > UNCOUNTED else 0


def longest(counts: Iterable[int]) -> int:
    """The count up to which a document's integers are read: the shorter ones, in whatever order they stand in it."""
    total = length = 0
    for digits, times in sorted(Counter(counts).items()):
        total += digits * times
        if total > MAX_DIGITS:
            break
        length = digits
    return length


def read(text: str) -> int:
    """Return the integer that was written."""
    if len(text) <= _PART_DIGITS:
        return int(text)
    digits = text.removeprefix("-")
    parts = [int(digits[max(0, end - _PART_DIGITS) : end]) for end in range(len(digits), 0, -_PART_DIGITS)]
    number: int = _joined(parts, 10**_PART_DIGITS)
    return number if digits == text else -number


def write(number: int) -> str:
    """Return the integer's decimal digits."""
    bits = number.bit_length()
    if bits <= _PART_BITS:
        return str(number)
    size, mask = abs(number), (1 << _PART_BITS) - 1
    with localcontext(_EXACT):
        parts = [Decimal(size >> start & mask) for start in range(0, bits, _PART_BITS)]
        digits = str(_joined(parts, Decimal(1 << _PART_BITS)))
    return digits if number > 0 else f"-{digits}"


def _joined(parts: list[Any], base: Any) -> Any:
    """The number whose digits in this base the parts are, the lowest first."""
    while len(parts) > 1:
        parts = [low + high * base for low, high in zip_longest(parts[::2], parts[1::2], fillvalue=0)]
        base *= base
    return parts[0]


def tag_integers(text: str) -> str:
    """Return a JSON text with a ``BigInt`` tag for each integer that 64 bits do not hold."""
    if b"0" * 19 not in text.encode("utf-8", "surrogatepass").translate(_ZEROS):
        return text
    return _UP_TO_LONG.sub(lambda match: match[1] + _tagged(match[2] or ""), text)


def _tagged(number: str) -> str:
    if not number or (len(number) <= 20 and -(2**63) <= int(number) < 2**64):
        return number
    return f'{{"__type":"BigInt","value":"{number}"}}'
