"""The state of a run that its checkpoints hold: read from one, changed, and written to the next."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from obsku_checkpoint import run_state
from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph.definition import Graph
from obsku_checkpoint.graph.node_results import NodeResults
from obsku_checkpoint.graph.questions import as_stored
from obsku_checkpoint.records import CheckpointRecord, CycleState
from obsku_checkpoint.run_state import GraphReference, Question, RunState

#: the statuses of nodes that are not run (again)
FINISHED = ("completed", "skipped")


class StoredRun:
    """A node is finished if it has a result and is not pending; a pending node may have a result, too: that of the
    iteration before, which a back edge carries to its target.
    """

    def __init__(self, graph: Graph, run: str, input: Any = None) -> None:
        """A new run. Raises `SerializationError` for an input that the store could not keep."""
        self.graph = graph
        #: its identity
        self.run = run
        #: whether the npm package, or another program, saved what was read
        self.is_foreign = False
        self.input = as_stored(input)
        self.results = NodeResults(graph, {})
        #: the nodes to run, in the graph's order
        self.pending: dict[str, None] = dict.fromkeys(graph.order)
        #: back edge -> how often it has been taken; and which was taken last
        self.iterations: dict[str, int] = {}
        self.last_taken: str | None = None
        #: the nodes that ask, in the order in which they asked
        self._asked: dict[str, None] = {}
        #: the node that asks where the npm package's framework saved the checkpoint, which stores no question
        self._asked_elsewhere: str | None = None
        #: the checkpoint that holds the graph; None until one does
        self._graph_is_in: str | None = None

    # -- from a checkpoint

    @classmethod
    def read(cls, graph: Graph, stored: CheckpointRecord, *, elsewhere: bool = False) -> StoredRun:
        """``elsewhere``: the checkpoint is in another session than the run goes on in.

        Raises `GraphError` where this graph cannot go on with it, `CheckpointCorruptionError`.
        """
        state = run_state.read(stored)
        _refuse(graph, stored, state)
        self = cls(graph, stored.id if state.run is None else state.run, state.input)
        self.is_foreign = state.run is None
        results = {
            name: result
            for name, result in state.results.items()
            # What is unfinished of a node that the graph has no longer stays so for ever.
            if name in graph.nodes or result["status"] in FINISHED
        }
        self.results = NodeResults(graph, results)
        to_do = set(state.pending)
        for asked in state.pending:
            if asked not in stored.pending_nodes and asked in graph.nodes:
                # The npm package counts a node that asks in a further iteration as finished: it has an older result.
                to_do |= graph.descendants(asked)
        to_do |= {name for name in graph.order if self.results.status(name) not in FINISHED}
        self.pending = graph.in_order(to_do)
        self.iterations = dict(state.iterations)
        taken = stored.cycle_state.get("backEdge") if isinstance(stored.cycle_state, dict) else None
        self.last_taken = taken if taken in self.iterations else None
        for path in state.questions:
            name = graph.node_at(path)[0]
            if self.results.questions(name):
                self._asked[name] = None
            elif name in self.pending and not self._asked:
                self._asked_elsewhere = name
        elsewhere |= stored.source == "fork"
        if not elsewhere and state.graph and state.graph.digest == graph.description.digest:
            self._graph_is_in = state.graph.checkpoint_id if isinstance(state.graph, GraphReference) else stored.id
        return self

    # -- to the next

    def columns(self, working: Sequence[str]) -> dict[str, Any]:
        """Those of the next checkpoint that hold the run. ``working`` are the nodes at work."""
        cycle_state: CycleState | None = None
        if self.last_taken is not None:
            cycle_state = {"backEdge": self.last_taken, "iteration": self.iterations[self.last_taken]}
        description = self.graph.description
        graph: Any = description
        if self._graph_is_in:
            graph = GraphReference(digest=description.digest, checkpoint_id=self._graph_is_in)
        return {
            "node_results": run_state.write(
                self.results.all,
                run=self.run,
                input=self.input,
                complete_everywhere=self._is_complete() and not self.graph.bodies,
                iterations=self.iterations,
                asked=self.asking,
                working=working,
                graph=graph,
            ),
            "pending_nodes": list(self.pending),
            "cycle_state": cycle_state,
        }

    def saved(self, record: CheckpointRecord) -> None:
        self._graph_is_in = self._graph_is_in or record.id

    # -- questions

    @property
    def asking(self) -> list[str]:
        """The nodes that ask, in the order in which they asked."""
        return [name for name in self._asked if name in self.pending]

    def questions(self) -> dict[str, Question]:
        """Path -> open question, in the same order."""
        return {
            f"{name}{run_state.SEPARATOR}{path}" if path else name: question
            for name in self.asking
            for path, question in self.results.questions(name).items()
        }

    def answerable(self) -> dict[str, Question]:
        """The same; where the npm package's framework asked, its node, with a question without words."""
        if questions := self.questions():
            return questions
        return {self._asked_elsewhere: {}} if self._asked_elsewhere else {}

    def asks(self, name: str) -> None:
        """The node has asked, after all others that ask."""
        self._asked.pop(name, None)
        self._asked[name] = None

    def asks_no_more(self, name: str) -> None:
        self._asked.pop(name, None)
        self._asked_elsewhere = None

    # -- within

    def _is_complete(self) -> bool:
        return not self.pending and all(result["status"] in FINISHED for result in self.results.all.values())


def new_identity() -> str:
    """Of a new run. Short, since it stands in each of its checkpoints."""
    return secrets.token_urlsafe(9)


def belongs_to(record: CheckpointRecord | None, run: str) -> bool:
    """Whether the checkpoint is of the run with this identity."""
    return record is not None and run_state.read(record).run == run


def _refuse(graph: Graph, stored: CheckpointRecord, state: RunState) -> None:
    if state.by:
        raise GraphError(f"checkpoint {stored.id} is of a {state.by} run: only its adapter can go on with it")
    entries = [name for name in stored.node_results if not run_state.is_reserved(name)]
    if bad := [name for name in entries if name not in state.results]:
        raise GraphError("the checkpoint's node_results hold no status for", (*bad,))
    names = {*state.results, *state.pending}
    if names and not names & graph.nodes.keys():
        raise GraphError(f"the graph has no node of the run that checkpoint {stored.id} is of", (*sorted(names)[:10],))
