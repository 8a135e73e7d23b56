"""System checks of LangGraph's settings."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from obsku_checkpoint.contrib.langgraph.checks import check_langgraph
from obsku_checkpoint.errors import ConfigurationError


def ids(**current: Any) -> list[str | None]:
    with override_settings(OBSKU_CHECKPOINT=current):
        return [message.id for message in check_langgraph(None)]


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        ({}, []),
        ({"LANGGRAPH_TYPES": ["decimal.Decimal"]}, []),
        ({"LANGGRAPH_TYPES": "decimal.Decimal"}, ["obsku_langgraph.E002"]),
        ({"LANGGRAPH_TYPES": ["decimal.getcontext", "nowhere.Nothing", 3]}, ["obsku_langgraph.E002"] * 3),
        ({"LANGGRAPH_GRAPHS": ["x"]}, ["obsku_langgraph.E001"]),
        ({"LANGGRAPH_GRAPHS": {"shop": "decimal.Decimal", "b": 1}}, ["obsku_langgraph.E001"] * 2),
    ],
    ids=str,
)
def test_settings(current: dict[str, Any], expected: list[str]) -> None:
    assert ids(**current) == expected


def test_langgraph_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: str) -> None:
        raise ConfigurationError("it is not installed")

    monkeypatch.setattr("obsku_checkpoint.contrib.langgraph.checks.require", missing)
    assert ids() == ["obsku_langgraph.W001"]
