"""The structural difference of two values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsku_checkpoint import codec
from obsku_checkpoint.admin.checkpoint import difference
from obsku_checkpoint.admin.checkpoint.difference import differences

ATOMS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.floats(allow_nan=False, width=16)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=25,
)


def told(old: Any, new: Any) -> list[tuple[str, str]]:
    return [(change.kind, change.place) for change in differences(old, new)]


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
        (1, 2, [("changed", "(the whole value)")]),
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


def test_long_lists_are_compared_by_position(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(difference, "ALIGNED", 2)
    assert told([1, 2, 3, 4, 9], [5, 1, 2, 3, 9]) == [("changed", f"[{number}]") for number in range(4)]


def test_depth_costs_no_stack() -> None:
    old: Any = 1
    new: Any = 2
    for _ in range(240):
        old, new = {"a": old}, {"a": new}
    assert [kind for kind, _ in told(old, new)] == ["changed"]
