"""LangGraph's own suite: every capability, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.langgraph.sync_face import SyncFace

#: capability -> tests
TESTS = {
    "put": 17,
    "put_writes": 10,
    "get_tuple": 10,
    "list": 16,
    "delete_thread": 5,
    "delete_for_runs": 7,
    "copy_thread": 8,
    "prune": 8,
}


def passed(saver: BaseCheckpointSaver[str]) -> dict[str, int]:
    @checkpointer_test(name="DjangoSaver")
    async def registered() -> AsyncGenerator[BaseCheckpointSaver[str], None]:
        yield saver

    report = asyncio.run(validate(registered))
    failures = {name: result.failures for name, result in report.results.items() if result.failures}
    assert failures == {}
    return {name: result.tests_passed for name, result in report.results.items()}


@pytest.mark.parametrize("face", [lambda saver: saver, SyncFace], ids=["async", "sync"])
def test_every_capability(saver: DjangoSaver, face: Callable[[DjangoSaver], Any]) -> None:
    assert passed(face(saver)) == TESTS


@pytest.mark.parametrize("face", [lambda saver: saver, SyncFace], ids=["async", "sync"])
def test_without_a_django_project(postgres_database: Callable[[], str], face: Callable[[DjangoSaver], Any]) -> None:
    with PostgresCheckpointStore(postgres_database()) as store:
        store.setup()
        assert passed(face(DjangoSaver(store))) == TESTS
