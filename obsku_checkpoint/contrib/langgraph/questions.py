"""What a graph asks a person (``interrupt``) becomes a checkpoint that people and other programs see."""

from __future__ import annotations

from collections.abc import Sequence
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

INTERRUPT_INDEX = -3


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
        asked = self._asked(place, rows, state.pending)
        if all(state.questions.get(node) == question for node, question in asked.items()):
            return
        questions: dict[str, NodeResult] = {
            node: {"status": "pending", "interrupt": question} for node, question in asked.items()
        }
        record = yield from steps_of(DjangoCheckpointStore.save_checkpoint)(
            store,
            place.session_id,
            step=current.step,
            node_results=run_state.write(
                {**state.results, **questions},
                run=state.run or "",
                complete_everywhere=False,
                asked=[*asked],
                iterations=state.iterations,
                graph=state.graph,
                by=projection.BY,
            ),
            pending_nodes=list(dict.fromkeys([*state.pending, *asked])),
            parent_id=current.id,
            node_id=next(iter(asked)),
            source="interrupt",
        )
        yield Write(NEW_RECORD, {**parameters, "record_id": record.id})

    def _asked(self, place: Place, rows: Sequence[Sequence[Any]], pending: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Node -> its question; of tasks that ask several, the last one, which is what an answer is for."""
        asked: dict[str, dict[str, Any]] = {}
        for _, task_id, task_path, index, type, data in rows:
            if index == INTERRUPT_INDEX:
                where = (place.checkpoint_id or "", "__interrupt__")
                interrupts = self._encoding.read(where, Stored(type, bytes(data)), {})
                last = interrupts[-1] if isinstance(interrupts, list | tuple) and interrupts else interrupts
                asked[_node(task_id, task_path, pending)] = question(getattr(last, "value", last))
        return asked


def question(value: Any) -> dict[str, Any]:
    """What `interrupt` was called with, as our own graphs ask."""
    if isinstance(value, dict):
        asked = projection.json_plus(value)
        return asked if "reason" in asked else {"reason": "", **asked}
    return {"reason": value if isinstance(value, str) else repr(value)}


def _node(task_id: str, task_path: str, pending: Sequence[str]) -> str:
    if task_path.startswith(PULL):
        return task_path.removeprefix(PULL)
    return pending[0] if len(pending) == 1 else f"task {task_id[:8]}"
