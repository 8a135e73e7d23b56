"""A graph's runs leave the same states over our saver as over LangGraph's in memory, each state of each history."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, StateSnapshot

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from tests.langgraph import graphs

numbers = itertools.count()


def without_ids(state: StateSnapshot) -> Any:
    """All of a state but for ids and times, which differ from run to run."""
    metadata = {name: value for name, value in (state.metadata or {}).items() if name in ("source", "step", "writes")}
    tasks = [
        (task.name, task.path, task.error, [one.value for one in task.interrupts], task.result) for task in state.tasks
    ]
    return (
        state.values,
        state.next,
        metadata,
        tasks,
        [one.value for one in state.interrupts],
        state.parent_config is None,
    )


Run = Callable[[Any, dict[str, Any], str], None]


def tool_loop(graph: Any, config: dict[str, Any], durability: str) -> None:
    """A question is asked and answered; a state is edited; an old one is run again."""
    graph.invoke(graphs.question(1), config, durability=durability)
    graph.invoke(Command(resume="yes"), config, durability=durability)
    graph.update_state(config, {"messages": [RemoveMessage("a3"), HumanMessage("really?", id="h1b")]})
    graph.invoke(graphs.question(2), config, durability=durability)
    history = [*graph.get_state_history(config)]
    asked = next(state for state in history if state.next == ("approve",))
    graph.invoke(None, asked.config, durability=durability)
    graph.update_state(history[-1].config, {"messages": [AIMessage("another way", id="x")]}, as_node="agent")


def deltas(graph: Any, config: dict[str, Any], durability: str) -> None:
    for number in range(9):
        graph.invoke({"log": [f"in {number}"], "count": 0}, config, durability=durability)
    history = [*graph.get_state_history(config)]
    graph.invoke({"log": ["branch"], "count": 0}, history[len(history) // 2].config, durability=durability)


def fan(graph: Any, config: dict[str, Any], durability: str) -> None:
    graph.invoke({"topics": ["a", "b", "c"]}, config, durability=durability)
    graph.get_state(config, subgraphs=True)
    graph.invoke(Command(resume="b"), config, durability=durability)


RUNS: dict[str, tuple[Callable[[], Any], Run]] = {
    "tool_loop": (graphs.tool_loop, tool_loop),
    "deltas": (graphs.deltas, deltas),
    "fan": (graphs.fan, fan),
}


def history_over(saver: Any, name: str, durability: str) -> list[Any]:
    build, run = RUNS[name]
    graph = build().compile(checkpointer=saver)
    config = {"configurable": {"thread_id": f"differential-{next(numbers)}"}}
    run(graph, config, durability)
    return [without_ids(state) for state in graph.get_state_history(config)]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("name", [*RUNS])
def test_the_histories_agree(saver: DjangoSaver, name: str, durability: str) -> None:
    assert history_over(saver, name, durability) == history_over(InMemorySaver(), name, durability)


class Awaited:
    """The async methods of a graph, under the names of the sync ones."""

    def __init__(self, graph: Any, runner: asyncio.Runner) -> None:
        self.graph = graph
        self.runner = runner

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        return self.runner.run(self.graph.ainvoke(*args, **kwargs))

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        return self.runner.run(self.graph.aupdate_state(*args, **kwargs))

    def get_state(self, *args: Any, **kwargs: Any) -> Any:
        return self.runner.run(self.graph.aget_state(*args, **kwargs))

    def get_state_history(self, config: Any) -> Any:
        async def states() -> list[StateSnapshot]:
            return [state async for state in self.graph.aget_state_history(config)]

        return self.runner.run(states())


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("name", [*RUNS])
def test_the_histories_of_async_runs_agree(saver: DjangoSaver, name: str, durability: str) -> None:
    build, run = RUNS[name]
    config = {"configurable": {"thread_id": f"differential-{next(numbers)}"}}
    with asyncio.Runner() as runner:
        graph = Awaited(build().compile(checkpointer=saver), runner)
        run(graph, config, durability)
        states = [without_ids(state) for state in graph.get_state_history(config)]
    assert states == history_over(InMemorySaver(), name, durability)
