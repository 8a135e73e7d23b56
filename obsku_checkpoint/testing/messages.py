"""Messages: append to a session's transcript, and read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import pytest

from obsku_checkpoint.errors import InvalidRecordError, SessionNotFoundError
from obsku_checkpoint.protocols import ITERATION_PAGE, CheckpointStore
from obsku_checkpoint.records import MessageRecord, Role, SessionRecord, ToolResult
from obsku_checkpoint.testing.base import CALL, RESULT, ConformanceBase, pass_by, unique


class MessageConformance(ConformanceBase):
    # -- append

    def test_a_message_is_read_as_it_was_returned(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_message(
            session.id, "assistant", "hi", tool_calls=[CALL], tool_results=[RESULT], tokens_in=7, tokens_out=9
        )
        assert (added.session_id, added.role, added.content) == (session.id, "assistant", "hi")
        assert (added.tool_calls, added.tool_results) == ([CALL], [RESULT])
        assert (added.tokens_in, added.tokens_out) == (7, 9)
        assert subject.get_messages(session.id) == [added]

    @pytest.mark.parametrize("role", ["user", "assistant", "system", "tool"])
    def test_a_message_has_one_of_four_roles(
        self, subject: CheckpointStore, session: SessionRecord, role: Role
    ) -> None:
        assert subject.add_message(session.id, role).role == role

    def test_a_message_needs_a_role_only(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_message(session.id, "user")
        assert (added.content, added.tool_calls, added.tool_results) == (None, None, None)
        assert (added.tokens_in, added.tokens_out) == (None, None)
        assert subject.get_messages(session.id) == [added]

    def test_nothing_and_zero_are_not_missing(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_message(session.id, "user", "", tool_calls=[], tool_results=[], tokens_in=0, tokens_out=0)
        assert (added.content, added.tool_calls, added.tool_results) == ("", [], [])
        assert (added.tokens_in, added.tokens_out) == (0, 0)
        assert subject.get_messages(session.id) == [added]

    def test_a_tool_result_without_text_gets_the_json_of_its_data(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        given: ToolResult = {"toolUseId": "call-1", "data": {"rows": [1, None], "name": "é"}}
        added = subject.add_message(session.id, "tool", tool_results=[given])
        assert added.tool_results == [{**given, "content": '{"rows":[1,null],"name":"é"}'}]
        assert subject.get_messages(session.id) == [added]
        assert "content" not in given

    def test_a_tool_result_keeps_its_text_beside_its_data(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        given: ToolResult = {**RESULT, "data": {"rows": 2}}
        assert subject.add_message(session.id, "tool", tool_results=[given]).tool_results == [given]

    def test_tool_calls_may_be_a_tuple(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_message(session.id, "assistant", tool_calls=(CALL,), tool_results=(RESULT,))
        assert (added.tool_calls, added.tool_results) == ([CALL], [RESULT])
        assert subject.get_messages(session.id) == [added]

    def test_a_message_to_an_unknown_session_is_refused(self, subject: CheckpointStore) -> None:
        id = unique()
        with pytest.raises(SessionNotFoundError, match=f"^Session not found: {id}$") as caught:
            subject.add_message(id, "user", "hello")
        assert caught.value.id == id
        with pytest.raises(SessionNotFoundError):
            subject.add_messages(id, [{"role": "user"}, {"role": "user"}])
        assert subject.get_messages(id) == []

    def test_a_message_advances_the_sessions_updated_at(self, subject: CheckpointStore, session: SessionRecord) -> None:
        pass_by(session.updated_at)
        message = subject.add_message(session.id, "user", "hello")
        after = subject.get_session(session.id)
        assert after is not None
        assert after.updated_at > session.updated_at
        assert after.updated_at >= message.created_at
        assert after.created_at == session.created_at

    def test_messages_advance_the_sessions_updated_at(self, subject: CheckpointStore, session: SessionRecord) -> None:
        pass_by(session.updated_at)
        subject.add_messages(session.id, [{"role": "user"}, {"role": "user"}])
        after = subject.get_session(session.id)
        assert after is not None
        assert after.updated_at > session.updated_at

    # -- append many

    def test_messages_are_appended_in_order(self, subject: CheckpointStore, session: SessionRecord) -> None:
        full = {"role": "assistant", "content": "b", "tool_calls": [CALL], "tool_results": [RESULT], "tokens_in": 1}
        added = subject.add_messages(
            session.id, [{"role": "user", "content": "a"}, {**full, "tokens_out": 2}, {"role": "tool"}]
        )
        assert [message.content for message in added] == ["a", "b", None]
        assert [message.role for message in added] == ["user", "assistant", "tool"]
        assert (added[1].tool_calls, added[1].tool_results) == ([CALL], [RESULT])
        assert [message.tokens_out for message in added] == [None, 2, None]
        assert subject.get_messages(session.id) == added

    def test_messages_may_come_from_a_generator(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_messages(session.id, ({"role": "user", "content": text} for text in "abc"))
        assert [message.content for message in added] == ["a", "b", "c"]
        assert subject.get_messages(session.id) == added

    def test_no_messages_are_none_added(self, subject: CheckpointStore, session: SessionRecord) -> None:
        assert subject.add_messages(session.id, []) == []
        assert subject.add_messages(session.id, iter(())) == []
        assert subject.get_messages(session.id) == []

    @pytest.mark.parametrize(
        ("bad", "field"),
        [
            ({"role": "robot"}, "messages[2].role"),
            ({"content": "no role"}, "messages[2].role"),
            ({"role": "user", "text": "unknown key"}, "messages[2].text"),
            ({"role": "user", "tokens_in": -1}, "messages[2].tokens_in"),
            ({"role": "tool", "tool_results": [{"content": 1}]}, "messages[2].tool_results[0].toolUseId"),
            ("hello", "messages[2]"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_one_bad_message_keeps_all_out(
        self, subject: CheckpointStore, session: SessionRecord, bad: Any, field: str
    ) -> None:
        good = {"role": "user", "content": "good"}
        with pytest.raises(InvalidRecordError) as caught:
            subject.add_messages(session.id, [good, good, bad, good])
        assert caught.value.field == field
        assert subject.get_messages(session.id) == []
        assert subject.get_session(session.id) == session

    def test_an_iterable_that_fails_keeps_all_out(self, subject: CheckpointStore, session: SessionRecord) -> None:
        def failing() -> Iterator[Mapping[str, Any]]:
            yield {"role": "user", "content": "good"}
            raise LookupError("the source broke")

        with pytest.raises(LookupError, match="the source broke"):
            subject.add_messages(session.id, failing())
        assert subject.get_messages(session.id) == []

    # -- order

    def test_the_transcript_is_read_oldest_first(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = [subject.add_message(session.id, "user", str(number)) for number in range(20)]
        assert subject.get_messages(session.id) == added

    def test_ids_and_times_of_messages_never_go_back(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = [subject.add_message(session.id, "user") for _ in range(20)]
        added += subject.add_messages(session.id, [{"role": "user"}] * 20)
        ids, times = [message.id for message in added], [message.created_at for message in added]
        assert ids == sorted(set(ids))
        assert times == sorted(times)

    def test_messages_of_one_millisecond_keep_their_order(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        added = subject.add_messages(session.id, [{"role": "user", "content": str(number)} for number in range(50)])
        assert subject.get_messages(session.id) == added
        middle = added[25]
        assert subject.get_messages(session.id, before_id=middle.id) == added[:25]
        assert subject.get_messages(session.id, after_id=middle.id) == added[26:]
        assert subject.get_messages(session.id, limit=3) == added[-3:]

    def test_a_transcript_holds_its_own_session_only(self, subject: CheckpointStore, session: SessionRecord) -> None:
        other = subject.create_session("/repo")
        mine = [subject.add_message(session.id, "user", "mine")]
        subject.add_message(other.id, "user", "other")
        mine.append(subject.add_message(session.id, "user", "mine, too"))
        assert subject.get_messages(session.id) == mine
        assert subject.get_messages(session.id, after_id=mine[0].id) == mine[1:]

    # -- parts of a transcript

    def test_before_keeps_messages_written_earlier(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = _spread(subject, session.id, 4)
        assert subject.get_messages(session.id, before=added[2].created_at) == added[:2]
        assert subject.get_messages(session.id, before=added[0].created_at) == []
        assert subject.get_messages(session.id, before=added[3].created_at, limit=2) == added[1:3]

    def test_before_id_and_after_id_keep_what_stands_there(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        added = [subject.add_message(session.id, "user", str(number)) for number in range(6)]
        assert subject.get_messages(session.id, before_id=added[2].id) == added[:2]
        assert subject.get_messages(session.id, after_id=added[2].id) == added[3:]
        assert subject.get_messages(session.id, after_id=added[1].id, before_id=added[4].id) == added[2:4]
        assert subject.get_messages(session.id, before_id=added[0].id) == []
        assert subject.get_messages(session.id, after_id=added[-1].id) == []
        assert subject.get_messages(session.id, after_id=0) == added

    def test_a_limit_keeps_the_newest_but_the_next_after_an_id(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        added = [subject.add_message(session.id, "user", str(number)) for number in range(6)]
        assert subject.get_messages(session.id, limit=2) == added[4:]
        assert subject.get_messages(session.id, limit=9) == added
        assert subject.get_messages(session.id, before_id=added[4].id, limit=2) == added[2:4]
        assert subject.get_messages(session.id, after_id=added[0].id, limit=2) == added[1:3]
        assert subject.get_messages(session.id, after_id=0, limit=2) == added[:2]
        assert subject.get_messages(session.id, after_id=added[0].id, before_id=added[5].id, limit=2) == added[1:3]

    def test_a_limit_of_zero_keeps_nothing(self, subject: CheckpointStore, session: SessionRecord) -> None:
        first = subject.add_message(session.id, "user")
        subject.add_message(session.id, "user")
        assert subject.get_messages(session.id, limit=0) == []
        assert subject.get_messages(session.id, after_id=first.id, limit=0) == []

    def test_time_and_place_are_combined(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = _spread(subject, session.id, 5)
        parts = subject.get_messages(session.id, before=added[4].created_at, after_id=added[0].id)
        assert parts == added[1:4]
        assert subject.get_messages(session.id, before=added[2].created_at, before_id=added[4].id) == added[:2]

    def test_an_unknown_session_has_no_messages(self, subject: CheckpointStore) -> None:
        id = unique()
        assert subject.get_messages(id) == []
        assert subject.get_messages(id, before_id=1) == []
        assert subject.get_messages(id, after_id=1, limit=1) == []
        assert list(subject.iter_messages(id)) == []

    # -- iterate

    def test_iteration_gives_a_long_transcript_in_order(self, subject: CheckpointStore, session: SessionRecord) -> None:
        count = 2 * ITERATION_PAGE + 1
        added = subject.add_messages(session.id, [{"role": "user", "content": str(n)} for n in range(count)])
        assert len(added) == count
        assert list(subject.iter_messages(session.id)) == added

    def test_iteration_ends_at_a_full_page(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_messages(session.id, [{"role": "user"}] * ITERATION_PAGE)
        assert list(subject.iter_messages(session.id)) == added

    def test_iteration_gives_what_is_written_meanwhile_last(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        added = subject.add_messages(session.id, [{"role": "user"}] * (ITERATION_PAGE + 1))
        messages = subject.iter_messages(session.id)
        seen = list(islice(messages, 10))
        added.append(subject.add_message(session.id, "user", "meanwhile"))
        assert seen + list(messages) == added

    def test_iteration_can_be_left_early(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_messages(session.id, [{"role": "user"}] * 10)
        for message in subject.iter_messages(session.id):
            assert message == added[0]
            break
        assert subject.get_messages(session.id) == added


def _spread(subject: CheckpointStore, session_id: str, count: int) -> list[MessageRecord]:
    """Messages of which each is later than the one before."""
    messages = []
    for number in range(count):
        messages.append(subject.add_message(session_id, "user", str(number)))
        pass_by(messages[-1].created_at)
    return messages
