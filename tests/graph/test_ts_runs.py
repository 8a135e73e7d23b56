"""Runs of the npm package's framework, stopped after each of their checkpoints, go on here as an unbroken run ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from obsku_checkpoint import codec, run_state
from obsku_checkpoint.graph import Graph, RunResult, resume, run
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.graph.memory_store import memory_store
from tests.graph.shapes import graph

RUNS = json.loads((Path(__file__).parent.parent / "interop" / "ts_runs.json").read_text())


def restored(store: DjangoCheckpointStore, rows: list[dict[str, Any]]) -> str:
    """The id of a session with these checkpoints."""
    session = store.create_session("/").id
    for number, row in enumerate(rows):
        columns = {name: None if text is None else codec.loads(text) for name, text in row.items() if name in JSON}
        others = {name: value for name, value in row.items() if name not in {*JSON, "created_at"}}
        time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=row["created_at"] - rows[0]["created_at"])
        Checkpoint.objects.using(store.using).create(
            id=f"{session}-{number}", session_id=session, created_at=time, **columns, **others
        )
    return session


JSON = {"node_results", "pending_nodes", "cycle_state"}


def to_the_end(shape: Graph, result: RunResult, **place: Any) -> RunResult:
    while result.question is not None:
        result = resume(shape, answer="yes", **place)
    return result


def unbroken(shape: str) -> tuple[RunResult, list[str]]:
    ran: list[str] = []
    whole, store = graph(shape, ran), memory_store()
    result = run(whole, checkpoint_store=store)
    return to_the_end(whole, result, checkpoint_store=store, session_id=result.session_id), ran


@pytest.mark.parametrize(
    "stopped", RUNS, ids=lambda each: f"{each['shape']}-{each['answered']}-{each['stopped_after']}"
)
def test_a_run_of_the_npm_package_goes_on(stopped: dict[str, Any], store: DjangoCheckpointStore) -> None:
    shape = stopped["shape"]
    end, ran_unbroken = unbroken(shape)
    ran: list[str] = []
    whole = graph(shape, ran)
    session = restored(store, stopped["rows"])
    last = store.get_latest_checkpoint(session, namespace="")
    assert last is not None
    before = run_state.read(last)
    place: dict[str, Any] = {"checkpoint_store": store, "session_id": session}
    result = to_the_end(whole, resume(whole, **place), **place)
    assert (result.status, result.outputs) == ("complete", end.outputs)

    finished = {name for name, each in before.results.items() if each["status"] == "completed"} - {*before.pending}
    in_cycles = set().union(*whole.bodies.values()) if whole.bodies else set()
    after_cycles = {name for each in in_cycles for name in whole.descendants(each)}
    assert not {*ran} & (finished - in_cycles - after_cycles)
    if shape in ("cycle", "cyclecond", "cycleexit"):
        done = before.iterations.get("review->draft", 0) + ("review" in finished)
        assert ran.count("review") == ran_unbroken.count("review") - done
    assert resume(whole, **place).outputs == end.outputs
    state = run_state.read(result.checkpoint)
    assert (state.status, state.pending) == ("complete", [])
    assert {each["status"] for each in state.results.values()} <= {"completed", "skipped"}
