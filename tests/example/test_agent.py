"""The agent and its store in one process: whatever write it dies before, nothing is lost and nothing is repeated."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from example_project.scan import agent, report, transcript
from obsku_checkpoint.errors import VersionConflictError
from obsku_checkpoint.graph import Event
from obsku_checkpoint.records import CheckpointRecord, MessageRecord, SessionRecord
from obsku_checkpoint.run_state import read
from obsku_checkpoint.store import DjangoCheckpointStore

pytestmark = pytest.mark.django_db

BATCH = 20
#: messages: 1 user, 2 list, 8 for 4 batches of 61 files, 6 for 3 batches of 60 Python files, 2 for the question about
#: the secret in the last file, 2 rank, 1 report
MESSAGES = 22
#: checkpoints: input, list, 4 and 3 batches, the question, the answer, the end of the search, rank, report
CHECKPOINTS = 14
#: one for the user's message, list, 4 and 3 batches, the question, rank and report each, and the checkpoints
WRITES = 12 + CHECKPOINTS


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


def yes(question: dict[str, Any]) -> str:
    return "yes"


def run(store: DjangoCheckpointStore, session: SessionRecord, ask: agent.Ask = yes) -> dict[str, Any]:
    """Run to the end; the report, without the session's id."""
    mine = agent.Run(store, session, batch_files=BATCH, batch_seconds=1e9)
    mine.to_the_end(ask)
    return {**report.as_json(mine.report()), "session": ""}


def written(store: DjangoCheckpointStore, session: SessionRecord) -> dict[str, list[Any]]:
    """Node -> what it wrote into the transcript, without what differs from run to run.

    Node by node, because two nodes that do not wait for each other may take turns in another way after a crash. A call
    and its result stand together, whoever else writes.
    """
    messages = store.get_messages(session.id)
    by_node: dict[str, list[Any]] = {}
    for number, message in enumerate(messages):
        if message.tool_results:
            calls = messages[number - 1].tool_calls
            assert calls
            assert calls[0]["toolUseId"] == message.tool_results[0]["toolUseId"]
        uses = message.tool_results or message.tool_calls
        node = uses[0]["toolUseId"].partition("-")[0] if uses else message.role
        by_node.setdefault(node, []).append((message.role, message.content, message.tool_calls, message.tool_results))
    return by_node


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
    sources = ["input", *["loop"] * 8, "interrupt", "input", *["loop"] * 3]
    assert [checkpoint.source for checkpoint in checkpoints] == sources
    assert all(later.parent_id == earlier.id for earlier, later in pairwise(checkpoints))
    assert checkpoints[0].pending_nodes == ["list", "search", "parse", "rank", "report"]
    assert checkpoints[-1].pending_nodes == []
    for result in read(checkpoints[-1]).results.values():
        assert result["status"] == "completed"
        assert result["startedAt"] <= result["completedAt"]


def test_checkpoints_do_not_grow_with_the_findings(store: DjangoCheckpointStore, directory: Path) -> None:
    session = start(store, directory)
    run(store, session)
    assert all(len(str(read(checkpoint).results)) < 1000 for checkpoint in store.list_checkpoints(session.id))


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
    parsed = middle.node_results["parse"]["output"]["done"]
    assert (done, parsed) == (BATCH, BATCH)
    fork = agent.fork(store, middle, title="Strict", ruleset="strict")
    found = run(store, fork)
    assert found["files_by_ruleset"] == {"default": done, "strict": 61 - done}
    by_file: dict[str, set[str]] = {}
    for finding in found["findings"]:
        by_file.setdefault(finding["rule"], set()).add(finding["file"])
    listed = transcript.read(store.iter_messages(session.id)).listing
    assert listed is not None
    assert by_file["assert"] == {file for file in listed.files[parsed:] if file.endswith(".py")}
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

    def overtake(event: Event) -> None:
        if event.type == "checkpoint_saved" and event.node == "list":
            run(store, session)

    with pytest.raises(VersionConflictError):
        first.to_the_end(yes, on_event=overtake)
    # What the loser wrote before it noticed counts once.
    assert run(store, session)["files"] == 61


