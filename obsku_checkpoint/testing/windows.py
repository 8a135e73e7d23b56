"""The newest part of a transcript, by turns and by tokens, that cuts no call from its result."""

from __future__ import annotations

import random
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from obsku_checkpoint.errors import CheckpointCorruptionError, InvalidRecordError
from obsku_checkpoint.protocols import ITERATION_PAGE, CheckpointStore
from obsku_checkpoint.records import CorruptValue, MessageRecord, SessionRecord
from obsku_checkpoint.testing.base import ConformanceBase, Corrupt, unique, wrong
from obsku_checkpoint.testing.transcripts import calls, random_message, results, says


class WindowConformance(ConformanceBase):
    def test_a_window_begins_with_a_turn(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_messages(session.id, [says("system"), *_turns(4)])
        starts = [index for index, message in enumerate(added) if message.role == "user"]
        for turns in range(1, 5):
            assert subject.get_messages(session.id, last_turns=turns) == added[starts[-turns] :]
        assert subject.get_messages(session.id, last_turns=5) == added
        assert subject.get_messages(session.id, last_turns=0) == []

    def test_tokens_of_a_message_are_counted_or_estimated(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        added = subject.add_messages(
            session.id,
            [
                says("user", "x" * 400),  # 100
                says("assistant", "x" * 4000, tokens_in=7, tokens_out=3),  # 10
                says("user", "x" * 6),  # 1.5
                says("assistant", "x" * 4000, tokens_out=5),  # 5
                says("user", None),  # 0
            ],
        )
        for tokens, first in [(0, 4), (4, 4), (5, 3), (6, 3), (7, 2), (16, 2), (17, 1), (116, 1), (117, 0), (999, 0)]:
            assert subject.get_messages(session.id, max_tokens=tokens) == added[first:], tokens

    def test_a_window_by_tokens_cuts_no_call_from_its_result(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        added = subject.add_messages(
            session.id,
            [
                says("user", "x" * 40),
                calls("a", "b", tokens_out=10),
                results("a", tokens_in=1),
                results("b", tokens_in=1),
                says("assistant", tokens_out=1),
            ],
        )
        for tokens, first in [(0, 5), (1, 4), (2, 4), (3, 4), (12, 4), (13, 1), (22, 1), (23, 0)]:
            assert subject.get_messages(session.id, max_tokens=tokens) == added[first:], tokens

    def test_a_window_by_turns_goes_back_to_the_call(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_messages(
            session.id,
            [
                says("user"),
                says("assistant"),
                says("user"),
                calls("a"),
                says("user", "Well?"),
                results("a"),
                says("user"),
            ],
        )
        assert subject.get_messages(session.id, last_turns=1) == added[6:]
        assert subject.get_messages(session.id, last_turns=2) == added[2:]
        assert subject.get_messages(session.id, last_turns=3) == added[2:]
        assert subject.get_messages(session.id, last_turns=4) == added

    def test_what_dangles_is_cut_from_nothing(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_messages(
            session.id,
            [
                says("user", tokens_in=1),
                calls("lost", tokens_in=1),
                says("user", tokens_in=1),
                results("found", tokens_in=1),
            ],
        )
        assert subject.get_messages(session.id, last_turns=1) == added[2:]
        for tokens in range(4):
            assert subject.get_messages(session.id, max_tokens=tokens) == added[4 - tokens :]

    def test_the_bounds_of_a_window_hold_together(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_messages(session.id, _turns(5))  # of four messages each
        get = partial(subject.get_messages, session.id)
        assert get(last_turns=2, max_tokens=10**9) == added[-8:]
        assert get(last_turns=9, max_tokens=0) == []
        assert get(last_turns=2, limit=99) == added[-8:]
        assert get(last_turns=2, limit=3) == added[-3:]
        assert get(last_turns=2, limit=2) == added[-1:]  # the call of the result before it does not fit
        assert get(last_turns=2, limit=4) == added[-4:]
        assert get(last_turns=1, before_id=added[-4].id) == added[-8:-4]
        assert get(last_turns=1, before=added[-4].created_at) == added[-8:-4]
        assert get(last_turns=1, before=added[0].created_at - timedelta(days=1)) == []
        for field in ("last_turns", "max_tokens"):
            with pytest.raises(InvalidRecordError, match=rf"^{field}: must be from 0"):
                get(**wrong({field: -1}))
            with pytest.raises(InvalidRecordError, match=rf"^{field}: takes an integer"):
                get(**wrong({field: "3"}))
            with pytest.raises(InvalidRecordError, match=r"^after_id: cannot be combined"):
                get(**wrong({field: 1}), after_id=added[0].id)

    def test_a_window_reaches_far_back(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_messages(
            session.id, [says("user", str(n), tokens_in=1) for n in range(ITERATION_PAGE + 99)]
        )
        assert subject.get_messages(session.id, last_turns=ITERATION_PAGE) == added[99:]
        assert subject.get_messages(session.id, max_tokens=ITERATION_PAGE) == added[99:]

    def test_a_corrupt_message_outside_of_the_window_does_not_matter(
        self, subject: CheckpointStore, session: SessionRecord, corrupt: Corrupt
    ) -> None:
        added = subject.add_messages(session.id, _turns(2))
        corrupt("messages", added[1].id, "tool_calls", "{")
        assert subject.get_messages(session.id, last_turns=1) == added[4:]
        with pytest.raises(CheckpointCorruptionError) as caught:
            subject.get_messages(session.id, last_turns=2)
        assert (caught.value.table, caught.value.id, caught.value.column) == (
            "messages",
            str(added[1].id),
            "tool_calls",
        )
        kept = subject.get_messages(session.id, last_turns=2, on_corrupt="keep")
        assert isinstance(kept[1].tool_calls, CorruptValue)

    def test_an_unknown_session_has_no_window(self, subject: CheckpointStore) -> None:
        assert subject.get_messages(unique(), last_turns=3, max_tokens=100) == []

    def test_windows_of_random_transcripts(self, subject: CheckpointStore, session: SessionRecord) -> None:
        """Against the definition: of all ends of the transcript that cut nothing, the longest within the bounds."""
        rng = random.Random(4322)
        transcript = subject.add_messages(session.id, [random_message(rng) for _ in range(120)])
        cuts = _cuts(transcript)
        turns = [index for index, message in enumerate(transcript) if message.role == "user"]
        for tokens in range(0, 400, 23):
            fits = [
                start
                for start in range(len(transcript) + 1)
                if not cuts[start] and _tokens(transcript[start:]) <= tokens
            ]
            assert subject.get_messages(session.id, max_tokens=tokens) == transcript[fits[0] :]
        for number in range(1, len(turns), 5):
            whole = [start for start in turns[: len(turns) - number + 1] if not cuts[start]]
            assert subject.get_messages(session.id, last_turns=number) == transcript[whole[-1] if whole else 0 :]


def _turns(number: int) -> list[dict[str, Any]]:
    """Of four messages each."""
    turns = [[says("user"), calls(str(n)), results(str(n)), says("assistant")] for n in range(number)]
    return [message for turn in turns for message in turn]


def _cuts(transcript: list[MessageRecord]) -> list[bool]:
    """For each place in the transcript, whether a call stands before it and its result behind it."""
    cuts = [False] * (len(transcript) + 1)
    waiting: dict[str, list[int]] = {}
    for index, message in enumerate(transcript):
        for call in message.tool_calls or []:
            waiting.setdefault(call["toolUseId"], []).append(index)
        for result in message.tool_results or []:
            if of_id := waiting.get(result["toolUseId"]):
                for place in range(of_id.pop() + 1, index + 1):
                    cuts[place] = True
    return cuts


def _tokens(messages: list[MessageRecord]) -> float:
    return sum(
        len(message.content or "") / 4
        if message.tokens_in is None and message.tokens_out is None
        else (message.tokens_in or 0) + (message.tokens_out or 0)
        for message in messages
    )
