"""What a graph asks a person (``interrupt``) becomes a checkpoint that people and other programs see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from obsku_checkpoint import run_state
from obsku_checkpoint.async_twins import Steps, steps_of
from obsku_checkpoint.contrib.langgraph import projection
from obsku_checkpoint.contrib.langgraph.base import Place, Saver
from obsku_checkpoint.contrib.langgraph.blobs import Stored
from obsku_checkpoint.contrib.langgraph.sql import NEW_RECORD, QUESTIONS
from obsku_checkpoint.records import NodeResult
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.store.calls import Write, atomic

#: how the path of a task begins that an edge leads to: the name of its node follows
PULL = "~__pregel_pull, "


class Questions(Saver):
    def _record_questions(self, place: Place) -> Steps[None]:
        """Save a checkpoint that asks what the tasks of this one ask, unless the newest does already.

        Only of the graph itself: what a sub-graph asks, it asks as well.
        """
        if not place.namespace:
            yield from atomic(partial(self._recorded, place))

    def _recorded(self, place: Place) -> Steps[None]:
        yield from self.store._sql.lock_session(place.session_id)
        parameters = {"session_id": place.session_id, "namespace": "", "checkpoint_id": place.checkpoint_id}
        rows = yield QUESTIONS, parameters
        if not rows:
            return  # the checkpoint is still to come, and looks for the question
        store = self.store
        current = yield from steps_of(DjangoCheckpointStore.get_checkpoint)(store, rows[0][0], on_corrupt="keep")
        if current is None:
            return
        state = run_state.read(current)
        suffixes = {task_name("", row[1]) for row in rows}
        pending = list(dict.fromkeys(_without(node, suffixes) for node in state.pending))
        nodes = [_node(row[1], row[2], pending) for row in rows]
        asked, done = self._asked(place, rows, nodes)
        if not asked or asked == state.questions:
            return
        results = {
            **{node: result for node, result in state.results.items() if nodes.count(node) < 2},
            **{node: NodeResult(status="completed") for node in done},
            **{node: NodeResult(status="pending", interrupt=question) for node, question in asked.items()},
        }
        open = [node for node in state.pending if nodes.count(node) < 2 and node not in done]
        record = yield from steps_of(DjangoCheckpointStore.save_checkpoint)(
            store,
            place.session_id,
            step=current.step,
            node_results=run_state.write(
                results,
                run=state.run or "",
                complete_everywhere=False,
                asked=[*asked],
                iterations=state.iterations,
                graph=state.graph,
                by=projection.BY,
            ),
            pending_nodes=list(dict.fromkeys([*open, *asked])),
            parent_id=current.id,
            node_id=next(iter(asked)),
            source="interrupt",
        )
        yield Write(NEW_RECORD, {**parameters, "record_id": record.id})

    def _asked(
        self, place: Place, rows: Sequence[Sequence[Any]], nodes: Sequence[str]
    ) -> tuple[dict[str, dict[str, Any]], set[str]]:
        """Node -> its question, and the nodes that have asked and are done; of a task that asks several, the last
        question, which is what an answer is for. Of several tasks of one node, each is a node here.
        """
        asked: dict[str, dict[str, Any]] = {}
        done: set[str] = set()
        for node, (_, task_id, _, type, data, is_done) in zip(nodes, rows, strict=True):
            name = node if nodes.count(node) == 1 else task_name(node, task_id)
            if is_done:
                done.add(name)
                continue
            where = (place.checkpoint_id or "", "__interrupt__")
            interrupts = self._encoding.read(where, Stored(type, bytes(data)), {})
            last = interrupts[-1] if isinstance(interrupts, list | tuple) and interrupts else interrupts
            asked[name] = question(getattr(last, "value", last))
        return asked, done


def task_name(node: str, task_id: str) -> str:
    """What one of several tasks of a node is called."""
    return f"{node} {task_id[:8]}"


def _without(name: str, suffixes: Iterable[str]) -> str:
    """The node that a task is of."""
    return next((name.removesuffix(suffix) for suffix in suffixes if name.endswith(suffix)), name)


def question(value: Any) -> dict[str, Any]:
    """What `interrupt` was called with, as our own graphs ask."""
    if isinstance(value, dict):
        asked = projection.json_plus(value)
        return asked if "reason" in asked else {"reason": "", **asked}
    return {"reason": value if isinstance(value, str) else repr(value)}


def _node(task_id: str, task_path: str, pending: Sequence[str]) -> str:
    if task_path.startswith(PULL):
        return task_path.removeprefix(PULL)
    return pending[0] if len(pending) == 1 else task_name("task", task_id)
