"""How often the cycles of a run have gone back, and whether they go back once more."""

from __future__ import annotations

import copy
from collections.abc import Set as AbstractSet
from typing import Any

from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph.definition import Edge, Judge
from obsku_checkpoint.graph.results import described
from obsku_checkpoint.graph.stored_run import StoredRun


class Cycles:
    def __init__(self, run: StoredRun) -> None:
        self._run = run
        self._graph = run.graph
        #: those in an iteration that this process has begun
        self._begun: set[str] = set()

    def iteration(self, node: str) -> int:
        """That of the innermost cycle around the node."""
        around = self._graph.cycles[node]
        return self.count(around[-1]) if around else 0

    def count(self, edge: Edge) -> int:
        """How often the back edge has been taken."""
        return self._run.iterations.get(edge.name, 0)

    def back_edge(self, source: str, output: Any) -> Edge | None:
        """The one that the output of its source leads back by; what a condition raises is not caught."""
        for edge in self._graph.back_edges[source]:
            left = self.count(edge) < (edge.max_iterations or 0)
            if not left or (edge.until and judged(edge.until, output)):
                continue
            if edge.condition is None or judged(edge.condition, output):
                return edge
        return None

    def go_back(self, edge: Edge) -> None:
        run, body = self._run, self._graph.bodies[edge.name]
        run.pending = self._graph.in_order(run.pending.keys() | body)
        for name, its in self._graph.bodies.items():
            if its <= body and name != edge.name:
                run.iterations[name] = 0
        run.iterations[edge.name] = self.count(edge) + 1
        run.last_taken = edge.name

    def forget(self, nodes: AbstractSet[str]) -> None:
        """Those of the cycles among nodes that are run anew."""
        self._run.iterations |= {edge: 0 for edge, body in self._graph.bodies.items() if body <= nodes}

    def judge(self, source: str, output: Any, kind: str) -> Edge | None:
        """Go back where the output, which is of this kind, leads back. There is no node yet to fail: `GraphError`."""
        try:
            back = self.back_edge(source, output)
        except Exception as error:
            raise GraphError(f"a condition for the {kind} raised {described(error)}", (source,)) from error
        if back:
            self.go_back(back)
        return back

    def judge_finished(self) -> None:
        """The npm package saves a node before it judges the back edges that start there.

        It also runs the nodes after a cycle before the cycle goes back; these are run again with what it comes to.
        """
        run, graph = self._run, self._graph
        for name in graph.order:
            if name in run.pending or run.results.status(name) != "completed":
                continue
            if back := self.judge(name, run.results.output(name), "stored output"):
                body = graph.bodies[back.name]
                after = {each for inner in body for each in graph.descendants(inner)} - body
                run.pending = graph.in_order(run.pending.keys() | after)
                self.forget(after)

    # -- their iterations

    def begin(self, node: str) -> list[Edge]:
        """The cycles of which an iteration begins with this node."""
        begun = [edge for edge in self._graph.returning[node] if edge.name not in self._begun]
        self._begun.update(edge.name for edge in begun)
        return begun

    def end(self, source: str, back: Edge | None) -> list[Edge]:
        """The cycles of which one ends with this node: all, but for those around the cycle that goes back."""
        bodies = self._graph.bodies
        ended = [
            edge for edge in self._graph.back_edges[source] if back is None or bodies[edge.name] <= bodies[back.name]
        ]
        self._begun.difference_update(edge.name for edge in ended)
        return ended


def judged(judge: Judge, output: Any) -> bool:
    # A copy: what a condition does with the output is its own affair.
    return bool(judge(copy.deepcopy(output)))
