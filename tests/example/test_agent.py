"""The agent and its store in one process: whatever write it dies before, nothing is lost and nothing is repeated."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from example_project.scan import agent, report, transcript
from obsku_checkpoint.errors import VersionConflictError
from obsku_checkpoint.records import CheckpointRecord, MessageRecord, SessionRecord
from obsku_checkpoint.store import DjangoCheckpointStore

pytestmark = pytest.mark.django_db

BATCH = 20
#: messages: 1 user, 2 list, 8 for 4 batches of 61 files, 2 rank, 1 report
MESSAGES = 14
#: checkpoints: input, list, 4 batches and the end of the search, rank, report
CHECKPOINTS = 9
#: one for the user's message, list, 4 batches, rank and report each, and the checkpoints
WRITES = 8 + CHECKPOINTS


class Killed(BaseException):
    """Not an Exception: nothing may catch it, as nothing catches SIGKILL."""


class MortalStore(DjangoCheckpointStore):
    """The real store, for a process that dies instead of its write number ``lives`` (counted from 0)."""

    def __init__(self, lives: int) -> None:
        super().__init__()
        self.lives = lives

    def _live(self) -> None:
        if self.lives == 0:
            raise Killed
        self.lives -= 1

    def add_message(self, *args: Any, **kwargs: Any) -> MessageRecord:
        self._live()
        return super().add_message(*args, **kwargs)

    def add_messages(self, *args: Any, **kwargs: Any) -> list[MessageRecord]:
        self._live()
        return super().add_messages(*args, **kwargs)

    def save_checkpoint(self, *args: Any, **kwargs: Any) -> CheckpointRecord:
        self._live()
        return super().save_checkpoint(*args, **kwargs)


@pytest.fixture
def store() -> DjangoCheckpointStore:
    return DjangoCheckpointStore()


def start(store: DjangoCheckpointStore, directory: Path, ruleset: str = "default") -> SessionRecord:
    return agent.start(store, str(directory), title="Test", ruleset=ruleset)


def run(store: DjangoCheckpointStore, session: SessionRecord) -> dict[str, Any]:
    """Run to the end; the report, without the session's id."""
    found = agent.Run(store, session, batch_files=BATCH, batch_seconds=1e9).to_the_end()
    return {**report.as_json(found), "session": ""}


def written(store: DjangoCheckpointStore, session: SessionRecord) -> list[Any]:
    """The transcript without what differs from run to run."""
    messages = store.get_messages(session.id)
    return [(message.role, message.content, message.tool_calls, message.tool_results) for message in messages]


def test_a_run_finds_and_ranks(store: DjangoCheckpointStore, directory: Path) -> None:
    found = run(store, start(store, directory))
    assert found["files"] == 61
    assert found["findings_by_severity"] == {"high": 21}
    assert [finding["rule"] for finding in found["findings"]] == ["eval"] * 20 + ["secret-value"]


def test_a_run_writes_a_transcript_and_a_chain_of_checkpoints(store: DjangoCheckpointStore, directory: Path) -> None:
    session = start(store, directory)
    run(store, session)
    messages, checkpoints = store.get_messages(session.id), store.list_checkpoints(session.id)[::-1]
    assert (len(messages), len(checkpoints)) == (MESSAGES, CHECKPOINTS)
    assert {message.role for message in messages} == {"user", "assistant", "tool"}
    assert all(message.tokens_in is message.tokens_out is None for message in messages)
    assert [checkpoint.step for checkpoint in checkpoints] == list(range(CHECKPOINTS))
    assert [checkpoint.source for checkpoint in checkpoints] == ["input"] + ["loop"] * (CHECKPOINTS - 1)
    assert all(later.parent_id == earlier.id for earlier, later in pairwise(checkpoints))
    assert checkpoints[0].pending_nodes == list(agent.NODES)
    assert checkpoints[-1].pending_nodes == []
    for result in checkpoints[-1].node_results.values():
        assert result["status"] == "completed"
        assert result["startedAt"] <= result["completedAt"]


def test_checkpoints_do_not_grow_with_the_findings(store: DjangoCheckpointStore, directory: Path) -> None:
    session = start(store, directory)
    run(store, session)
    assert all(len(str(checkpoint.node_results)) < 1000 for checkpoint in store.list_checkpoints(session.id))


