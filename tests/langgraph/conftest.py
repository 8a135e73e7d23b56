"""Savers over each database, with each projection."""

from __future__ import annotations

import pytest

from obsku_checkpoint.contrib.langgraph import DjangoSaver

DATABASES = {"sqlite": "default", "postgres": "postgres"}


@pytest.fixture(params=[*DATABASES])
def alias(request: pytest.FixtureRequest, committed: None) -> str:
    return DATABASES[request.param]


@pytest.fixture(params=["full", "session"])
def saver(request: pytest.FixtureRequest, alias: str) -> DjangoSaver:
    return DjangoSaver(alias, projection=request.param)
