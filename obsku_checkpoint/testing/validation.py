"""Validation: what a column cannot hold is refused by the name of its field, and nothing is written."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from obsku_checkpoint.codec import Map
from obsku_checkpoint.errors import (
    CheckpointNotFoundError,
    CheckpointStoreError,
    InvalidRecordError,
    SessionNotFoundError,
)
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import SessionRecord
from obsku_checkpoint.testing.base import CALL, RESULT, RESULTS, ConformanceBase, unique

INT32 = 2**31 - 1
NO_TEXT = {"nul": "a\x00b", "lone surrogate": "a\ud800b", "number": 5, "bytes": b"text", "list": ["text"]}
NO_INTEGER = {"too big": INT32 + 1, "bool": True, "text": "1", "float": 1.0, "list": [1]}
#: ids that no record can have
ODD_IDS = {"nul": "a\x00b", "lone surrogate": "a\ud800b", "10,000 characters": "x" * 10_000}

TOOL_CALLS: list[tuple[Any, str]] = [
    ([{"toolUseId": "1", "input": {}}], "tool_calls[0].name"),
    ([{"name": "t", "input": {}}], "tool_calls[0].toolUseId"),
    ([CALL, {"name": "t", "toolUseId": "1"}], "tool_calls[1].input"),
    ([{**CALL, "name": 5}], "tool_calls[0].name"),
    ([{**CALL, "toolUseId": None}], "tool_calls[0].toolUseId"),
    ([CALL, {**CALL, "input": "/etc/hosts"}], "tool_calls[1].input"),
    ([{**CALL, "input": ["/etc/hosts"]}], "tool_calls[0].input"),
    ([{**CALL, "input": {1: "/etc/hosts"}}], "tool_calls[0].input"),
    ([{**CALL, "__type": "Date"}], "tool_calls[0]"),
    ([{**CALL, "__proto__": 1}], "tool_calls[0]"),
    ([{**CALL, 1: 1}], "tool_calls[0]"),
    ([Map(CALL)], "tool_calls[0]"),
    ([CALL, "call"], "tool_calls[1]"),
    ("call", "tool_calls"),
    (CALL, "tool_calls"),
]
TOOL_RESULTS: list[tuple[Any, str]] = [
    ([{"content": "x"}], "tool_results[0].toolUseId"),
    ([RESULT, {"toolUseId": "1"}], "tool_results[1].content"),
    ([RESULT, {**RESULT, "content": {"rows": 1}}], "tool_results[1].content"),
    ([{**RESULT, "content": None, "data": 1}], "tool_results[0].content"),
    ([{"toolUseId": "1", "data": 1}, {"toolUseId": "1", "status": "ok"}], "tool_results[1].content"),
    ([{**RESULT, "toolUseId": 5}], "tool_results[0].toolUseId"),
    ([{**RESULT, "status": None}], "tool_results[0].status"),
    ([{**RESULT, "status": 5}], "tool_results[0].status"),
    ([{**RESULT, "fullOutputRef": []}], "tool_results[0].fullOutputRef"),
    ([None], "tool_results[0]"),
    (RESULT, "tool_results"),
]
CHECKPOINT_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"source": "other"}, "source"),
    ({"source": None}, "source"),
    ({"node_results": None}, "node_results"),
    ({"node_results": []}, "node_results"),
    ({"node_results": {1: {"status": "completed"}}}, "node_results"),
    ({"node_results": {"plan": "done"}}, "node_results.plan"),
    ({"node_results": {"plan": {}}}, "node_results.plan.status"),
    ({"node_results": {"ok": {"status": "skipped"}, "plan": {"status": "done"}}}, "node_results.plan.status"),
    ({"node_results": {"plan": {"status": "running", "startedAt": "soon"}}}, "node_results.plan.startedAt"),
    ({"node_results": {"plan": {"status": "failed", "completedAt": True}}}, "node_results.plan.completedAt"),
    ({"node_results": {"plan": {"status": "failed", "completedAt": 2**53}}}, "node_results.plan.completedAt"),
    ({"node_results": {"plan": {"status": "failed", "completedAt": math.nan}}}, "node_results.plan.completedAt"),
    ({"node_results": {"__type": {"status": "completed"}}}, "node_results"),
    ({"node_results": {"__proto__": {"status": "completed"}}}, "node_results"),
    ({"node_results": {"plan": {"status": "completed", "__type": "Date"}}}, "node_results.plan"),
    ({"node_results": Map(plan={"status": "completed"})}, "node_results"),
    ({"cycle_state": {"backEdge": "a->b", "iteration": 1, "__proto__": 1}}, "cycle_state"),
    ({"cycle_state": {"iteration": 1}}, "cycle_state.backEdge"),
    ({"cycle_state": {"backEdge": "a->b"}}, "cycle_state.iteration"),
    ({"cycle_state": {"backEdge": 1, "iteration": 1}}, "cycle_state.backEdge"),
    ({"cycle_state": {"backEdge": "a->b", "iteration": "1"}}, "cycle_state.iteration"),
    ({"cycle_state": "a->b"}, "cycle_state"),
    ({"pending_nodes": ["a", 1]}, "pending_nodes[1]"),
    ({"pending_nodes": [None]}, "pending_nodes[0]"),
    ({"pending_nodes": "plan"}, "pending_nodes"),
    ({"step": None}, "step"),
    ({"step": -INT32 - 2}, "step"),
    ({"version": 0}, "version"),
    ({"version": -1}, "version"),
]


def refused(call: Callable[..., object], *args: Any, **kwargs: Any) -> str | None:
    """The field by which the call is refused, None where it is not."""
    try:
        call(*args, **kwargs)
    except InvalidRecordError as error:
        return error.field
    return None


class ValidationConformance(ConformanceBase):
    # -- text

    # -- text

    def test_a_session_holds_text(self, subject: CheckpointStore, workspace: str) -> None:
        for field in ("id", "directory", "title", "workspace_id"):
            for name, value in NO_TEXT.items():
                content = {"directory": "/repo", "workspace_id": workspace, field: value}
                assert refused(subject.create_session, **content) == field, name
        assert subject.list_sessions(workspace) == []

    def test_a_session_that_is_got_or_created_holds_text(self, subject: CheckpointStore) -> None:
        for field in ("session_id", "directory", "title", "workspace_id"):
            for name, value in NO_TEXT.items():
                content = {"session_id": unique(), "directory": "/repo", field: value}
                assert refused(subject.get_or_create_session, **content) == field.removeprefix("session_"), name

    def test_an_updated_session_holds_text(self, subject: CheckpointStore, session: SessionRecord) -> None:
        for field in ("directory", "title", "workspace_id"):
            for name, value in NO_TEXT.items():
                assert refused(subject.update_session, session.id, **{field: value}) == field, name
        assert subject.get_session(session.id) == session

    def test_a_session_has_a_directory(self, subject: CheckpointStore, session: SessionRecord) -> None:
        assert refused(subject.create_session, None) == "directory"
        assert refused(subject.update_session, session.id, directory=None) == "directory"

    def test_metadata_is_a_dict(self, subject: CheckpointStore, session: SessionRecord) -> None:
        no_dicts: list[object] = [[], "text", 5, {1, 2}]
        for value in no_dicts:
            assert refused(subject.create_session, "/repo", metadata=value) == "metadata"
            assert refused(subject.update_session, session.id, metadata=value) == "metadata"
        assert subject.get_session(session.id) == session

    def test_a_messages_content_is_text(self, subject: CheckpointStore, session: SessionRecord) -> None:
        for value in (5, b"text", ["text"]):
            assert refused(subject.add_message, session.id, "user", value) == "content"
        assert subject.get_messages(session.id) == []

    def test_a_role_is_one_of_four(self, subject: CheckpointStore, session: SessionRecord) -> None:
        for value in ("robot", "", "User", None, 1):
            assert refused(subject.add_message, session.id, value, "hello") == "role"
        assert subject.get_messages(session.id) == []

    def test_a_checkpoint_holds_text(self, subject: CheckpointStore, session: SessionRecord) -> None:
        for field in ("id", "namespace", "parent_id", "node_id"):
            for name, value in NO_TEXT.items():
                content = {"step": 1, "node_results": RESULTS, field: value}
                assert refused(subject.save_checkpoint, session.id, **content) == field, name
        assert subject.list_checkpoints(session.id) == []

    # -- integers

    def test_tokens_are_not_negative_and_fit_their_column(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        for field in ("tokens_in", "tokens_out"):
            for value in (-1, *NO_INTEGER.values()):
                assert refused(subject.add_message, session.id, "user", "hello", **{field: value}) == field, value
        assert subject.get_messages(session.id) == []

    def test_steps_and_versions_fit_their_columns(self, subject: CheckpointStore, session: SessionRecord) -> None:
        for field in ("step", "version"):
            for value in NO_INTEGER.values():
                content = {"step": 1, "node_results": RESULTS, field: value}
                assert refused(subject.save_checkpoint, session.id, **content) == field, value
        assert subject.list_checkpoints(session.id) == []

    def test_the_largest_integers_are_kept(self, subject: CheckpointStore, session: SessionRecord) -> None:
        added = subject.add_message(session.id, "user", tokens_in=INT32, tokens_out=INT32)
        saved = subject.save_checkpoint(session.id, step=INT32, version=INT32, node_results=RESULTS)
        assert (added.tokens_in, added.tokens_out, saved.step, saved.version) == (INT32, INT32, INT32, INT32)
        assert subject.get_messages(session.id) == [added]
        assert subject.get_checkpoint(saved.id) == saved

    def test_no_version_follows_the_highest_one(self, subject: CheckpointStore, session: SessionRecord) -> None:
        last = subject.save_checkpoint(session.id, step=1, version=INT32, node_results=RESULTS)
        with pytest.raises(InvalidRecordError):
            subject.save_checkpoint(session.id, step=1, node_results=RESULTS)
        assert subject.list_checkpoints(session.id) == [last]

    def test_a_limit_is_a_number_and_not_negative(self, subject: CheckpointStore, session: SessionRecord) -> None:
        for limit in (-1, "1", 1.0):
            assert refused(subject.list_sessions, limit=limit) == "limit"
            assert refused(subject.search_sessions, "x", limit=limit) == "limit"
            assert refused(subject.list_session_summaries, limit=limit) == "limit"
            assert refused(subject.get_messages, session.id, limit=limit) == "limit"
            assert refused(subject.get_messages, session.id, after_id=0, limit=limit) == "limit"
            assert refused(subject.list_checkpoints, session.id, limit=limit) == "limit"
            assert refused(subject.list_checkpoints, session.id, namespace="", limit=limit) == "limit"

    def test_before_is_an_aware_datetime(self, subject: CheckpointStore, session: SessionRecord) -> None:
        for before in (datetime(2026, 1, 1), "2026-01-01", 5):
            assert refused(subject.list_sessions, before=before) == "before"
            assert refused(subject.list_session_summaries, before=before) == "before"
            assert refused(subject.get_messages, session.id, before=before) == "before"

    # -- the shapes inside JSON columns

    def test_tool_calls_have_their_shape(self, subject: CheckpointStore, session: SessionRecord) -> None:
        fields = [refused(subject.add_message, session.id, "assistant", tool_calls=value) for value, _ in TOOL_CALLS]
        assert fields == [field for _, field in TOOL_CALLS]
        assert subject.get_messages(session.id) == []

    def test_tool_results_have_their_shape(self, subject: CheckpointStore, session: SessionRecord) -> None:
        fields = [refused(subject.add_message, session.id, "tool", tool_results=value) for value, _ in TOOL_RESULTS]
        assert fields == [field for _, field in TOOL_RESULTS]
        assert subject.get_messages(session.id) == []

    def test_checkpoints_have_their_shape(self, subject: CheckpointStore, session: SessionRecord) -> None:
        fields = [
            refused(subject.save_checkpoint, session.id, **{"step": 1, "node_results": RESULTS, **content})
            for content, _ in CHECKPOINT_VALUES
        ]
        assert fields == [field for _, field in CHECKPOINT_VALUES]
        assert subject.list_checkpoints(session.id) == []

    # -- ids that no record can have

    @pytest.mark.parametrize("id", ODD_IDS.values(), ids=ODD_IDS)
    def test_reading_by_an_id_that_cannot_exist_finds_nothing(self, subject: CheckpointStore, id: str) -> None:
        assert subject.get_session(id) is None
        assert subject.get_session_summary(id) is None
        assert subject.get_messages(id) == []
        assert subject.get_messages(id, before_id=1, after_id=1) == []
        assert list(subject.iter_messages(id)) == []
        assert subject.get_checkpoint(id) is None
        assert subject.get_latest_checkpoint(id) is None
        assert subject.list_checkpoints(id) == []
        assert subject.get_lineage(id) == []

    @pytest.mark.parametrize("name", ODD_IDS.values(), ids=ODD_IDS)
    def test_reading_by_a_name_that_cannot_exist_finds_nothing(
        self, subject: CheckpointStore, session: SessionRecord, name: str
    ) -> None:
        subject.save_checkpoint(session.id, step=1, node_results=RESULTS)
        assert subject.list_sessions(name) == []
        assert subject.list_session_summaries(name) == []
        assert subject.search_sessions("x", name) == []
        assert subject.search_sessions(name) == []
        assert subject.continue_latest(name) is None
        assert subject.get_latest_checkpoint(session.id, name) is None
        assert subject.list_checkpoints(session.id, namespace=name) == []

    @pytest.mark.parametrize("id", ODD_IDS.values(), ids=ODD_IDS)
    def test_writing_by_an_id_that_cannot_exist_finds_nothing(self, subject: CheckpointStore, id: str) -> None:
        writes: list[tuple[Callable[[], object], type[CheckpointStoreError]]] = [
            (lambda: subject.update_session(id, title="T"), SessionNotFoundError),
            (lambda: subject.add_message(id, "user", "hello"), SessionNotFoundError),
            (lambda: subject.add_messages(id, [{"role": "user"}, {"role": "user"}]), SessionNotFoundError),
            (lambda: subject.save_checkpoint(id, step=1, node_results=RESULTS), SessionNotFoundError),
            (lambda: subject.fork(id), CheckpointNotFoundError),
        ]
        for write, expected in writes:
            with pytest.raises(expected):
                write()
        assert subject.delete_session(id) is False
