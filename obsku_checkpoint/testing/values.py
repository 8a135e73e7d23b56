"""Values: what goes in comes out, in JSON-plus columns and in columns of plain text."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from obsku_checkpoint.errors import SerializationError
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import SessionRecord
from obsku_checkpoint.testing.base import CALL, RESULTS, ConformanceBase, unique, wrong

#: writes a value into a JSON column, and reads it back: (returned, read)
RoundTrip = Callable[[CheckpointStore, SessionRecord, Any], tuple[Any, Any]]

VALUES: dict[str, Any] = {
    "none": None,
    "booleans": [True, False],
    "numbers": [0, -1, 1.5, 2**53, 2**63, -(2**63) - 1, 10**40, 1e300, math.inf, -math.inf],
    "texts": ["", "plain", "quote \" ' \\", "line\nbreak\u2028", "日本語 🚀", "nul \x00", "lone \ud800 surrogate"],
    "datetime": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
    "datetime before 1970": datetime(1905, 6, 30, tzinfo=UTC),
    "set": {1, 2, 3},
    "empty set": set(),
    "bytes": bytes(range(256)),
    "empty bytes": b"",
    "map": {1: "one", 2: "two"},
    "map with the key __type": {"__type": "Date", "value": "not a date"},
    "decimal": Decimal("1.10"),
    "uuid": UUID("0190b6d2-7a3c-7def-8123-456789abcdef"),
    "empty": [{}, []],
    "nested": {"a": [{"b": {"c": [{1, 2}, b"x", {3: datetime(2026, 1, 1, tzinfo=UTC)}]}}]},
}

REFUSED: dict[str, tuple[Any, str]] = {
    "unknown type": ({"tools": ["ok", object()]}, ".tools[1]"),
    "naive datetime": ({"when": datetime(2026, 1, 1)}, ".when"),
    "function": ({"f": len}, ".f"),
}

ODD_IDS = ["Сессия-日本-🚀-{}", "a/b?c#d&e=f-{}", " spaces and\ttabs {} ", "'; DROP TABLE sessions; --{}", "%_\\{}", ""]


def _metadata(subject: CheckpointStore, session: SessionRecord, value: Any) -> tuple[Any, Any]:
    returned = subject.update_session(session.id, metadata={"value": value})
    read = subject.get_session(session.id)
    assert read is not None
    return returned.metadata["value"], read.metadata["value"]


def _tool_input(subject: CheckpointStore, session: SessionRecord, value: Any) -> tuple[Any, Any]:
    returned = subject.add_message(session.id, "assistant", tool_calls=[{**CALL, "input": {"value": value}}])
    [read] = subject.get_messages(session.id)
    assert returned.tool_calls
    assert read.tool_calls
    return returned.tool_calls[0]["input"]["value"], read.tool_calls[0]["input"]["value"]


def _tool_output(subject: CheckpointStore, session: SessionRecord, value: Any) -> tuple[Any, Any]:
    [returned] = subject.add_messages(
        session.id, [{"role": "tool", "tool_results": [{"toolUseId": "call-1", "data": value}]}]
    )
    [read] = subject.get_messages(session.id)
    assert returned.tool_results
    assert read.tool_results
    return returned.tool_results[0]["data"], read.tool_results[0]["data"]


def _node_output(subject: CheckpointStore, session: SessionRecord, value: Any) -> tuple[Any, Any]:
    returned = subject.save_checkpoint(
        session.id, step=1, node_results={"node": {"status": "completed", "output": value}}
    )
    read = subject.get_checkpoint(returned.id)
    assert read is not None
    return returned.node_results["node"]["output"], read.node_results["node"]["output"]


ROUND_TRIPS = [_metadata, _tool_input, _tool_output, _node_output]


class ValueConformance(ConformanceBase):
    # -- JSON-plus columns

    @pytest.mark.parametrize("write", ROUND_TRIPS, ids=lambda write: write.__name__.strip("_"))
    def test_values_of_every_kind_come_back_equal_and_of_their_type(
        self, subject: CheckpointStore, session: SessionRecord, write: RoundTrip
    ) -> None:
        returned, read = write(subject, session, VALUES)
        for name, value in VALUES.items():
            for back in (returned[name], read[name]):
                assert back == value, name
                assert isinstance(back, type(value)), name
                assert repr(back) == repr(value) or isinstance(value, set | dict), name

    @pytest.mark.parametrize("write", ROUND_TRIPS, ids=lambda write: write.__name__.strip("_"))
    def test_not_a_number_comes_back_as_such(
        self, subject: CheckpointStore, session: SessionRecord, write: RoundTrip
    ) -> None:
        assert all(math.isnan(value) for value in write(subject, session, math.nan))

    def test_values_like_others_come_back_as_those(self, subject: CheckpointStore, session: SessionRecord) -> None:
        tokyo = datetime(2026, 1, 2, 12, 4, 5, 678901, tzinfo=timezone(timedelta(hours=9)))
        given = {"tuple": (1, (2,)), "frozenset": frozenset({1}), "bytearray": bytearray(b"x"), "tokyo": tokyo}
        expected = {
            "tuple": [1, [2]],
            "frozenset": {1},
            "bytearray": b"x",
            "tokyo": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        }
        assert _metadata(subject, session, given) == (expected, expected)

    def test_metadata_itself_may_have_keys_that_are_no_text(self, subject: CheckpointStore) -> None:
        made = subject.create_session("/repo", metadata=wrong({1: "one", (2, 3): "pair"}))
        assert subject.get_session(made.id) == made
        assert made.metadata[1] == "one"

    @pytest.mark.parametrize("write", ROUND_TRIPS, ids=lambda write: write.__name__.strip("_"))
    @pytest.mark.parametrize("refused", REFUSED)
    def test_what_cannot_be_written_without_loss_is_refused_by_its_path(
        self, subject: CheckpointStore, session: SessionRecord, write: RoundTrip, refused: str
    ) -> None:
        value, path = REFUSED[refused]
        with pytest.raises(SerializationError) as caught:
            write(subject, session, value)
        assert caught.value.path.endswith(path)
        assert isinstance(caught.value, ValueError)
        assert subject.get_session(session.id) == session
        assert subject.get_messages(session.id) == []
        assert subject.list_checkpoints(session.id) == []

    def test_a_session_with_a_value_that_cannot_be_written_is_not_made(self, subject: CheckpointStore) -> None:
        id, circle = unique(), dict[str, Any]()
        circle["again"] = circle
        with pytest.raises(SerializationError):
            subject.create_session("/repo", metadata=circle, id=id)
        assert subject.get_session(id) is None

    # -- the caller's objects and the store's

    def test_what_the_caller_changes_after_the_call_changes_nothing_else(
        self, subject: CheckpointStore, workspace: str
    ) -> None:
        metadata: dict[str, Any] = {"list": [1]}
        session = subject.create_session("/repo", workspace_id=workspace, metadata=metadata)
        call: dict[str, Any] = {**CALL, "input": {"list": [1]}}
        message = subject.add_message(session.id, "assistant", tool_calls=[wrong(call)])
        results: dict[str, Any] = {"node": {"status": "completed", "output": [1]}}
        pending = ["a"]
        checkpoint = subject.save_checkpoint(session.id, step=1, node_results=results, pending_nodes=pending)
        metadata["list"].append(2)
        call["input"]["list"].append(2)
        results["node"]["output"].append(2)
        pending.append("b")
        assert session.metadata == {"list": [1]}
        assert message.tool_calls is not None
        assert message.tool_calls[0]["input"] == {"list": [1]}
        assert checkpoint.node_results["node"]["output"] == [1]
        assert checkpoint.pending_nodes == ["a"]
        stored = subject.get_session(session.id)
        assert stored is not None
        assert stored.metadata == {"list": [1]}
        assert subject.get_messages(session.id) == [message]
        assert subject.get_checkpoint(checkpoint.id) == checkpoint

    def test_what_is_changed_in_a_record_is_not_changed_in_the_store(self, subject: CheckpointStore) -> None:
        session = subject.create_session("/repo", metadata={"list": [1]})
        session.metadata["list"].append(2)
        read = subject.get_session(session.id)
        assert read is not None
        assert read.metadata == {"list": [1]}
        read.metadata["list"].append(3)
        again = subject.get_session(session.id)
        assert again is not None
        assert again.metadata == {"list": [1]}

    def test_records_are_immutable(self, subject: CheckpointStore, session: SessionRecord) -> None:
        records = [
            session,
            subject.add_message(session.id, "user"),
            subject.save_checkpoint(session.id, step=1, node_results=RESULTS),
            subject.get_session_summary(session.id),
            subject.continue_latest(session.workspace_id),
        ]
        for record in records:
            assert is_dataclass(record)
            with pytest.raises(FrozenInstanceError):
                setattr(record, fields(record)[0].name, "other")

    def test_times_are_aware_utc_in_whole_milliseconds(self, subject: CheckpointStore, session: SessionRecord) -> None:
        message = subject.add_message(session.id, "user")
        checkpoint = subject.save_checkpoint(session.id, step=1, node_results=RESULTS)
        stored = subject.get_session(session.id)
        assert stored is not None
        before = datetime.now(UTC) - timedelta(days=1)
        for moment in (stored.created_at, stored.updated_at, message.created_at, checkpoint.created_at):
            assert moment.tzinfo is UTC
            assert moment.microsecond % 1000 == 0
            assert before < moment < before + timedelta(days=2)

    # -- columns of plain text

    @pytest.mark.parametrize(
        ("content", "stored"),
        [
            ("a\x00b", "a\u2400b"),
            ("a\ud800b\udfffc", "a\ufffdb\ufffdc"),
            ("\x00\ud83d", "\u2400\ufffd"),
            ("\ud83d\ude80", "\ufffd\ufffd"),
        ],
        ids=ascii,
    )
    def test_what_no_text_column_holds_is_replaced_in_a_messages_content(
        self, subject: CheckpointStore, session: SessionRecord, content: str, stored: str
    ) -> None:
        added = [subject.add_message(session.id, "user", content)]
        added += subject.add_messages(session.id, [{"role": "user", "content": content}] * 2)
        assert [message.content for message in added] == [stored] * 3
        assert subject.get_messages(session.id) == added

    @pytest.mark.parametrize(
        "content",
        ["\x01\x1f\x7f", "\ufffd\u2400\ufeff", "é e\u0301", "🚀", "\r\n\t ", pytest.param("x" * 100_000, id="long")],
    )
    def test_any_other_content_is_kept_as_it_is(
        self, subject: CheckpointStore, session: SessionRecord, content: str
    ) -> None:
        added = subject.add_message(session.id, "user", content)
        assert added.content == content
        assert subject.get_messages(session.id) == [added]

    @pytest.mark.parametrize("text", ODD_IDS)
    def test_a_session_id_may_be_any_text(self, subject: CheckpointStore, text: str) -> None:
        id = text.format(unique())
        subject.delete_session(id)
        made = subject.create_session("/repo", title="T", id=id)
        assert made.id == id
        assert subject.get_session(id) == made
        message = subject.add_message(id, "user", "hello")
        checkpoint = subject.save_checkpoint(id, step=1, node_results=RESULTS)
        assert subject.get_messages(id) == [message]
        assert subject.list_checkpoints(id) == [checkpoint]
        assert subject.get_or_create_session(id, "/other").directory == "/repo"
        assert subject.delete_session(id) is True

    @pytest.mark.parametrize("text", ODD_IDS)
    def test_a_checkpoint_id_may_be_any_text(self, subject: CheckpointStore, session: SessionRecord, text: str) -> None:
        id = text.format(unique())
        if earlier := subject.get_checkpoint(id):
            subject.delete_session(earlier.session_id)
        saved = subject.save_checkpoint(session.id, step=1, node_results=RESULTS, id=id)
        child = subject.save_checkpoint(session.id, step=2, node_results=RESULTS, parent_id=id)
        assert saved.id == id
        assert subject.get_checkpoint(id) == saved
        assert subject.get_lineage(child.id) == [child, saved]
        fork = subject.fork(id)
        assert [copy.parent_id for copy in subject.list_checkpoints(fork.id)] == [id]

    def test_ids_and_namespaces_may_be_long(self, subject: CheckpointStore) -> None:
        id = unique() + "x" * 468
        session = subject.create_session("/repo", workspace_id=id, id=id)
        saved = subject.save_checkpoint(id, step=1, node_results=RESULTS, namespace=id, id=id, parent_id=id, node_id=id)
        assert len(id) == 500
        assert subject.get_checkpoint(id) == saved
        assert subject.get_latest_checkpoint(id, id) == saved
        assert [listed.id for listed in subject.list_sessions(id)] == [session.id]

    def test_ids_differ_by_case_and_by_spaces(self, subject: CheckpointStore) -> None:
        id = f"id-{unique()}"
        made = [subject.create_session("/repo", id=other) for other in (id, id.upper(), f"{id} ", f" {id}")]
        assert [subject.get_session(session.id) for session in made] == made
