"""Change a node's result and try again from there, in a fork."""

from __future__ import annotations

from typing import Any

from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph.definition import Graph
from obsku_checkpoint.graph.execution import Execution
from obsku_checkpoint.graph.questions import as_stored
from obsku_checkpoint.graph.results import now
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import CheckpointRecord


def edit(
    graph: Graph,
    *,
    checkpoint_store: CheckpointStore,
    checkpoint_id: str,
    node: str,
    output: Any,
    title: str | None = None,
) -> CheckpointRecord:
    """Fork the checkpoint, and save there that ``node`` completed with ``output``.

    What follows from the node is to run again. Returns the new checkpoint; `resume` its session to go on. The session
    of ``checkpoint_id`` stays as it is.
    Raises `CheckpointNotFoundError`, `SerializationError`, and `GraphError` for a node that the graph does not have.
    """
    output = _checked(graph, node, output)
    fork = checkpoint_store.fork(checkpoint_id, title=title)
    last = checkpoint_store.get_latest_checkpoint(fork.id)
    return checkpoint_store.save_checkpoint(**_edited(graph, last, node, output))


async def aedit(
    graph: Graph,
    *,
    checkpoint_store: CheckpointStore,
    checkpoint_id: str,
    node: str,
    output: Any,
    title: str | None = None,
) -> CheckpointRecord:
    """Async form of `edit`."""
    output = _checked(graph, node, output)
    fork = await checkpoint_store.afork(checkpoint_id, title=title)
    last = await checkpoint_store.aget_latest_checkpoint(fork.id)
    return await checkpoint_store.asave_checkpoint(**_edited(graph, last, node, output))


def _checked(graph: Graph, node: str, output: Any) -> Any:
    if node not in graph.nodes:
        raise GraphError("the graph has no such node", (node,))
    return as_stored(output)


def _edited(graph: Graph, last: CheckpointRecord | None, node: str, output: Any) -> dict[str, Any]:
    if last is None:
        raise GraphError("the fork's checkpoint is gone")
    execution = Execution.restored(graph, last)
    execution.edit(node, output, now())
    return execution.checkpoint(node, "input")
