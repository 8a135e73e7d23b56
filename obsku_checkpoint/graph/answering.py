"""How a person's answers reach the questions: checked, given to the nodes that ask, or kept for the process at work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obsku_checkpoint import run_state
from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph.questions import Answer, check_answer, stored_answer
from obsku_checkpoint.graph.stored_run import StoredRun
from obsku_checkpoint.records import CheckpointRecord, NodeResult
from obsku_checkpoint.run_state import RunState


def give(run: StoredRun, answers: Mapping[str, Any] | None, answer: Any = None) -> list[str]:
    """Give the answers, by the paths of their questions; or, where they are None, one to the first question.

    Returns the nodes that were given some. Raises `GraphError`, and then nothing was given.
    """
    questions = run.answerable()
    if not questions:
        raise GraphError("there is no open question to answer: resume without an answer")
    given = {next(iter(questions)): answer} if answers is None else dict(answers)
    if unknown := [path for path in given if path not in questions]:
        raise GraphError("there is no open question to answer at", (*unknown,))
    for path, one in given.items():
        check_answer(path, questions[path], one)
    return [_give(run, path, stored_answer(questions[path], one)) for path, one in given.items()]


def _give(run: StoredRun, path: str, answer: Answer) -> str:
    name, within = run.graph.node_at(path)
    if within:
        # Handed down when the graph is entered, and only if it still stands where it asked.
        answer = {**answer, "path": within, "checkpoint": run.results.nested(name) or ""}
    run.results.answer(name, within, answer)
    if not run.results.questions(name):
        run.asks_no_more(name)
    return name


def kept(last: CheckpointRecord, newest: CheckpointRecord) -> dict[str, NodeResult]:
    """Node -> its result with answers, where these are all that ``newest`` adds to ``last``; else nothing.

    Somebody answered while nodes of the run were at work, and left the answers to the process that saved ``last``.
    """
    before, after = run_state.read(last), run_state.read(newest)
    if _frame(before) != _frame(after):
        return {}
    changed = {name: result for name, result in after.results.items() if result != before.results[name]}
    return changed if all(_adds_answers(before.results[name], result) for name, result in changed.items()) else {}


def _frame(state: RunState) -> Any:
    return state.run, state.pending, state.iterations, state.working, state.results.keys()


def _adds_answers(before: NodeResult, after: NodeResult) -> bool:
    old, new = before.get("answers", []), after.get("answers", [])
    return "interrupt" in before and len(new) > len(old) and new[: len(old)] == old
