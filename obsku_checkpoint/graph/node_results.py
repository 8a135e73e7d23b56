"""The results of a run's nodes, as its checkpoints hold them: what a new result replaces, and what it keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from obsku_checkpoint.graph.definition import Graph
from obsku_checkpoint.graph.questions import Answer
from obsku_checkpoint.graph.results import Times
from obsku_checkpoint.records import NodeResult
from obsku_checkpoint.run_state import Question


class NodeResults:
    def __init__(self, graph: Graph, stored: Mapping[str, NodeResult]) -> None:
        self._graph = graph
        #: node -> result, in the order in which they came. A result is replaced, never changed.
        self.all = dict(stored)

    def status(self, name: str) -> str | None:
        return self._of(name).get("status")

    def output(self, name: str) -> Any:
        return self._of(name).get("output")

    def answers(self, name: str) -> list[Answer]:
        """What the node was answered so far; nothing once it is completed."""
        return self._of(name).get("answers", [])

    def questions(self, name: str) -> dict[str, Question]:
        """Path -> open question: of the node itself (""), or of nodes in the graph that it is."""
        result = self._of(name)
        if within := result.get("questions"):
            return within
        return {"": result["interrupt"]} if "interrupt" in result else {}

    def nested(self, name: str) -> str | None:
        """The last checkpoint of the nested graph that an unfinished node is."""
        return self._of(name).get("nested")

    def complete(self, name: str, output: Any, times: Times) -> None:
        self._put(name, {"status": "completed", "output": output}, times)

    def skip(self, name: str) -> None:
        self._put(name, {"status": "skipped"}, {})

    def fail(self, name: str, error: str, times: Times, nested: str | None = None) -> None:
        self._put_unfinished(name, {"status": "failed", "error": error}, times, nested)

    def ask(
        self,
        name: str,
        question: dict[str, Any],
        times: Times,
        within: dict[str, Any] | None = None,
        nested: str | None = None,
    ) -> None:
        result: NodeResult = {"status": "pending", "interrupt": question}
        if within:
            result["questions"] = within
        self._put_unfinished(name, result, times, nested)

    def answer(self, name: str, path: str, answer: Answer) -> None:
        """Keep the answer to the open question at ``path``, which is open no more."""
        given = [*self.answers(name), answer]
        result: NodeResult = {"status": "pending"}
        if left := {asked: question for asked, question in self.questions(name).items() if asked != path}:
            result["interrupt"] = next(iter(left.values()))
            result["questions"] = left
        self._put_unfinished(name, result, {}, self.nested(name), given)

    def hand_down(self, name: str) -> list[Answer]:
        """The answers for the graph that the node is, once."""
        given = self.answers(name)
        if given:
            self.all[name] = cast("NodeResult", {key: it for key, it in self._of(name).items() if key != "answers"})
        return given

    def stands_at(self, name: str, nested: str) -> None:
        """The graph that the node is goes on from this checkpoint, whatever it came to."""
        self.all.pop(name, None)
        self.all[name] = {"status": "pending", "nested": nested}

    def forget_unfinished(self, names: Collection[str]) -> None:
        """The failures, questions and answers of these nodes: they came of an output that has been edited."""
        for name in names:
            if self.status(name) not in (None, "completed"):
                del self.all[name]

    # -- within

    def _of(self, name: str) -> NodeResult:
        return self.all.get(name) or cast("NodeResult", {})

    def _put_unfinished(
        self,
        name: str,
        result: NodeResult,
        times: Times,
        nested: str | None = None,
        answers: list[Answer] | None = None,
    ) -> None:
        """Keep what the node is given when it is run again: its answers, and its output of the iteration before."""
        if given := answers or self.answers(name):
            result["answers"] = given
        if nested:
            result["nested"] = nested
        if "output" in self._of(name) and any(edge.source == name for edge in self._graph.returning.get(name, ())):
            result["output"] = self.output(name)
        self._put(name, result, times)

    def _put(self, name: str, result: NodeResult, times: Times) -> None:
        for key, time in times.items():
            result[key] = time  # type: ignore[literal-required] # the keys of Times are among NodeResult's
        # Taken out first, so that the results stand in the order in which they came.
        self.all.pop(name, None)
        self.all[name] = result
