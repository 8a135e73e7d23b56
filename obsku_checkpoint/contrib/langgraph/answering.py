"""A person's answer to what a graph asks: the graph goes on in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asgiref.sync import async_to_sync
from django.utils.module_loading import import_string
from langgraph.types import Command

from obsku_checkpoint import conf
from obsku_checkpoint.contrib.langgraph.questions import task_name
from obsku_checkpoint.errors import ConfigurationError, GraphError
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.store import DjangoCheckpointStore


def graph_of(directory: str) -> Any:
    """The compiled graph that runs the threads of this directory. Raises `ConfigurationError`."""
    paths = conf.current().LANGGRAPH_GRAPHS
    if directory not in paths:
        raise ConfigurationError(f"OBSKU_CHECKPOINT['LANGGRAPH_GRAPHS'] names no graph for the directory {directory!r}")
    try:
        return import_string(paths[directory])
    except ImportError as error:
        raise ConfigurationError(f"OBSKU_CHECKPOINT['LANGGRAPH_GRAPHS'][{directory!r}]: {error}") from error


def resume(store: DjangoCheckpointStore, checkpoint: CheckpointRecord, answers: Mapping[str, Any]) -> None:
    """Go on with the thread. ``answers`` maps nodes to what is answered; without any, what is left to do is done.

    Raises `GraphError` where a node asks nothing (any more), and whatever a node raises.
    """
    session = store.get_session(checkpoint.session_id)
    if session is None:
        raise GraphError("the session is gone")
    graph = graph_of(session.directory)
    config = {"configurable": {"thread_id": checkpoint.session_id}}
    async_to_sync(_resume)(graph, config, dict(answers))


async def _resume(graph: Any, config: Any, answers: dict[str, Any]) -> None:
    state = await graph.aget_state(config)
    asking = [task for task in state.tasks if task.interrupts]
    names = [task.name for task in asking]
    open = {
        name: task.interrupts[-1].id
        for task in asking
        for name in (task.name, task_name(task.name, task.id), task_name("task", task.id))
        if names.count(name) < 2
    }
    if wrong := tuple(node for node in answers if node not in open):
        raise GraphError("nothing is asked any more by", wrong)
    resumed = {open[node]: answer for node, answer in answers.items()}
    await graph.ainvoke(Command(resume=resumed) if answers else None, config)
