"""What a checkpoint says of the run of a graph: `read`, for whoever looks at runs, and `write`, for whoever saves them.

A checkpoint's ``node_results`` hold one entry that is not a node's, ``#run``: the identity of the run, its input, what
was at work, and the graph that ran. To the npm package's framework that entry says that it cannot go on with the run:
it reads a ``failed`` entry first, and then runs nothing. Only a complete run without cycles is complete there as well.
Nobody but this module knows the entry. Knows no Django.

Checkpoints without it are read, too: those of the npm package, which keeps neither the question of a node that asks
nor which nodes were skipped, and those of programs that save checkpoints of their own. `RunState` says the same of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.records import STATE, CheckpointRecord, CorruptValue, NodeResult
from obsku_checkpoint.run_state import graphs
from obsku_checkpoint.run_state.graphs import GraphEdge, GraphNode, GraphReference, RunGraph
from obsku_checkpoint.run_state.questions import Option, Question, options, text_of

__all__ = [
    "A_FAILURE",
    "NOT_A_FAILURE",
    "SEPARATOR",
    "GraphEdge",
    "GraphNode",
    "GraphReference",
    "Option",
    "Question",
    "RunGraph",
    "RunRow",
    "RunState",
    "RunStatus",
    "graph_of",
    "is_reserved",
    "nested_namespace",
    "options",
    "read",
    "write",
]

RunStatus = Literal["working", "failed", "interrupted", "pending", "complete"]

#: parts the names of a path: nested graphs from the outermost on, then the node
SEPARATOR = "/"

_RUN = "#run"
#: for searches in SQL, as both writers' JSON has no spaces: what stands in the stored JSON of runs with a failed node,
#: and what does, which holds the same words, in those of which no node need have failed
A_FAILURE = '"status":"failed"'
NOT_A_FAILURE = f'"{_RUN}":{{{A_FAILURE}'
_REFUSAL = "Resume it in Python."
_UNFINISHED = ("pending", "running")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """How a run stood when its checkpoint was saved."""

    #: ``working``: nodes were at work, and whatever saved the checkpoint was alive. Else ``failed``: a node has failed;
    #: ``interrupted``: a node waits for an answer; ``pending``: nodes are to run, and nobody was at work on them;
    #: ``complete``: nothing is left to do.
    status: RunStatus
    #: node -> how it stands; of nodes that have begun, been skipped, or asked
    results: dict[str, NodeResult]
    #: the nodes to run, those that ask among them; nodes that have failed are not
    pending: list[str]
    #: path -> its open question, in the order in which they were asked. A path is the node's name, or, of a node in a
    #: nested graph, the names of the graphs and its own (``write/approve``). The keys of ``resume(answers=…)``.
    questions: dict[str, Question]
    #: node -> what went wrong, in one line
    failures: dict[str, str]
    #: the nodes at work when the checkpoint was saved, or about to begin
    working: list[str]
    #: what the run was given; None as well where that is not known
    input: Any
    #: back edge (``review->draft``) -> how often it has been taken
    iterations: dict[str, int]
    #: the graph, or where it is; None where that is not known. `graph_of` looks it up.
    graph: RunGraph | GraphReference | None
    #: the identity of the run; None where neither this package nor one of its adapters saved the checkpoint
    run: str | None
    #: the adapter that saved it (``langgraph``), which alone can go on with the run
    by: str | None

    @property
    def settled(self) -> bool:
        """Whether the open questions may be answered: while nodes are at work, more may be asked, or all be in vain."""
        return not self.working


class RunRow(Protocol):
    """What is read of a checkpoint: a `CheckpointRecord`, or the row of the model."""

    @property
    def node_id(self) -> str | None: ...
    @property
    def node_results(self) -> Any: ...
    @property
    def pending_nodes(self) -> Any: ...
    @property
    def cycle_state(self) -> Any: ...
    @property
    def source(self) -> str: ...


def read(checkpoint: RunRow) -> RunState:
    """What the checkpoint says of its run.

    Entries of any other shape than a node's result are left out. Raises `CheckpointCorruptionError` where a column
    could not be decoded (``on_corrupt="keep"``).
    """
    for column in STATE:
        if isinstance(bad := getattr(checkpoint, column), CorruptValue):
            id = getattr(checkpoint, "id", None)
            raise CheckpointCorruptionError("$", bad.reason, bad.text, "checkpoints", id, column)
    stored = checkpoint.node_results if isinstance(checkpoint.node_results, dict) else {}
    names = checkpoint.pending_nodes
    pending = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    results = {name: result for name, result in stored.items() if name != _RUN and _is_result(name, result)}
    entry = _entry(stored)
    if entry is None:
        asking = _foreign_asking(checkpoint, results, pending)
        pending += [name for name in asking if name not in pending]
        results = {name: _unless_skipped(name, result, pending) for name, result in results.items()}
    else:
        # A fork made by the npm package sorts the results of nodes that are named like integers to the front.
        asked, open = _names(entry.get("asked")), set(pending)
        asking = [name for name in dict.fromkeys([*asked, *results]) if name in open and _asks(results.get(name))]
    questions = {path: question for name in asking for path, question in _asked_by(name, results.get(name)).items()}
    # The copy of a checkpoint in a fork: nobody is at work there.
    working = _names(entry.get("working")) if entry and checkpoint.source != "fork" else []
    failures = {name: _error(result) for name, result in results.items() if result["status"] == "failed"}
    return RunState(
        status=_status(working, failures, questions, pending),
        results=results,
        pending=pending,
        questions=questions,
        failures=failures,
        working=working,
        input=entry.get("input") if entry else None,
        iterations=_iterations(entry, checkpoint.cycle_state),
        graph=graphs.read_graph(entry.get("graph")) if entry else None,
        run=text_of(entry.get("run", "")) if entry else None,
        by=text_of(entry["by"]) if entry and "by" in entry else None,
    )


def write(
    results: Mapping[str, NodeResult],
    *,
    run: str,
    complete_everywhere: bool,
    input: Any = None,
    iterations: Mapping[str, int] | None = None,
    asked: Sequence[str] = (),
    working: Sequence[str] = (),
    graph: RunGraph | GraphReference | None = None,
    by: str | None = None,
) -> dict[str, NodeResult]:
    """A checkpoint's ``node_results``, of which `read` says what is given here.

    ``complete_everywhere`` says that the npm package's framework may take the run as complete: no node is left, and
    the graph has no back edge, which it would take anew. ``asked`` are the nodes that ask, in that order.
    """
    output: dict[str, Any] = {"run": run}
    if by is not None:
        output["by"] = by
    if input is not None:
        output["input"] = input
    if iterations:
        output["iterations"] = dict(iterations)
    if asked:
        output["asked"] = list(asked)
    if working:
        output["working"] = list(working)
    if graph is not None:
        output["graph"] = graphs.stored(graph)
    entry: NodeResult = {"status": "completed", "output": output}
    if not complete_everywhere:
        entry = {"status": "failed", "error": _REFUSAL, "output": output}
    return {_RUN: entry, **results}


def graph_of(checkpoint: RunRow, get_checkpoint: Callable[[str], CheckpointRecord | None]) -> RunGraph | None:
    """The graph that ran, looked up with ``store.get_checkpoint`` if need be; None where it is not known any more."""
    graph = read(checkpoint).graph
    if not isinstance(graph, GraphReference):
        return graph
    holder = get_checkpoint(graph.checkpoint_id)
    stored = read(holder).graph if holder else None
    return stored if isinstance(stored, RunGraph) and stored.digest == graph.digest else None


def nested_namespace(namespace: str, node: str) -> str:
    """Where the checkpoints of the graph are which a node of a graph in ``namespace`` is."""
    return f"{namespace}{SEPARATOR}{node}" if namespace else node


def is_reserved(name: str) -> bool:
    """Whether no node may have this name: JavaScript, the codec, or this module takes it for something else."""
    return name in ("__proto__", "__type") or name.startswith("#")


# -- within


def _is_result(name: Any, result: Any) -> bool:
    return isinstance(name, str) and isinstance(result, dict) and isinstance(result.get("status"), str)


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _entry(stored: Mapping[str, Any]) -> dict[str, Any] | None:
    entry = stored.get(_RUN)
    output = entry.get("output") if isinstance(entry, dict) else None
    return output if isinstance(output, dict) else None


def _status(working: list[str], failures: Mapping[str, str], asked: Mapping[str, Any], pending: list[str]) -> RunStatus:
    if working:
        return "working"
    if failures:
        return "failed"
    return "interrupted" if asked else "pending" if pending else "complete"


def _error(result: NodeResult) -> str:
    error = result.get("error")
    return "" if error is None else text_of(error)


def _iterations(entry: Mapping[str, Any] | None, cycle_state: Any) -> dict[str, int]:
    counts = entry.get("iterations", {}) if entry else None
    if counts is None and isinstance(cycle_state, dict):
        edge = cycle_state.get("backEdge")
        counts = {edge: cycle_state.get("iteration")} if isinstance(edge, str) else None
    if not isinstance(counts, dict):
        return {}
    return {edge: count for edge, count in counts.items() if isinstance(edge, str) and type(count) is int}


# -- questions


def _asks(result: NodeResult | None) -> bool:
    return result is not None and result["status"] in _UNFINISHED and "interrupt" in result


def _asked_by(name: str, result: NodeResult | None) -> dict[str, Question]:
    if result is None or not _asks(result):
        return {name: {}}
    if isinstance(within := result.get("questions"), dict) and within:
        return {f"{name}{SEPARATOR}{text_of(path)}": _question(question) for path, question in within.items()}
    return {name: _question(result["interrupt"])}


def _question(stored: Any) -> Question:
    if isinstance(stored, dict):
        return stored
    return {"reason": stored} if isinstance(stored, str) else {}


def _foreign_asking(checkpoint: RunRow, results: Mapping[str, NodeResult], pending: Iterable[str]) -> list[str]:
    if asking := [name for name, result in results.items() if _asks(result)]:
        return asking
    # The npm package stores which node asked, but no question. Its fork of that has the source "fork".
    name = checkpoint.node_id
    if name is None:
        return []
    asked = checkpoint.source == "interrupt"
    asked |= checkpoint.source == "fork" and name in pending and name not in results
    return [name] if asked else []


def _unless_skipped(name: str, result: NodeResult, pending: Iterable[str]) -> NodeResult:
    """The npm package saves a skipped node as pending, and takes it from the pending nodes."""
    if result["status"] in _UNFINISHED and name not in pending:
        return {**result, "status": "skipped"}
    return result
