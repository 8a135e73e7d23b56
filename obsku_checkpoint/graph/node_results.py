"""The results of a run's nodes, as its checkpoints hold them: what a new result replaces, and what it keeps."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from obsku_checkpoint import codec
from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph.definition import Graph
from obsku_checkpoint.graph.results import Times
from obsku_checkpoint.records import NodeResult


class NodeResults:
    def __init__(self, graph: Graph, stored: dict[str, NodeResult]) -> None:
        """Raises `GraphError` for a stored result that is none."""
        for name, result in stored.items():
            if not isinstance(result, dict) or "status" not in result:
                raise GraphError("the checkpoint's node_results hold no status for", (name,))
        self._graph = graph
        #: node -> result, in the order in which they came
        self.all = dict(stored)
        #: the node whose result holds the run's input and identity: the entry, also if the graph has another by now
        self._root = next((name for name, result in stored.items() if "run" in result), graph.entry)

    def begin(self, run: str, input: Any) -> None:
        self.all[self._root] = {"status": "pending", "run": run}
        self.set_input(input)

    def set_input(self, input: Any) -> None:
        if input is not None:
            root: NodeResult = self.all.get(self._root, {"status": "pending"})
            self.all[self._root] = {**root, "input": as_stored(input)}

    def rename_run(self, run: str) -> None:
        self.all[self._root] = {**self._of(self._root), "run": run}

    @property
    def input(self) -> Any:
        return self._of(self._root).get("input")

    @property
    def run(self) -> str:
        return run_of(self.all)

    def status(self, name: str) -> str | None:
        return self._of(name).get("status")

    def output(self, name: str) -> Any:
        return self._of(name).get("output")

    def answers(self, name: str) -> list[Any]:
        """What the node has been asked and told so far; nothing once it is completed."""
        return self._of(name).get("answers", [])

    def question(self, name: str) -> dict[str, Any] | None:
        """The node's open question."""
        return self._of(name).get("interrupt")

    def nested(self, name: str) -> str | None:
        """The last checkpoint of the nested graph that an unfinished node is."""
        return self._of(name).get("nested")

    def complete(self, name: str, output: Any, times: Times) -> None:
        self._put(name, {"status": "completed", "output": output}, times)

    def skip(self, name: str) -> None:
        self._put(name, {"status": "skipped"}, {})

    def fail(self, name: str, error: str, times: Times, nested: str | None = None) -> None:
        self._put_unfinished(name, {"status": "failed", "error": error}, times, nested)

    def ask(self, name: str, question: dict[str, Any], times: Times, nested: str | None = None) -> None:
        self._put_unfinished(name, {"status": "pending", "interrupt": question}, times, nested)

    def answer(self, name: str, answer: Any) -> None:
        self._put_unfinished(name, {"status": "pending"}, {}, None, [*self.answers(name), as_stored(answer)])

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
        answers: list[Any] | None = None,
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
        for key, moment in times.items():
            result[key] = moment  # type: ignore[literal-required] # the keys of Times are among NodeResult's
        # Taken out first, so that the results stand in the order in which they came.
        before = self.all.pop(name, None)
        if before and name == self._root:
            for key in ("input", "run"):
                if key in before:
                    result[key] = before[key]  # type: ignore[literal-required] # mypy takes no loop over literals
        self.all[name] = result


def run_of(results: dict[str, NodeResult]) -> str:
    """The identity of the run that the results are of; empty for one of the npm package."""
    return next((result["run"] for result in results.values() if "run" in result), "")


def as_stored(value: Any) -> Any:
    """The value as the store will give it back after a crash. Raises `SerializationError`."""
    return codec.loads(codec.dumps(value))
