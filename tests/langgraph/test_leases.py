"""A lease: one writer of a thread at a time, and one that was late writes nothing."""

from __future__ import annotations

import asyncio

import pytest
from langgraph.types import Command

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.errors import LeaseConflictError
from tests.langgraph import graphs
from tests.langgraph.steps import config_of, new_thread, put, values_at


def test_one_writer_at_a_time(saver: DjangoSaver) -> None:
    thread = new_thread()
    with saver.writer(thread), pytest.raises(LeaseConflictError, match=thread), saver.writer(thread):
        pass
    with saver.writer(thread) as config:
        put(saver, config, {"a": 1})
    assert values_at(saver, config_of(thread)) == {"a": 1}


def test_a_writer_that_was_too_late_writes_nothing(saver: DjangoSaver) -> None:
    thread = new_thread()
    with saver.writer(thread, seconds=0) as late:
        stored = put(saver, late, {"a": 1})
        with saver.writer(thread) as config:
            put(saver, config, {"a": 2})
            with pytest.raises(LeaseConflictError):
                put(saver, late, {"a": 3})
            with pytest.raises(LeaseConflictError):
                saver.put_writes(
                    {"configurable": {**late["configurable"], **stored["configurable"]}}, [("a", 3)], "task"
                )
    assert values_at(saver, config_of(thread)) == {"a": 2}
    saved = saver.get_tuple(stored)
    assert saved is not None
    assert saved.pending_writes == []


@pytest.mark.parametrize("build", [graphs.tool_loop, graphs.fan])
def test_all_that_a_graph_writes_belongs_to_the_lease(saver: DjangoSaver, build: object) -> None:
    graph = build().compile(checkpointer=saver)  # type: ignore[operator]  # one of ours
    thread = new_thread()
    first = {**graphs.question(1), "topics": ["a", "b"]}
    with saver.writer(thread, seconds=0) as config:
        graph.invoke(first, config)
        graph.update_state(
            config, {"messages": [], "topics": ["c"]}, as_node="tools" if build is graphs.tool_loop else "joke"
        )
        for one in saver.list(config_of(thread)):
            assert "__obsku_writer" not in one.metadata
        with saver.writer(thread):
            before = [one.config for one in saver.list({"configurable": {"thread_id": thread}})]
            with pytest.raises(LeaseConflictError):
                graph.invoke(Command(resume="yes"), config)
            with pytest.raises(LeaseConflictError):
                graph.update_state(config, {"messages": []})
            assert [one.config for one in saver.list({"configurable": {"thread_id": thread}})] == before


def test_async(saver: DjangoSaver) -> None:
    async def run() -> None:
        thread = new_thread()
        graph = graphs.tool_loop().compile(checkpointer=saver)
        async with saver.awriter(thread) as config:
            await graph.ainvoke(graphs.question(1), config)
            with pytest.raises(LeaseConflictError):
                async with saver.awriter(thread):
                    pass
        async with saver.awriter(thread) as config:
            assert (await graph.ainvoke(Command(resume="yes"), config))["note"] == "yes"

    asyncio.run(run())