@pytest.mark.parametrize("lives", range(WRITES))
def test_a_run_that_dies_before_any_write_goes_on(lives: int, store: DjangoCheckpointStore, directory: Path) -> None:
    whole, broken = start(store, directory), start(store, directory)
    report_of_whole = run(store, whole)
    mortal = MortalStore(lives)
    with pytest.raises(Killed):
        run(mortal, broken)
    assert run(store, broken) == report_of_whole
    assert written(store, broken) == written(store, whole)
    steps = [checkpoint.step for checkpoint in store.list_checkpoints(broken.id)]
    assert steps == sorted(set(steps), reverse=True)


def test_the_run_that_lives_long_enough_makes_these_many_writes(store: DjangoCheckpointStore, directory: Path) -> None:
    mortal = MortalStore(WRITES)
    run(mortal, start(store, directory))
    assert mortal.lives == 0


def test_a_run_that_dies_again_and_again_ends(store: DjangoCheckpointStore, directory: Path) -> None:
    whole, broken = start(store, directory), start(store, directory)
    report_of_whole = run(store, whole)
    for _ in range(WRITES):
        try:
            assert run(MortalStore(2), broken) == report_of_whole
            break
        except Killed:
            continue
    else:
        pytest.fail("the run never came to its end")
    assert written(store, broken) == written(store, whole)


def test_a_finished_run_writes_nothing_more(store: DjangoCheckpointStore, directory: Path) -> None:
    session = start(store, directory)
    found = run(store, session)
    assert run(MortalStore(0), session) == found


def test_a_fork_goes_on_with_another_ruleset(store: DjangoCheckpointStore, directory: Path) -> None:
    session = start(store, directory)
    run(store, session)
    middle = store.list_checkpoints(session.id)[::-1][3]
    done = middle.node_results["search"]["output"]["done"]
    fork = agent.fork(store, middle, title="Strict", ruleset="strict")
    found = run(store, fork)
    assert found["files_by_ruleset"] == {"default": done, "strict": 61 - done}
    by_file: dict[str, set[str]] = {}
    for finding in found["findings"]:
        by_file.setdefault(finding["rule"], set()).add(finding["file"])
    listed = transcript.read(store.iter_messages(session.id)).listing
    assert listed is not None
    assert by_file["assert"] == {file for file in listed.files[done:] if file.endswith(".py")}
    assert len(by_file["eval"]) == 20


def test_a_fork_leaves_its_origin_alone(store: DjangoCheckpointStore, directory: Path) -> None:
    session = start(store, directory)
    found, before = run(store, session), written(store, session)
    fork = agent.fork(store, store.list_checkpoints(session.id)[6], title=None, ruleset="strict")
    run(store, fork)
    assert written(store, session) == before
    assert run(store, session) == found
    assert fork.metadata["forked_from"]["session"] == session.id


@pytest.mark.parametrize("place", range(CHECKPOINTS - 1))
def test_a_fork_from_any_checkpoint_comes_to_the_same_end(
    place: int, store: DjangoCheckpointStore, directory: Path
) -> None:
    session = start(store, directory)
    found = run(store, session)
    checkpoint = store.list_checkpoints(session.id)[::-1][place]
    fork = agent.fork(store, checkpoint, title=None, ruleset=None)
    assert run(store, fork) == found
    assert written(store, fork) == written(store, session)


def test_two_processes_at_one_session_are_noticed(store: DjangoCheckpointStore, directory: Path) -> None:
    session = start(store, directory)
    first = agent.Run(store, session, batch_files=BATCH)
    run(store, session)
    with pytest.raises(VersionConflictError):
        first.to_the_end()
    # What the loser wrote before it noticed counts once.
    assert run(store, session)["files"] == 61


def test_the_watcher_is_told_after_each_batch(store: DjangoCheckpointStore, directory: Path) -> None:
    told: list[tuple[int, int, int, str]] = []
    session = start(store, directory)
    agent.Run(store, session, watch=lambda *progress: told.append(progress), batch_files=30).to_the_end()
    assert [(done, total) for done, total, _, _ in told] == [(30, 61), (60, 61), (61, 61)]


def test_names_that_are_no_text_are_kept(store: DjangoCheckpointStore, tmp_path: Path) -> None:
    root = tmp_path / "odd"
    root.mkdir()
    name = b"caf\xe9\n.py".decode(errors="surrogateescape")
    (root / name).write_text("eval(text)")
    session = start(store, root)
    (finding,) = run(store, session)["findings"]
    assert finding["file"] == "caf\\xe9\\n.py"
    known: Mapping[str, None] = transcript.read(store.iter_messages(session.id)).done
    assert list(known) == [name]


def test_an_empty_directory_is_no_problem(store: DjangoCheckpointStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = run(store, start(store, tmp_path / "empty"))
    assert (found["files"], found["findings"]) == (0, [])
