"""Threads of LangGraph are read by the npm package as they are here, a question and a sub-graph among them."""

from __future__ import annotations

import uuid

import pytest
from langgraph.types import Command

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.langgraph import graphs
from tests.npm.compare import read_alike
from tests.npm.process import Npm, skip_without_bun

skip_without_bun()
pytestmark = pytest.mark.xdist_group("npm")


def test_threads_are_read_alike(ours: PostgresCheckpointStore, npm: Npm) -> None:
    saver = DjangoSaver(ours, workspace_id="langgraph")
    threads = [uuid.uuid4().hex for _ in range(3)]
    asks, answered, fan = threads
    loop = graphs.tool_loop().compile(checkpointer=saver)
    for thread in (asks, answered):
        loop.invoke(graphs.question(1), {"configurable": {"thread_id": thread}})
    loop.invoke(Command(resume="yes"), {"configurable": {"thread_id": answered}})
    graphs.fan().compile(checkpointer=saver).invoke({"topics": ["a", "b", "c"]}, {"configurable": {"thread_id": fan}})
    fork = ours.fork(ours.list_checkpoints(answered)[2].id)
    assert read_alike(ours, npm, [*threads, fork.id]) > 100
