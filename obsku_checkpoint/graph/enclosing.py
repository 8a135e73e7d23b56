"""Going on with a fork of a checkpoint that is inside a nested graph: the graphs around it are forked with it.

`CheckpointStore.fork` copies one checkpoint. Where that is a nested graph's, the run around it is in the session that
was forked, in the state that it had when the checkpoint was saved.
"""

from __future__ import annotations

from typing import Any

from obsku_checkpoint import run_state
from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph.callers import Caller
from obsku_checkpoint.graph.definition import Graph
from obsku_checkpoint.graph.execution import Execution
from obsku_checkpoint.graph.stored_run import StoredRun
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.run_state import SEPARATOR


async def enclosing_run(caller: Caller, graph: Graph, fork: CheckpointRecord, *, input: Any = None) -> Execution | None:
    """The run of ``graph`` around the newest checkpoint of a fork; None where that is of ``graph`` itself.

    Where the fork has gone on already, its own run around it. Raises `GraphError` where the run around it is gone.
    """
    names = fork.namespace.split(SEPARATOR)
    depth = next((depth for depth in range(1, len(names) + 1) if _is_nested(graph, names[-depth:])), 0)
    if fork.source != "fork" or not depth:
        return None
    if existing := await caller.ask("get_latest_checkpoint", fork.session_id, namespace=SEPARATOR.join(names[:-depth])):
        return Execution.restored(graph, existing, input=input)
    copied, original = fork, await caller.ask("get_checkpoint", fork.parent_id) if fork.parent_id else None
    execution = None
    for level in range(1, depth + 1):
        namespace, node = SEPARATOR.join(names[:-level]), names[-level]
        around = await _state_then(caller, original, namespace) if original else None
        if around is None:
            raise GraphError(f"checkpoint {fork.id} is inside a nested graph, and the run around it is gone", (node,))
        execution = Execution.forked(
            _graph_at(graph, names[len(names) - depth : -level]), fork.session_id, namespace, around, None, None
        )
        _goes_on_inside(execution.run, node, copied)
        if level < depth:
            copied = await caller.ask("save_checkpoint", **execution.checkpoint(around.node_id, "fork"))
    if execution and input is not None:
        execution.run.input = input
    return execution


def _goes_on_inside(run: StoredRun, name: str, nested: CheckpointRecord) -> None:
    """The graph that the node is goes on from its checkpoint ``nested``, and asks what that asks."""
    run.results.stands_at(name, nested.id)
    run.pending = run.graph.in_order({*run.pending, name})
    if within := run_state.read(nested).questions:
        run.results.ask(name, next(iter(within.values())), {}, within, nested.id)
        run.asks(name)


def _is_nested(graph: Graph, names: list[str]) -> bool:
    try:
        _graph_at(graph, names)
    except KeyError:
        return False
    return True


def _graph_at(graph: Graph, names: list[str]) -> Graph:
    """The graph that the names lead to, each a node of the one before. Raises KeyError."""
    for name in names:
        node = graph.nodes[name].run
        if not isinstance(node, Graph):
            raise KeyError(name)
        graph = node
    return graph


async def _state_then(caller: Caller, inner: CheckpointRecord, namespace: str) -> CheckpointRecord | None:
    """The newest checkpoint of the namespace that was saved before ``inner``."""
    limit = 10
    while True:
        saved = await caller.ask("list_checkpoints", inner.session_id, namespace=namespace, limit=limit)
        for each in saved:
            if each.created_at < inner.created_at:
                return each  # type: ignore[no-any-return]  # of a store's method, called by name
        if len(saved) < limit:
            return None
        limit *= 10
