"""The state of one run: which nodes may start, what follows from a finished one, what its checkpoint holds.

Does no work and calls nothing but the graph's conditions. All of it can be read back from a checkpoint alone:

* a node is finished if it has a result and is not among the pending nodes; a pending node may have a result, too: that
  of the iteration before, which a back edge carries to its target;
* ``cycle_state`` names the back edge taken last, and counts how often each has been taken (``iterations``);
* the entry's result holds the run's ``input`` and identity (``run``); that of an unfinished node, its question, its
  answers, and the last checkpoint of the graph ``nested`` in it.
"""

from __future__ import annotations

import copy
import uuid
from collections import deque
from collections.abc import Collection, Mapping
from graphlib import TopologicalSorter
from typing import Any

from obsku_checkpoint import codec
from obsku_checkpoint.errors import CheckpointCorruptionError, GraphError, SerializationError
from obsku_checkpoint.graph.context import Context
from obsku_checkpoint.graph.definition import Edge, Graph, Judge
from obsku_checkpoint.graph.node_results import NodeResults, as_stored, run_of
from obsku_checkpoint.graph.results import Outcome, RunResult, Times, described
from obsku_checkpoint.protocols import UNSET
from obsku_checkpoint.records import CheckpointRecord, CorruptValue, NodeResult, Source

#: a node that is pending in ``node_results`` but not in ``pending_nodes`` is how the npm package writes a skipped one
FINISHED = ("completed", "skipped", "pending")


