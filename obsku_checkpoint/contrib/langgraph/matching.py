"""Filters and namespaces, as those of LangGraph's `InMemoryStore`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.store.base import MatchCondition

from obsku_checkpoint.errors import InvalidRecordError


def matches_all(value: Mapping[str, Any], conditions: Mapping[str, Any] | None) -> bool:
    """Whether an item's value fits a filter."""
    return all(_matches(value.get(key), condition) for key, condition in (conditions or {}).items())


def _matches(value: Any, condition: Any) -> bool:
    if isinstance(condition, dict):
        if any(str(key).startswith("$") for key in condition):
            return all(_compares(value, operator, operand) for operator, operand in condition.items())
        return isinstance(value, dict) and matches_all(value, condition)
    if isinstance(condition, list | tuple):
        return isinstance(value, list | tuple) and len(value) == len(condition) and all(map(_matches, value, condition))
    return bool(value == condition)


def _compares(value: Any, operator: str, operand: Any) -> bool:
    if operator == "$eq":
        return bool(value == operand)
    if operator == "$ne":
        return bool(value != operand)
    if operator not in ("$gt", "$gte", "$lt", "$lte"):
        raise InvalidRecordError("filter", f"has the unknown operator {operator!r}")
    try:
        number, other = float(value), float(operand)
    except (TypeError, ValueError):
        return False  # what is not a number is neither more nor less
    if operator == "$gt":
        return number > other
    if operator == "$gte":
        return number >= other
    return number < other if operator == "$lt" else number <= other


def fits(namespace: tuple[str, ...], condition: MatchCondition) -> bool:
    """Whether a namespace is one that is asked for."""
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for label, wanted in zip(part, path, strict=True))
