"""The state machine of one run: which nodes may start, what follows from a finished one, what its checkpoint holds.

Does no work and calls nothing but the graph's conditions. Its state is in two parts: what the checkpoints hold
(`stored_run.py`), and what this process has at work (`schedule.py`).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from obsku_checkpoint import codec, run_state
from obsku_checkpoint.errors import GraphError, SerializationError
from obsku_checkpoint.graph import answering
from obsku_checkpoint.graph.context import Context
from obsku_checkpoint.graph.cycles import Cycles, judged
from obsku_checkpoint.graph.definition import Edge, Graph
from obsku_checkpoint.graph.questions import Answer, as_stored
from obsku_checkpoint.graph.results import EventType, Outcome, RunResult, Times, described
from obsku_checkpoint.graph.schedule import Schedule
from obsku_checkpoint.graph.stored_run import StoredRun, new_identity
from obsku_checkpoint.records import CheckpointRecord, Source


class Execution:
    def __init__(
        self, graph: Graph, session_id: str, namespace: str, last: CheckpointRecord | None, run: StoredRun
    ) -> None:
        """A run whose next checkpoint follows ``last`` in the namespace."""
        self.graph = graph
        self.session_id = session_id
        self.namespace = namespace
        self.run = run
        self.cycles = Cycles(run)
        self._schedule = Schedule(graph)
        #: the namespace's newest checkpoint, and the one that the next is the child of
        self.last = last
        self._parent_id = last.id if last else None
        #: whether the state has changed since it was saved
        self.changed = True
        #: source and node of the next checkpoint, before any node is started
        self.first_source: Source = "input"
        self.first_node: str | None = None
        self._events: list[tuple[EventType, dict[str, Any]]] = []
        #: nodes that are graphs and were given answers by the caller of this run
        self._answered: set[str] = set()
        #: nodes that are graphs which ask, and in which more than that is to do
        self._entered: set[str] = set()
        #: the nodes that are at work by the last checkpoint
        self.saved_working: list[str] = []
        #: whether answers were given while those are at work
        self.has_answers_to_keep = False

    @classmethod
    def begun(
        cls, graph: Graph, session_id: str, namespace: str, last: CheckpointRecord | None, *, input: Any, run: str = ""
    ) -> Execution:
        """A new run, after whatever the namespace holds."""
        return cls(graph, session_id, namespace, last, StoredRun(graph, run or new_identity(), input))

    @classmethod
    def restored(cls, graph: Graph, last: CheckpointRecord, *, input: Any = None) -> Execution:
        """The run of the namespace's newest checkpoint; an ``input`` is for the nodes that are still to run."""
        self = cls(graph, last.session_id, last.namespace, last, StoredRun.read(graph, last))
        self._take_up()
        self.saved_working = run_state.read(last).working
        if input is not None:
            self.run.input = as_stored(input)
            self.changed = True
        return self

    @classmethod
    def forked(
        cls,
        graph: Graph,
        session_id: str,
        namespace: str,
        stored: CheckpointRecord,
        last: CheckpointRecord | None,
        run: str | None,
    ) -> Execution:
        """Go on, as the run of this name (or as the same), from a checkpoint of the session that was forked."""
        self = cls(graph, session_id, namespace, last, StoredRun.read(graph, stored, elsewhere=True))
        self._take_up()
        self.run.run = run or self.run.run
        self._parent_id = stored.id
        self.first_source = "fork"
        self.changed = True
        return self

    def edit(self, name: str, output: Any, time: int) -> None:
        """Count the node as completed with this output, and run what follows from it again."""
        self.run.results.complete(name, output, {"startedAt": time, "completedAt": time})
        again = self.graph.descendants(name)
        self.run.results.forget_unfinished(again)
        self.run.pending = self.graph.in_order((self.run.pending.keys() | again) - {name})
        self.cycles.forget(again)
        self.cycles.judge(name, output, "edited output")

    # -- questions and answers

    def answer(self, answers: Mapping[str, Any] | None, answer: Any = None) -> None:
        """`answering.give` them; those of a nested graph are handed down when it is entered."""
        for name in answering.give(self.run, answers, answer):
            self._is_answered(name)
            self._answered.add(name)
            self.first_node = self.first_node or name
        self.changed = True
        self.has_answers_to_keep = bool(self.saved_working)

    def _is_answered(self, name: str) -> None:
        if not self.run.results.questions(name):
            self._schedule.held.discard(name)

    def hand_down(self, name: str) -> tuple[list[Answer], bool]:
        """The answers for the graph that the node is, and whether they were given to this very run."""
        is_new = name in self._answered
        self._answered.discard(name)
        return self.run.results.hand_down(name), is_new

    # -- what may start

    def sort(self) -> None:
        """Find the nodes that may start, once."""
        if not self._schedule.is_sorted:
            self._sort()

    def start(self) -> list[Context]:
        """Those that may start now, each once; they count as running until they are recorded."""
        self.sort()
        started = self._schedule.start()
        for name in started:
            for edge in self.cycles.begin(name):
                self._tell_iteration("iteration_started", edge)
        return [self._context(name, edges) for name, edges in started.items()]

    def _context(self, name: str, taken: list[Edge]) -> Context:
        run, graph = self.run, self.graph
        edges = taken + [edge for edge in graph.returning[name] if self.cycles.count(edge)]
        return Context(
            input=run.input,
            outputs={edge.source: run.results.output(edge.source) for edge in edges},
            session_id=self.session_id,
            namespace=self.namespace,
            node=name,
            iteration=self.cycles.iteration(name),
            idempotency_key=self._key(name, [self.cycles.count(edge) for edge in graph.cycles[name]]),
        )

    # -- what has happened

    def record(self, name: str, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._failed(name, outcome.error, outcome.times, outcome.nested)
        elif outcome.question is not None:
            self._interrupted(name, outcome)
        else:
            self._completed(name, outcome.output, outcome.times)

    def _completed(self, name: str, output: Any, times: Times) -> None:
        try:
            output = as_stored(output)
            back = self.cycles.back_edge(name, output)
        except Exception as error:  # noqa: BLE001 - conditions are the caller's code, and may raise anything
            self._failed(name, described(error), times)
            return
        self.run.results.complete(name, output, times)
        self._finish(name)
        self._end_iterations(name, back)
        if back:
            self.cycles.go_back(back)
            self._sort()
        else:
            self._settle()

    def _failed(self, name: str, error: str, times: Times, nested: str | None = None) -> None:
        self.run.results.fail(name, error, times, nested)
        self.run.pending.pop(name)
        self._schedule.hold(name)
        self._tell_result(name)

    def _interrupted(self, name: str, outcome: Outcome) -> None:
        try:
            question, within = as_stored([outcome.question, outcome.within])
        except SerializationError as error:
            self._failed(name, described(error), outcome.times)
            return
        results = self.run.results
        self._schedule.hold(name)
        if results.questions(name) == (within or {"": question}) and results.nested(name) == outcome.nested:
            return  # a nested graph that was entered in vain
        results.ask(name, question, outcome.times, within, outcome.nested)
        self.run.asks(name)
        self._tell_result(name)

    def _finish(self, name: str) -> None:
        self.run.pending.pop(name)
        self._schedule.finished(name)
        self._tell_result(name)

    def _tell_result(self, name: str) -> None:
        self.changed = True
        result = self.run.results.all[name]
        if "interrupt" in result:
            self._tell("interrupted", node=name, iteration=self.cycles.iteration(name), question=result["interrupt"])
            return
        self._tell(
            "node_finished",
            node=name,
            iteration=self.cycles.iteration(name),
            status=result["status"],
            output=result.get("output") if result["status"] == "completed" else None,
            error=result.get("error"),
        )

    def _end_iterations(self, source: str, back: Edge | None) -> None:
        for edge in self.cycles.end(source, back):
            self._tell_iteration("iteration_finished", edge)

    def _tell_iteration(self, type: EventType, edge: Edge) -> None:
        self._tell(type, edge=edge.name, iteration=self.cycles.count(edge))

    def _tell(self, type: EventType, **fields: Any) -> None:
        self._events.append((type, fields))

    def take_events(self) -> list[tuple[EventType, dict[str, Any]]]:
        """What has happened since this was last called: the type of an `Event`, and its fields."""
        events, self._events = self._events, []
        return events

    # -- what is kept

    def working(self, most: int) -> list[str]:
        """The nodes at work, or about to begin; of many that wait for their turn, the first ones.

        A nested graph that asks is entered as well, to learn whether there is more to do in it: that is no work.
        """
        idle = {*self.run.asking} - self._entered
        return list(islice((name for name in self._schedule.at_work() if name not in idle), most))

    @property
    def has_work(self) -> bool:
        return bool(self.working(1))

    @property
    def must_announce(self) -> bool:
        """Whether whoever answers an open question would not learn that nodes are at work."""
        return bool(self.run.asking) and self.has_work and not self.saved_working

    def enter(self, name: str) -> None:
        """There is work to do in the graph that the node is."""
        self._entered.add(name)

    @property
    def last_node(self) -> str | None:
        """The node that the last checkpoint was saved after."""
        return self.last.node_id if self.last else None

    def checkpoint(self, node: str | None, source: Source, working: Sequence[str] = ()) -> dict[str, Any]:
        """The arguments of `CheckpointStore.save_checkpoint`; `saved` is to be called with its result."""
        return {
            "session_id": self.session_id,
            "namespace": self.namespace,
            # Not just the next free one: if another process saved it first, both are at work on this run.
            "version": self.last.version + 1 if self.last else 1,
            "step": self.last.step + 1 if self.last else 0,
            "parent_id": self._parent_id,
            "node_id": node,
            "source": source,
            **self.run.columns(working),
        }

    def saved(self, record: CheckpointRecord, working: Sequence[str] = ()) -> None:
        self.last = record
        self.saved_working = list(working)
        self._parent_id = record.id
        self.changed = False
        self.run.saved(record)

    def take_kept_answers(self, newest: CheckpointRecord) -> bool:
        """Go on from ``newest``, if all that it adds to the last checkpoint are answers for this run."""
        kept = answering.kept(self.last, newest) if self.last else {}
        for name, result in kept.items():
            self.run.results.all[name] = result
            if not self.run.results.questions(name):
                self.run.asks_no_more(name)
            self._is_answered(name)
        if kept:
            self.last = newest
            self._parent_id = newest.id
            self._sort()
        return bool(kept)

    def result(self) -> RunResult:
        if self.last is None:
            raise GraphError("the run has no checkpoint")
        results, questions = self.run.results, self.run.questions()
        failed = [name for name in self.graph.order if results.status(name) == "failed"]
        completed = [name for name in self.graph.ends if results.status(name) == "completed"]
        return RunResult(
            status="failed" if failed else "interrupted" if questions else "complete",
            outputs={name: results.output(name) for name in completed if name not in self.run.pending},
            errors={name: str(results.all[name].get("error")) for name in failed},
            questions=questions,
            checkpoint=self.last,
        )

    # -- within

    def _take_up(self) -> None:
        """After a checkpoint was read."""
        self.changed = False
        # A nested graph is always entered: it knows itself whether its question has been answered.
        self._schedule.held = {name for name in self.run.asking if not isinstance(self.graph.nodes[name].run, Graph)}
        if self.run.is_foreign:
            self.cycles.judge_finished()

    def _sort(self) -> None:
        self._schedule.sort(self.run.pending)
        self._settle()

    def _settle(self) -> None:
        """Skip the nodes that no edge leads to, and queue those that may start."""
        for name in self._schedule.next_ones():
            incoming = self.graph.incoming[name]
            try:
                taken = [edge for edge in incoming if self._is_taken(edge)]
            except Exception as error:  # noqa: BLE001 - as above
                self._failed(name, described(error), {})
                continue
            if taken or not incoming:
                self._schedule.ready[name] = taken
            else:
                self.run.results.skip(name)
                self._finish(name)
                self._end_iterations(name, None)

    def _is_taken(self, edge: Edge) -> bool:
        if self.run.results.status(edge.source) != "completed":
            return False
        return edge.condition is None or judged(edge.condition, self.run.results.output(edge.source))

    def _key(self, name: str, iterations: list[int]) -> str:
        # JSON tells apart what the names, which may hold any character, would mix up.
        parts = codec.dumps([self.session_id, self.namespace, self.run.run, name, iterations])
        return str(uuid.uuid5(uuid.NAMESPACE_OID, parts))
