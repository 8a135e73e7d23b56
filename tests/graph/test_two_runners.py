"""Two that work on one run: one advances it, the other stops at its first save, and nothing is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from obsku_checkpoint.errors import VersionConflictError
from obsku_checkpoint.graph import Context, Edge, Graph, RunResult, interrupt, resume, run
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.run_state import read
from obsku_checkpoint.store import DjangoCheckpointStore


def chain(*functions: Any) -> Graph:
    names = [f"n{number}" for number in range(len(functions))]
    edges = [Edge(*pair) for pair in pairwise(names)]
    return Graph(entry="n0", nodes=dict(zip(names, functions, strict=True)), edges=edges)


def fails(context: Context) -> None:
    raise ValueError


def test_of_two_that_resume_a_run_one_gets_a_conflict(store: DjangoCheckpointStore) -> None:
    session = run(chain(fails, fails, fails), checkpoint_store=store).session_id
    both = threading.Barrier(2)
    ran: list[tuple[int, str]] = []

    def resumed(runner: int) -> RunResult | VersionConflictError:
        def node(context: Context) -> int:
            ran.append((runner, context.node))
            if context.node == "n0":
                both.wait(20)
            return runner

        try:
            return resume(chain(node, node, node), checkpoint_store=store, session_id=session)
        except VersionConflictError as error:
            return error
        finally:
            store.close()

    with ThreadPoolExecutor(2) as threads:
        ends = list(threads.map(resumed, range(2)))
    (winner,) = [number for number, end in enumerate(ends) if isinstance(end, RunResult)]
    won, lost = ends[winner], ends[1 - winner]
    assert isinstance(lost, VersionConflictError)
    assert isinstance(won, RunResult)
    # The loser got no further than its first save.
    assert [node for runner, node in ran if runner != winner] == ["n0"]
    assert won.outputs == {"n2": winner}
    saved = store.list_checkpoints(session)
    assert [each.version for each in saved] == list(range(len(saved), 0, -1))
    assert [saved[0].node_results[name]["output"] for name in ("n0", "n1", "n2")] == [winner] * 3


def test_one_that_was_overtaken_overwrites_nothing(store: DjangoCheckpointStore) -> None:
    """The first is held up in a node for so long that another process takes the run over and ends it."""
    session = store.create_session("/").id

    def held_up(context: Context) -> str:
        other = resume(chain(lambda _: "other", lambda _: "other"), checkpoint_store=store, session_id=session)
        assert other.status == "complete"
        return "first"

    with pytest.raises(VersionConflictError):
        run(chain(held_up, lambda _: "first"), checkpoint_store=store, session_id=session, max_concurrency=1)
    last = store.get_latest_checkpoint(session)
    assert last is not None
    assert {name: result["output"] for name, result in read(last).results.items()} == {"n0": "other", "n1": "other"}


class Together(DjangoCheckpointStore):
    """The real store, in which two read the same checkpoint before either saves."""

    both = threading.Barrier(2)

    def get_latest_checkpoint(self, *args: Any, **kwargs: Any) -> CheckpointRecord | None:
        found = super().get_latest_checkpoint(*args, **kwargs)
        self.both.wait(20)
        return found


def test_of_two_answers_one_counts(store: DjangoCheckpointStore) -> None:
    asked = run(chain(lambda _: interrupt("sure?")), checkpoint_store=store)
    graph = chain(lambda _: interrupt("sure?"))

    def answered(answer: str) -> RunResult | VersionConflictError:
        together = Together(store.using)
        try:
            return resume(graph, checkpoint_store=together, session_id=asked.session_id, answer=answer)
        except VersionConflictError as error:
            return error
        finally:
            together.close()

    with ThreadPoolExecutor(2) as threads:
        ends = list(threads.map(answered, ["yes", "no"]))
    (won,) = [end for end in ends if isinstance(end, RunResult)]
    assert won.outputs == {"n0": ["yes", "no"][ends.index(won)]}
    assert store.get_latest_checkpoint(asked.session_id) == won.checkpoint
    assert won.checkpoint.version == 4