class Execution:
    def __init__(self, graph: Graph, session_id: str, namespace: str, last: CheckpointRecord | None) -> None:
        """A new run after the checkpoint ``last`` of the namespace; `restore` goes on with that checkpoint's run."""
        self.graph = graph
        self.session_id = session_id
        self.namespace = namespace
        #: the checkpoint saved last, and whether the state has changed since
        self.last = last
        self.changed = False
        #: where the next checkpoint comes from: "input", or "fork" where the run was taken over from another session
        self.origin: Source = "input"
        #: the node that was given an answer, for the checkpoint that holds it
        self.opened_by: str | None = None
        self._parent = last.id if last else None
        #: nodes whose results are new since the last call of `news`, and the iterations they are of
        self._news: list[tuple[str, int]] = []
        self.results = NodeResults(graph, {})
        self._pending = dict.fromkeys(graph.order)
        self._iterations: dict[str, int] = {}
        self._last_taken: str | None = None
        self._sorter: TopologicalSorter[str] | None = None
        self._taken: dict[str, list[Edge]] = {}
        self._running: set[str] = set()
        self._ready: deque[str] = deque()
        #: nodes that end this run unfinished: failed, or waiting for an answer
        self._held: set[str] = set()
        self._handed_down: dict[str, Any] = {}

    def begin(self, run: str, input: Any) -> None:
        self.results.begin(run, input)
        self.changed = True

    def restore(self, stored: CheckpointRecord, *, input: Any = None) -> None:
        """Take over what the checkpoint holds; with ``input``, it is what the nodes still to run are given."""
        for column in ("node_results", "pending_nodes", "cycle_state"):
            if isinstance(bad := getattr(stored, column), CorruptValue):
                raise CheckpointCorruptionError("$", bad.reason, bad.text, "checkpoints", stored.id, column)
        self.results = NodeResults(self.graph, stored.node_results)
        to_do = set(stored.pending_nodes)
        asked = stored.node_id
        if stored.source == "interrupt" and asked in self.graph.nodes and asked not in to_do:
            # The npm package counts a node that asks in a further iteration as finished, by its result of the first.
            to_do |= {asked} | self.graph.descendants(asked)
        open = {name for name in self.graph.order if self.results.status(name) not in FINISHED}
        self._pending = self._in_order(to_do | open)
        # A nested graph is always entered: it knows itself whether its question has been answered.
        self._held = {name for name in self.questions() if not isinstance(self.graph.nodes[name].run, Graph)}
        if state := stored.cycle_state:
            self._last_taken = state["backEdge"]
            self._iterations = dict(state.get("iterations") or {state["backEdge"]: state["iteration"]})
        if input is not None:
            self.results.set_input(input)
            self.changed = True

    def take_over(self, stored: CheckpointRecord, run: str) -> None:
        """Go on, as the run of this name, from a checkpoint of the session that this one was forked from."""
        self.restore(stored)
        self.results.rename_run(run)
        self._parent = stored.id
        self.origin = "fork"
        self.changed = True

    def edit(self, name: str, output: Any, moment: int) -> None:
        """Count the node as completed with this output, and run what follows from it again."""
        self.results.complete(name, output, {"startedAt": moment, "completedAt": moment})
        again = self.graph.descendants(name)
        self.results.forget_unfinished(again)
        self._pending = self._in_order((self._pending.keys() | again) - {name})
        self._iterations.update({edge: 0 for edge, body in self.graph.bodies.items() if body <= again})
        try:
            back = self._back_edge(name, output)
        except Exception as error:
            raise GraphError(f"a condition for the edited output raised {described(error)}", (name,)) from error
        if back:
            self._go_back(back)

    # -- questions and answers

    def asking(self) -> str | None:
        """The node that the next answer is for."""
        if name := next(iter(self.questions()), None):
            return name
        # The npm package stores no question, only which node asked; a fork of its checkpoint has the source "fork".
        last = self.last
        if last is None or last.node_id not in self._pending:
            return None
        foreign = last.source == "interrupt" or (last.source == "fork" and last.node_id not in self.results.all)
        return last.node_id if foreign else None

    def questions(self) -> dict[str, dict[str, Any]]:
        """Node -> its open question, in the order in which they were asked."""
        asked = {name: self.results.question(name) for name in self.results.all if name in self._pending}
        return {name: question for name, question in asked.items() if question}

    def answer(self, answer: Any) -> None:
        """Give the answer to the first open question; that of a nested graph is handed down when it is entered."""
        name = self.asking()
        if name is None:
            raise GraphError("there is no open question to answer: resume without an answer")
        if isinstance(self.graph.nodes[name].run, Graph):
            self._handed_down[name] = answer
            return
        self.results.answer(name, answer)
        self._held.discard(name)
        self.opened_by = name
        self.changed = True

    def handed_down(self, name: str) -> Any:
        """The answer for the nested graph, once."""
        return self._handed_down.pop(name, UNSET)

    # -- what may start

    def start(self) -> list[str]:
        """The nodes that may start now; each is handed out once, and counts as running until it is recorded."""
        if self._sorter is None:
            self._sort()
        started = list(self._ready)
        self._ready.clear()
        self._running.update(started)
        return started

    def context(self, name: str) -> Context:
        edges = self._taken.pop(name) + [edge for edge in self.graph.returning[name] if self._iterations.get(edge.name)]
        cycles = self.graph.cycles[name]
        return Context(
            input=self.results.input,
            outputs={edge.source: self.results.output(edge.source) for edge in edges},
            session_id=self.session_id,
            namespace=self.namespace,
            node=name,
            iteration=self._iteration(name),
            idempotency_key=self._key(name, [self._iterations.get(edge.name, 0) for edge in cycles]),
        )

    def belongs_to(self, run: str) -> bool:
        """Whether the last checkpoint is of this run."""
        return self.last is not None and run_of(self.last.node_results) == run

    # -- what has happened

    def record(self, name: str, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._failed(name, outcome.error, outcome.times, outcome.nested)
        elif outcome.question is not None:
            self._interrupted(name, outcome.question, outcome.times, outcome.nested)
        else:
            self._completed(name, outcome.output, outcome.times)

    def _completed(self, name: str, output: Any, times: Times) -> None:
        try:
            output = as_stored(output)
            back = self._back_edge(name, output)
        except Exception as error:  # noqa: BLE001 - conditions are the caller's code, and may raise anything
            self._failed(name, described(error), times)
            return
        self.results.complete(name, output, times)
        self._finish(name)
        if back:
            self._go_back(back)
            self._sort()
        self._settle()

    def _failed(self, name: str, error: str, times: Times, nested: str | None = None) -> None:
        self.results.fail(name, error, times, nested)
        self._pending.pop(name)
        self._held.add(name)
        self._running.discard(name)
        self._told(name)

    def _interrupted(self, name: str, question: dict[str, Any], times: Times, nested: str | None) -> None:
        try:
            question = as_stored(question)
        except SerializationError as error:
            self._failed(name, described(error), times)
            return
        self._running.discard(name)
        self._held.add(name)
        if self.results.question(name) == question and self.results.nested(name) == nested:
            return  # a nested graph that was entered in vain
        self.results.ask(name, question, times, nested)
        self._told(name)

    def news(self) -> list[tuple[str, int, NodeResult]]:
        """The nodes with results that are new since this was last asked, their iterations and their results."""
        news, self._news = self._news, []
        return [(name, iteration, self.results.all[name]) for name, iteration in news]

    # -- what is kept

    def checkpoint(self, node: str | None, source: Source) -> dict[str, Any]:
        """The arguments of `CheckpointStore.save_checkpoint`; `saved` must be told what comes of it."""
        cycle_state = None
        if self._last_taken is not None:
            iteration = self._iterations[self._last_taken]
            cycle_state = {"backEdge": self._last_taken, "iteration": iteration, "iterations": self._iterations}
        return {
            "session_id": self.session_id,
            "namespace": self.namespace,
            # Not just the next free one: if another process saved it first, both are at work on this run.
            "version": self.last.version + 1 if self.last else 1,
            "step": self.last.step + 1 if self.last else 0,
            "parent_id": self._parent,
            "node_id": node,
            "node_results": self.results.all,
            "pending_nodes": list(self._pending),
            "cycle_state": cycle_state,
            "source": source,
        }

    def saved(self, record: CheckpointRecord) -> None:
        self.last = record
        self._parent = record.id
        self.changed = False

    def result(self) -> RunResult:
        if self.last is None:
            raise GraphError("the run has no checkpoint")
        failed = [name for name in self.graph.order if self.results.status(name) == "failed"]
        questions = self.questions()
        status: Any = "failed" if failed else "interrupted" if questions else "complete"
        completed = [name for name in self.graph.ends if self.results.status(name) == "completed"]
        return RunResult(
            status=status,
            outputs={name: self.results.output(name) for name in completed if name not in self._pending},
            errors={name: str(self.results.all[name].get("error")) for name in failed},
            questions=questions,
            checkpoint=self.last,
        )

    # -- within

    def _in_order(self, names: Collection[str]) -> dict[str, None]:
        return {name: None for name in self.graph.order if name in names}

    def _told(self, name: str) -> None:
        self._news.append((name, self._iteration(name)))
        self.changed = True

    def _iteration(self, name: str) -> int:
        cycles = self.graph.cycles[name]
        return self._iterations.get(cycles[-1].name, 0) if cycles else 0

    def _finish(self, name: str) -> None:
        self._pending.pop(name)
        self._running.discard(name)
        if self._sorter:
            self._sorter.done(name)
        self._told(name)

    def _sort(self) -> None:
        waits: Mapping[str, set[str]] = self.graph.waits_for
        open = self._pending.keys() | self._held
        # What an earlier sorter has handed out, this one hands out again.
        self._ready.clear()
        self._sorter = TopologicalSorter({name: waits[name] & open for name in self.graph.order if name in open})
        self._sorter.prepare()
        self._settle()

    def _settle(self) -> None:
        """Skip the nodes that no edge leads to, and queue those that may start."""
        while self._sorter and (names := self._sorter.get_ready()):
            for name in names:
                if name in self._held or name in self._running:
                    continue
                try:
                    self._taken[name] = [edge for edge in self.graph.incoming[name] if self._is_taken(edge)]
                except Exception as error:  # noqa: BLE001 - as above
                    self._failed(name, described(error), {})
                    continue
                if self._taken[name] or not self.graph.incoming[name]:
                    self._ready.append(name)
                else:
                    self.results.skip(name)
                    self._finish(name)

    def _is_taken(self, edge: Edge) -> bool:
        if self.results.status(edge.source) != "completed":
            return False
        return edge.condition is None or _judged(edge.condition, self.results.output(edge.source))

    def _back_edge(self, name: str, output: Any) -> Edge | None:
        for edge in self.graph.back_edges[name]:
            left = self._iterations.get(edge.name, 0) < (edge.max_iterations or 0)
            if not left or (edge.until and _judged(edge.until, output)):
                continue
            if edge.condition is None or _judged(edge.condition, output):
                return edge
        return None

    def _go_back(self, taken: Edge) -> None:
        body = self.graph.bodies[taken.name]
        self._pending = self._in_order(self._pending.keys() | body)
        for name, its in self.graph.bodies.items():
            if its <= body and name != taken.name:
                self._iterations[name] = 0
        self._iterations[taken.name] = self._iterations.get(taken.name, 0) + 1
        self._last_taken = taken.name

    def _key(self, name: str, iterations: list[int]) -> str:
        # JSON tells apart what the names, which may hold any character, would mix up.
        parts = codec.dumps([self.session_id, self.namespace, self.results.run, name, iterations])
        return str(uuid.uuid5(uuid.NAMESPACE_OID, parts))


def _judged(judge: Judge, output: Any) -> bool:
    # A copy: what a condition does with the output is its own affair.
    return bool(judge(copy.deepcopy(output)))
