"""What two JSON-plus values differ in, path by path. Knows no Django.

Objects are compared key by key. Lists are aligned first, so that an element put in at the front is one addition and
not a change of all that follow: by the shortest script of insertions and deletions (Myers, "An O(ND) difference
algorithm"). All of that has one budget of work for the whole comparison; what is left when it is spent is compared by
position. Values are equal as JSON-plus is: 1, 1.0 and true are three things.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from obsku_checkpoint import codec
from obsku_checkpoint.errors import SerializationError

#: steps of a comparison, each a fraction of a microsecond
WORK = 2_000_000
#: characters of an element's text that cost as much as one step
_CHARACTERS = 8

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. ``old`` is None where something was added, ``new`` where it was removed."""

    path: Path
    kind: Literal["added", "removed", "changed"]
    old: Any = None
    new: Any = None


def place(path: Path) -> str:
    """``search.output.files[3]``; empty for the whole value."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


class Comparison:
    """``aligned`` is False once lists have been compared by position, as the work was spent."""

    def __init__(self, work: int = WORK) -> None:
        self.aligned = True
        self._work = work

    def differences(self, old: Any, new: Any) -> Iterator[Change]:
        """All of them, in the order of the new value. Needs no stack of the caller's, however deep the values are."""
        stack: list[Iterator[Change | tuple[Path, Any, Any]]] = [iter([((), old, new)])]
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
            elif isinstance(step, Change):
                yield step
            else:
                stack.append(self._compared(*step))

    def _compared(self, path: Path, old: Any, new: Any) -> Iterator[Change | tuple[Path, Any, Any]]:
        """The differences of one pair, and the pairs inside it that are still to be compared."""
        if isinstance(old, dict) and type(old) is type(new):
            yield from _objects(path, old, new)
        elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
            yield from self._lists(path, old, new)
        elif isinstance(old, set | frozenset) and isinstance(new, set | frozenset):
            for item in sorted(old - new, key=_text):
                yield Change((*path, "{}"), "removed", old=item)
            for item in sorted(new - old, key=_text):
                yield Change((*path, "{}"), "added", new=item)
        elif type(old) is not type(new) or (old != new if isinstance(old, str) else _text(old) != _text(new)):
            yield Change(path, "changed", old, new)

    def _lists(self, path: Path, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Change | tuple[Path, Any, Any]]:
        for low, high, new_low, new_high in self._runs(old, new):
            paired = min(high - low, new_high - new_low)
            for index in range(paired):
                yield (*path, new_low + index), old[low + index], new[new_low + index]
            for index in range(low + paired, high):
                yield Change((*path, index), "removed", old=old[index])
            for index in range(new_low + paired, new_high):
                yield Change((*path, index), "added", new=new[index])

    def _runs(self, old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[int, int, int, int]]:
        """The runs of elements in which two lists differ, as (from, to) in the old one and in the new one."""
        one, other = self._numbered(old, new)
        start = 0
        while start < min(len(one), len(other)) and one[start] == other[start]:
            start += 1
        end = 0
        while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
            end += 1
        low, new_low = start, start
        # Each run ends where elements are equal again; the last one at what both lists end with.
        for same, new_same in [
            *self._aligned(one[start : len(one) - end], other[start : len(other) - end], start),
            (len(old) - end, len(new) - end),
        ]:
            if same > low or new_same > new_low:
                yield low, same, new_low, new_same
            low, new_low = same + 1, new_same + 1

    def _numbered(self, old: Sequence[Any], new: Sequence[Any]) -> tuple[Sequence[int], Sequence[int]]:
        """The elements as numbers, equal for equal ones. Where the work is spent, all that differ are told apart."""
        numbers: dict[str, int] = {}
        lists: list[list[int]] = [[], []]
        for items, found in zip((old, new), lists, strict=True):
            for item in items:
                if self._work <= 0:
                    self.aligned = False
                    return range(len(old)), range(len(old), len(old) + len(new))
                text = _text(item)
                self._work -= 1 + len(text) // _CHARACTERS
                found.append(numbers.setdefault(text, len(numbers)))
        return lists[0], lists[1]

    def _aligned(self, one: Sequence[int], other: Sequence[int], offset: int) -> list[tuple[int, int]]:
        """The places of equal elements on the shortest way from one list to the other; none where it is too long."""
        if not set(one) & set(other):
            return []
        # How far in `one` each way of so many insertions and deletions can come. A diagonal is the difference of the
        # places in both lists; with n edits there are n + 1 of them: -n, -n + 2, …, n.
        ways: list[array[int]] = []
        for edits in range(len(one) + len(other) + 1):
            reached = array("l")
            ways.append(reached)
            for index in range(edits + 1):
                diagonal = 2 * index - edits
                x = begin = _before(ways, edits, index)[0]
                while x < len(one) and x - diagonal < len(other) and one[x] == other[x - diagonal]:
                    x += 1
                reached.append(x)
                self._work -= 1 + x - begin
                if x >= len(one) and x - diagonal >= len(other):
                    return [(x + offset, y + offset) for x, y in _equal(ways, index)]
            if self._work <= 0:
                break
        self.aligned = False
        return []


def _before(ways: Sequence[Sequence[int]], edits: int, index: int) -> tuple[int, int]:
    """Where a way begins on its diagonal after its last edit, and the index of the diagonal it came from."""
    if edits == 0:
        return 0, 0
    earlier = ways[edits - 1]
    if index == 0 or (index != edits and earlier[index - 1] < earlier[index]):
        return earlier[index], index  # an insertion
    return earlier[index - 1] + 1, index - 1  # a deletion


def _equal(ways: Sequence[Sequence[int]], index: int) -> list[tuple[int, int]]:
    """The places of the equal elements on the way that ends at this index of the last edits."""
    equal: list[tuple[int, int]] = []
    for edits in range(len(ways) - 1, -1, -1):
        begin, before = _before(ways, edits, index)
        diagonal = 2 * index - edits
        equal += [(x, x - diagonal) for x in range(ways[edits][index] - 1, begin - 1, -1)]
        index = before
    return equal[::-1]


def _objects(path: Path, old: dict[Any, Any], new: dict[Any, Any]) -> Iterator[Change | tuple[Path, Any, Any]]:
    for key, value in old.items():
        if key not in new:
            yield Change((*path, _step(key)), "removed", old=value)
    for key, value in new.items():
        if key not in old:
            yield Change((*path, _step(key)), "added", new=value)
        elif old[key] is not value:
            yield (*path, _step(key)), old[key], value


def _text(item: Any) -> str:
    """By which values are told apart."""
    try:
        return codec.dumps(item)
    except SerializationError:  # an application's type that is no longer registered for writing
        return repr(item)


def _step(key: Any) -> str | int:
    return key if isinstance(key, str) else _text(key)
