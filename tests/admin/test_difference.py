"""The structural difference of two values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsku_checkpoint import codec
from obsku_checkpoint.admin.checkpoint.difference import Comparison, place

ATOMS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.floats(allow_nan=False, width=16)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=25,
)


def told(old: Any, new: Any) -> list[tuple[str, str]]:
    return [(change.kind, place(change.path)) for change in Comparison().differences(old, new)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, [("added", "b")]),
        ({"a": 1, "b": 2}, {"a": 1}, [("removed", "b")]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [("changed", "a.b[1]")]),
        ([1, 2, 3], [0, 1, 2, 3], [("added", "[0]")]),
        ([1, 2, 3], [1, 3], [("removed", "[1]")]),
        ([{"id": 1, "n": 1}, {"id": 2}], [{"id": 1, "n": 2}, {"id": 2}], [("changed", "[0].n")]),
        ({"a": 1}, {"a": True}, [("changed", "a")]),
        ({"a": 1}, {"a": 1.0}, [("changed", "a")]),
        ({"a": {1, 2}}, {"a": {2, 3}}, [("removed", "a.{}"), ("added", "a.{}")]),
        ({"a": float("nan")}, {"a": float("nan")}, []),
        ({"a": b"x"}, {"a": b"y"}, [("changed", "a")]),
        ({"a": {}}, {"a": []}, [("changed", "a")]),
        (1, 2, [("changed", "")]),
    ],
)
def test_a_difference_is_told_by_its_path(old: Any, new: Any, expected: list[tuple[str, str]]) -> None:
    assert told(old, new) == expected


@given(VALUES)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert told(value, codec.loads(codec.dumps(value))) == []


@given(VALUES, VALUES)
def test_values_that_differ_have_a_difference(old: Any, new: Any) -> None:
    assert bool(told(old, new)) == (codec.canonical(codec.dumps(old)) != codec.canonical(codec.dumps(new)))


@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=12))
def test_a_list_is_made_of_another_by_what_is_told(old: list[int], new: list[int]) -> None:
    made: dict[int, int] = {}
    gone: set[int] = set()
    changes = list(Comparison().differences(old, new))
    for change in changes:
        (index,) = change.path
        assert isinstance(index, int)
        if change.kind == "removed":
            gone.add(index)
        else:
            made[index] = change.new
    kept = iter([item for index, item in enumerate(old) if index not in gone])
    changed = sum(change.kind == "changed" for change in changes)
    assert len(old) - len(gone) + sum(change.kind == "added" for change in changes) == len(new)
    if not changed:
        assert [made[index] if index in made else next(kept) for index in range(len(new))] == new


def frequent(count: int) -> tuple[list[int], list[int]]:
    """Lists of one frequent element among others that each of them has alone."""
    one = [item for number in range(count) for item in (0, 11 + number)]
    other = [item for number in range(count) for item in (0, 1_000_001 + number)]
    return [7, *one, 8], [9, *other, 5]


@pytest.mark.parametrize("lists", [1, 40], ids=["one list", "many lists"])
def test_the_work_of_a_comparison_is_bounded(lists: int) -> None:
    one, other = frequent(5000 // lists)
    comparison = Comparison(work=20_000)
    found = list(comparison.differences([one] * lists, [other] * lists))
    assert not comparison.aligned
    assert {change.kind for change in found} == {"changed"}
    small = Comparison()
    assert list(small.differences(*frequent(20)))
    assert small.aligned


def test_where_the_work_is_spent_lists_are_compared_by_position() -> None:
    comparison = Comparison(work=0)
    found = comparison.differences([1, 2, 3, 4, 9], [5, 1, 2, 3, 9])
    assert [(change.kind, place(change.path)) for change in found] == [
        ("changed", f"[{number}]") for number in range(4)
    ]
    assert not comparison.aligned


def test_depth_costs_no_stack() -> None:
    old: Any = 1
    new: Any = 2
    for _ in range(240):
        old, new = {"a": old}, {"a": new}
    assert [kind for kind, _ in told(old, new)] == ["changed"]
