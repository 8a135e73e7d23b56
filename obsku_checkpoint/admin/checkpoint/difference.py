"""What two JSON-plus values differ in, path by path. Knows no Django.

Objects are compared key by key. Lists are aligned first, so that an element put in at the front is one addition and
not a change of all that follow: their common beginning and end are set aside, and difflib's matcher aligns the rest by
the elements' texts (up to `ALIGNED` elements a side; longer rests are compared by position). Values are equal as
JSON-plus is: 1, 1.0 and true are three things.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from obsku_checkpoint import codec
from obsku_checkpoint.errors import SerializationError

#: elements of a list, after what is common at both ends, that are aligned
ALIGNED = 2000

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. ``old`` is None where something was added, ``new`` where it was removed."""

    path: Path
    kind: Literal["added", "removed", "changed"]
    old: Any = None
    new: Any = None

    @property
    def place(self) -> str:
        """``search.output.files[3]``"""
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return text.removeprefix(".") or "(the whole value)"


def differences(old: Any, new: Any) -> Iterator[Change]:
    """All of them, in the order of the new value. Needs no stack of the caller's, however deep the values are."""
    stack: list[Iterator[Change | tuple[Path, Any, Any]]] = [iter([((), old, new)])]
    while stack:
        step = next(stack[-1], None)
        if step is None:
            stack.pop()
        elif isinstance(step, Change):
            yield step
        else:
            stack.append(_compared(*step))


def _compared(path: Path, old: Any, new: Any) -> Iterator[Change | tuple[Path, Any, Any]]:
    """The differences of one pair, and the pairs inside it that are still to be compared."""
    if isinstance(old, dict) and type(old) is type(new):
        yield from _objects(path, old, new)
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        yield from _lists(path, old, new)
    elif isinstance(old, set | frozenset) and isinstance(new, set | frozenset):
        for item in sorted(old - new, key=repr):
            yield Change((*path, "{}"), "removed", old=item)
        for item in sorted(new - old, key=repr):
            yield Change((*path, "{}"), "added", new=item)
    elif type(old) is not type(new) or (repr(old) != repr(new) if type(old) is float else old != new):  # NaN, -0.0
        yield Change(path, "changed", old, new)


def _objects(path: Path, old: dict[Any, Any], new: dict[Any, Any]) -> Iterator[Change | tuple[Path, Any, Any]]:
    for key, value in old.items():
        if key not in new:
            yield Change((*path, _step(key)), "removed", old=value)
    for key, value in new.items():
        if key not in old:
            yield Change((*path, _step(key)), "added", new=value)
        elif old[key] is not value:
            yield (*path, _step(key)), old[key], value


def _lists(path: Path, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Change | tuple[Path, Any, Any]]:
    one, other = _texts(old), _texts(new)
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    one, other = one[start : len(one) - end], other[start : len(other) - end]
    if len(one) <= ALIGNED and len(other) <= ALIGNED:
        steps = SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
    else:
        steps = [("replace", 0, len(one), 0, len(other))]
    for tag, low, high, new_low, new_high in steps:
        if tag == "equal":
            continue
        paired = min(high - low, new_high - new_low)
        for position in range(paired):
            place = start + new_low + position
            yield (*path, place), old[start + low + position], new[place]
        for position in range(low + paired, high):
            yield Change((*path, start + position), "removed", old=old[start + position])
        for position in range(new_low + paired, new_high):
            yield Change((*path, start + position), "added", new=new[start + position])


def _texts(items: Sequence[Any]) -> list[str]:
    """By which elements are told apart."""
    return [_text(item) for item in items]


def _text(item: Any) -> str:
    try:
        return codec.dumps(item)
    except SerializationError:  # an application's type that is no longer registered for writing
        return repr(item)


def _step(key: Any) -> str | int:
    return key if isinstance(key, str) else repr(key)