def test_a_failure_is_kept_and_tried_again(
    store: DjangoCheckpointStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = start(store, directory)
    monkeypatch.setattr(transcript, "rank_messages", lambda *_: 1 / 0)
    result = agent.Run(store, session).to_the_end(yes)
    assert (result.status, result.errors) == ("failed", {"rank": "ZeroDivisionError: division by zero"})
    monkeypatch.undo()
    assert run(store, session)["findings_by_severity"] == {"high": 21}


def early_secret(directory: Path) -> None:
    (directory / "module_10.conf").write_text("API_TOKEN=q8Zt5nWx2LrB9yVd\n")


def test_the_first_secret_is_asked_about_once(store: DjangoCheckpointStore, directory: Path) -> None:
    early_secret(directory)
    session = start(store, directory)
    asked: list[dict[str, Any]] = []

    def ask(question: dict[str, Any]) -> str:
        asked.append(question)
        return "yes"

    assert run(store, session, ask)["findings_by_severity"] == {"high": 22}
    (question,) = asked
    assert question == {
        "reason": "module_10.conf:1 holds a secret (51 files left). Go on?",
        "options": ["yes", "no"],
        "excerpt": "API_TOKEN=q8Zt…[16 characters]",
        "done": 11,
        "of": 62,
    }


def test_a_question_stays_until_it_is_answered(store: DjangoCheckpointStore, directory: Path) -> None:
    session = start(store, directory)
    for _ in range(2):
        result = agent.Run(store, session).to_the_end(lambda question: None)
        assert (result.status, result.checkpoint.source) == ("interrupted", "interrupt")
        # What runs beside the question has come to its end.
        assert result.checkpoint.node_results["parse"]["output"]["done"] == 60
        assert result.checkpoint.pending_nodes == ["search", "rank", "report"]
    assert run(store, session)["files_not_searched"] == 0


def test_no_stops_the_search_for_secrets(store: DjangoCheckpointStore, directory: Path) -> None:
    early_secret(directory)
    session = start(store, directory)
    found = run(store, session, lambda question: "no")
    assert (found["files"], found["files_not_searched"]) == (11, 51)
    assert [finding["rule"] for finding in found["findings"]] == ["eval"] * 20 + ["secret-value"]
    checkpoint = store.get_latest_checkpoint(session.id)
    assert checkpoint is not None
    assert checkpoint.pending_nodes == []


def test_a_fork_of_the_question_can_be_answered_otherwise(store: DjangoCheckpointStore, directory: Path) -> None:
    early_secret(directory)
    session = start(store, directory)
    run(store, session, lambda question: "no")
    asking = next(each for each in store.list_checkpoints(session.id) if each.source == "interrupt")
    fork = agent.fork(store, asking, title=None, ruleset=None)
    assert run(store, fork)["findings_by_severity"] == {"high": 22}


def test_without_python_files_nothing_is_parsed(store: DjangoCheckpointStore, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("text")
    result = agent.Run(store, start(store, tmp_path / "notes")).to_the_end(yes)
    assert result.checkpoint.node_results["parse"]["status"] == "skipped"
    assert result.outputs == {"report": {"summary": "1 file, 0 findings"}}


def test_a_ruleset_without_rules_for_code_parses_nothing(store: DjangoCheckpointStore, directory: Path) -> None:
    session = start(store, directory, "secrets")
    assert run(store, session)["findings_by_severity"] == {"high": 1}
    assert "parse" not in written(store, session)


def test_each_batch_is_told(store: DjangoCheckpointStore, directory: Path) -> None:
    told: list[Event] = []
    agent.Run(store, start(store, directory), batch_files=30, batch_seconds=1e9).to_the_end(yes, on_event=told.append)
    finished = [event for event in told if event.type == "node_finished" and event.node == "search"]
    assert [event.output["done"] for event in finished] == [30, 60, 61, 61]


def test_names_that_are_no_text_are_kept(store: DjangoCheckpointStore, tmp_path: Path) -> None:
    root = tmp_path / "odd"
    root.mkdir()
    name = b"caf\xe9\n.py".decode(errors="surrogateescape")
    (root / name).write_text("eval(text)")
    session = start(store, root)
    (finding,) = run(store, session)["findings"]
    assert finding["file"] == "caf\\xe9\\n.py"
    known: Mapping[str, None] = transcript.read(store.iter_messages(session.id)).search.done
    assert list(known) == [name]


def test_an_empty_directory_is_no_problem(store: DjangoCheckpointStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = run(store, start(store, tmp_path / "empty"))
    assert (found["files"], found["findings"]) == (0, [])
