"""What the npm package's framework does with the checkpoints of a session, by its source: read literally."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from obsku_checkpoint.graph import Graph
from obsku_checkpoint.records import CheckpointRecord
from tests.graph.memory_store import MemoryStore


@dataclass(frozen=True)
class Resumed:
    """``refusal`` before anything runs, or what is taken over and what is run; and the next save."""

    refusal: str | None
    taken: frozenset[str]
    run: frozenset[str]
    version: int


def resumed(checkpoints: Sequence[CheckpointRecord], graph: Graph) -> Resumed:
    """What it does with the newest checkpoint of a namespace, by its step and time."""
    newest = max(checkpoints, key=lambda each: (each.step, each.created_at))
    taken: set[str] = set()
    refusal: str | None = None
    for name, result in newest.node_results.items():
        status = result["status"]
        if status == "failed":
            refusal = str(result["error"])
            break
        if status not in ("completed", "skipped") or (status == "skipped" and "output" in result):
            refusal = f"Invalid NodeResult from checkpoint: {name}"
            break
        taken.add(name)
    left = graph.nodes.keys() - taken
    # It knows no counts of back edges: all of them are taken anew.
    again: set[str] = set().union(*graph.bodies.values()) if graph.bodies else set()
    return Resumed(refusal, frozenset(taken), frozenset(left | again), newest.version + 1)


def fork(store: MemoryStore, checkpoint: CheckpointRecord) -> str:
    """The session of its fork: keys that look like integers come first, of ``cycle_state`` two keys are kept."""
    session = store.fork(checkpoint.id)
    (row,) = store.rows[session.id, checkpoint.namespace]
    read = row.read()
    state = read.cycle_state
    kept: Any = state and {"backEdge": state["backEdge"], "iteration": state["iteration"]}
    store.rows[session.id, checkpoint.namespace] = []
    store.save_checkpoint(
        session.id,
        step=read.step,
        node_results=_as_javascript_orders(read.node_results),
        pending_nodes=read.pending_nodes,
        namespace=read.namespace,
        version=read.version,
        parent_id=read.parent_id,
        node_id=read.node_id,
        cycle_state=kept,
        source="fork",
    )
    return session.id


def _as_javascript_orders(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_javascript_orders(item) for item in value]
    if type(value) is not dict:
        return value
    integers = sorted((key for key in value if key.isdecimal() and str(int(key)) == key), key=int)
    return {
        key: _as_javascript_orders(value[key]) for key in [*integers, *(key for key in value if key not in integers)]
    }
