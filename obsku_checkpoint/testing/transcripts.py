"""Transcripts that an agent can trust: calls with their results, and forks at a message."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from obsku_checkpoint.errors import (
    CheckpointCorruptionError,
    InvalidRecordError,
    MessageNotFoundError,
    SessionNotFoundError,
)
from obsku_checkpoint.protocols import ITERATION_PAGE, CheckpointStore
from obsku_checkpoint.records import Dangling, SessionRecord
from obsku_checkpoint.testing.base import RESULTS, ConformanceBase, Corrupt, unique, wrong


def calls(*ids: str, **more: Any) -> dict[str, Any]:
    """An assistant's message that calls tools."""
    return {"role": "assistant", "tool_calls": [{"name": "f", "toolUseId": id, "input": {}} for id in ids], **more}


def results(*ids: str, **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_results": [{"toolUseId": id, "content": f"result of {id}"} for id in ids], **more}


def says(role: str, content: str | None = "hello", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def random_message(rng: random.Random) -> dict[str, Any]:
    ids = rng.sample("abcdef", rng.choice([0, 0, 1, 1, 2]))
    match rng.choice(["user", "calls", "results", "both"]):
        case "user":
            return says("user", "x" * rng.randrange(1, 30))
        case "calls":
            return calls(*ids, tokens_out=rng.choice([None, rng.randrange(9)]), content=rng.choice([None, "thinks"]))
        case "results":
            return results(*ids, tokens_in=rng.choice([None, rng.randrange(9)]))
        case _:
            return calls(*ids, tool_results=results(*rng.sample("abcdef", 1))["tool_results"])


class TranscriptConformance(ConformanceBase):
    # -- what dangles

    @pytest.mark.parametrize(
        ("messages", "dangling"),
        [
            ([], []),
            ([says("user"), calls("a"), results("a"), says("assistant")], []),
            ([calls("a")], [(0, "a", "call")]),
            ([results("a")], [(0, "a", "result")]),
            ([calls("a", "b"), results("b"), results("a")], []),
            ([calls("a", "b"), results("b")], [(0, "a", "call")]),
            ([results("a"), calls("a")], [(0, "a", "result"), (1, "a", "call")]),
            ([calls("a"), results("a", "a")], [(1, "a", "result")]),
            ([calls("a", tool_results=results("a")["tool_results"])], []),  # results follow calls
            ([calls("a"), says("user"), results("a")], []),
            ([calls("a"), results("a"), calls("a"), results("a")], []),  # an id is used again
            ([calls("a"), calls("a"), results("a")], [(0, "a", "call")]),  # a result is the nearest call's
            (
                [calls("c", "b"), results("z"), calls("a")],
                [(0, "c", "call"), (0, "b", "call"), (1, "z", "result"), (2, "a", "call")],
            ),
        ],
        ids=range(13),
    )
    def test_calls_without_result_and_results_without_call_are_found_in_order(
        self, subject: CheckpointStore, session: SessionRecord, messages: list[Any], dangling: list[Any]
    ) -> None:
        ids = [message.id for message in subject.add_messages(session.id, messages)]
        expected = [Dangling(message_id=ids[index], tool_use_id=id, kind=kind) for index, id, kind in dangling]
        assert subject.find_dangling(session.id) == expected

    def test_a_call_and_its_result_may_be_far_apart(self, subject: CheckpointStore, session: SessionRecord) -> None:
        between = [calls(f"{n}", tool_results=results(f"{n}")["tool_results"]) for n in range(ITERATION_PAGE + 1)]
        added = subject.add_messages(session.id, [calls("a"), calls("b"), *between, results("a")])
        assert subject.find_dangling(session.id) == [Dangling(message_id=added[1].id, tool_use_id="b", kind="call")]

    def test_nothing_dangles_in_an_unknown_session(self, subject: CheckpointStore) -> None:
        assert subject.find_dangling(unique()) == []

    def test_a_column_that_cannot_be_decoded_is_named_or_counts_as_empty(
        self, subject: CheckpointStore, session: SessionRecord, corrupt: Corrupt
    ) -> None:
        added = subject.add_messages(session.id, [calls("a"), results("a")])
        corrupt("messages", added[0].id, "tool_calls", "{")
        with pytest.raises(CheckpointCorruptionError):
            subject.find_dangling(session.id)
        with pytest.raises(CheckpointCorruptionError):
            subject.repair(session.id)
        found = subject.find_dangling(session.id, on_corrupt="keep")
        assert found == [Dangling(message_id=added[1].id, tool_use_id="a", kind="result")]
        assert len(subject.get_messages(session.id, on_corrupt="keep")) == 2

    # -- repair

    def test_a_missing_result_goes_beside_its_call(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_messages(
            session.id, [says("user"), calls("a", "b", content="I look."), results("b"), says("user", "And?")]
        )
        assert subject.repair(session.id) == 1
        repaired = subject.get_messages(session.id)
        assert repaired[0:1] + repaired[2:] == added[0:1] + added[2:]
        assert repaired[1] == replace(added[1], tool_results=repaired[1].tool_results)
        assert repaired[1].tool_results is not None
        [result] = repaired[1].tool_results
        assert (result["toolUseId"], result["status"]) == ("a", "error")
        assert result["content"]
        assert subject.find_dangling(session.id) == []
        assert subject.repair(session.id) == 0

    def test_a_call_without_result_can_be_dropped(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_messages(session.id, [calls("a", "b", content="I look."), results("b"), calls("c")])
        assert subject.repair(session.id, how="drop") == 2
        assert added[0].tool_calls is not None
        kept = replace(added[0], tool_calls=added[0].tool_calls[1:])
        assert subject.get_messages(session.id) == [kept, added[1]]
        assert subject.find_dangling(session.id) == []

    @pytest.mark.parametrize("how", ["error", "drop"])
    def test_a_result_without_call_is_removed(self, subject: CheckpointStore, session: SessionRecord, how: Any) -> None:
        added = subject.add_messages(
            session.id, [results("x"), calls("a"), results("y", "a"), results("z", content="a text")]
        )
        assert subject.repair(session.id, how=how) == 3
        assert added[2].tool_results is not None
        assert subject.get_messages(session.id) == [
            added[1],
            replace(added[2], tool_results=added[2].tool_results[1:]),
            replace(added[3], tool_results=None),
        ]
        assert subject.find_dangling(session.id) == []

    def test_a_repair_touches_the_session_and_nothing_else(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        other = subject.create_session("/repo")
        subject.add_messages(other.id, [calls("a")])
        subject.add_messages(session.id, [calls("a")])
        before = subject.get_session(session.id)
        subject.repair(session.id)
        after = subject.get_session(session.id)
        assert before is not None
        assert after is not None
        assert after.updated_at > before.updated_at
        assert len(subject.find_dangling(other.id)) == 1
        subject.repair(session.id)
        assert subject.get_session(session.id) == after

    def test_a_repair_of_an_unknown_session_is_refused(self, subject: CheckpointStore) -> None:
        with pytest.raises(SessionNotFoundError):
            subject.repair(unique())

    def test_a_repair_takes_two_ways_only(self, subject: CheckpointStore, session: SessionRecord) -> None:
        with pytest.raises(InvalidRecordError, match=r"^how: must be one of error, drop$"):
            subject.repair(session.id, how=wrong("guess"))

    def test_repairs_at_once_repair_once(self, store: CheckpointStore, session: SessionRecord) -> None:
        store.add_messages(session.id, [calls(str(n)) for n in range(10)])
        done = self.at_once(store, [partial(store.repair, session.id) for _ in range(6)])
        assert sum(number for number in done if isinstance(number, int)) == 10
        assert all(len(message.tool_results or []) == 1 for message in store.get_messages(session.id))

    @pytest.mark.parametrize("how", ["error", "drop"])
    def test_any_transcript_can_be_repaired(self, subject: CheckpointStore, session: SessionRecord, how: Any) -> None:
        rng = random.Random(17)
        for _ in range(5):
            subject.add_messages(session.id, [random_message(rng) for _ in range(40)])
            dangling = subject.find_dangling(session.id)
            assert subject.repair(session.id, how=how) == len(dangling) > 0
            assert subject.find_dangling(session.id) == []

    # -- fork at a message

    def test_a_fork_at_a_message_has_what_was_said_up_to_it(self, subject: CheckpointStore, workspace: str) -> None:
        session = subject.create_session(
            "/repo", title="Fix the login", workspace_id=workspace, metadata={"model": "m", "tags": {"a", "b"}}
        )
        added = subject.add_messages(
            session.id, [says("user"), calls("a", tokens_in=1), results("a"), says("assistant")]
        )
        subject.save_checkpoint(session.id, step=1, node_results=RESULTS)
        fork = subject.fork_at(added[2].id)
        assert (fork.title, fork.directory, fork.workspace_id) == ("Fork of Fix the login", "/repo", workspace)
        assert fork.metadata == session.metadata
        assert subject.get_session(fork.id) == fork
        copied = subject.get_messages(fork.id)
        assert [replace(one, id=0, session_id="") for one in copied] == [
            replace(one, id=0, session_id="") for one in added[:3]
        ]
        assert not {one.id for one in copied} & {one.id for one in added}
        assert subject.list_checkpoints(fork.id) == []
        assert fork.created_at > added[2].created_at
        assert subject.get_messages(session.id) == added

    def test_a_fork_at_a_message_goes_on(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_messages(session.id, [says("user", "a"), says("user", "b")])
        fork = subject.fork_at(added[0].id, title="Again")
        assert fork.title == "Again"
        subject.add_message(fork.id, "user", "c")
        assert [message.content for message in subject.get_messages(fork.id)] == ["a", "c"]
        assert [message.content for message in subject.get_messages(session.id)] == ["a", "b"]

    def test_a_fork_of_a_session_without_title_is_called_after_its_id(self, subject: CheckpointStore) -> None:
        session = subject.create_session("/repo")
        assert subject.fork_at(subject.add_message(session.id, "user").id).title == f"Fork of {session.id}"

    @pytest.mark.parametrize("id", [0, -1, 2**31 - 1, 2**40, 2**63 - 1, -(2**63)])
    def test_a_fork_at_a_message_that_does_not_exist_is_refused(self, subject: CheckpointStore, id: int) -> None:
        with pytest.raises(MessageNotFoundError, match=f"^Message not found: {id}$"):
            subject.fork_at(id)

    def test_a_fork_at_what_is_not_an_id_is_refused(self, subject: CheckpointStore, session: SessionRecord) -> None:
        for id in ("1", None, 1.0, True, 2**63):
            with pytest.raises(InvalidRecordError, match=r"^message_id: "):
                subject.fork_at(wrong(id))
        message = subject.add_message(session.id, "user")
        with pytest.raises(InvalidRecordError, match=r"^title: "):
            subject.fork_at(message.id, title=wrong(5))
