"""Corrupt rows: stored text that cannot be decoded, written around the store (fixture ``corrupt``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import CheckpointRecord, CorruptValue, EntityRecord, MessageRecord, SessionRecord
from obsku_checkpoint.testing.base import CALL, RESULTS, ConformanceBase, Corrupt, pass_by, unique

BAD = '{"cut off": "' + "x" * 200


class Rows(NamedTuple):
    """Two rows of each kind; the second is the newest, and the one that is to be spoilt."""

    workspace: str
    sessions: tuple[SessionRecord, SessionRecord]
    messages: tuple[MessageRecord, MessageRecord]
    checkpoints: tuple[CheckpointRecord, CheckpointRecord]
    entities: tuple[EntityRecord, EntityRecord]

    @property
    def session_id(self) -> str:
        return self.sessions[1].id


Read = Callable[[CheckpointStore, Rows, Any], Any]

#: each reading method, and how its answer leads to the spoilt record
SESSION_READS: dict[str, Read] = {
    "get_session": lambda s, rows, mode: s.get_session(rows.session_id, **mode),
    "list_sessions": lambda s, rows, mode: s.list_sessions(rows.workspace, **mode)[0],
    "search_sessions": lambda s, rows, mode: s.search_sessions("repo", rows.workspace, **mode)[0],
    "continue_latest": lambda s, rows, mode: s.continue_latest(rows.workspace, **mode).session,  # type: ignore[union-attr]
    "get_session_summary": lambda s, rows, mode: s.get_session_summary(rows.session_id, **mode).session,  # type: ignore[union-attr]
    "list_session_summaries": lambda s, rows, mode: s.list_session_summaries(rows.workspace, **mode)[0].session,
}
MESSAGE_READS: dict[str, Read] = {
    "get_messages": lambda s, rows, mode: s.get_messages(rows.session_id, **mode)[-1],
    "iter_messages": lambda s, rows, mode: list(s.iter_messages(rows.session_id, **mode))[-1],
    "continue_latest": lambda s, rows, mode: s.continue_latest(rows.workspace, **mode).messages[-1],  # type: ignore[union-attr]
    "get_session_summary": lambda s, rows, mode: s.get_session_summary(rows.session_id, **mode).last_message,  # type: ignore[union-attr]
    "list_session_summaries": lambda s, rows, mode: s.list_session_summaries(rows.workspace, **mode)[0].last_message,
}
CHECKPOINT_READS: dict[str, Read] = {
    "get_checkpoint": lambda s, rows, mode: s.get_checkpoint(rows.checkpoints[1].id, **mode),
    "get_latest_checkpoint": lambda s, rows, mode: s.get_latest_checkpoint(rows.session_id, **mode),
    "list_checkpoints": lambda s, rows, mode: s.list_checkpoints(rows.session_id, **mode)[0],
    "get_lineage": lambda s, rows, mode: s.get_lineage(rows.checkpoints[1].id, **mode)[0],
    "continue_latest": lambda s, rows, mode: s.continue_latest(rows.workspace, **mode).checkpoint,  # type: ignore[union-attr]
}
ENTITY_READS: dict[str, Read] = {
    "get_entity": lambda s, rows, mode: s.get_entity(rows.entities[1].id, **mode),
    "list_entities": lambda s, rows, mode: s.list_entities(session_id=rows.session_id, **mode)[0],
    "related": lambda s, rows, mode: s.related(rows.entities[0].id, **mode)[0],
    "search_entities": lambda s, rows, mode: s.search_entities([1.0], session_id=rows.session_id, **mode)[0].record,
}
SPOILT = [
    ("sessions", "metadata"),
    ("messages", "tool_calls"),
    ("messages", "tool_results"),
    ("checkpoints", "node_results"),
    ("checkpoints", "pending_nodes"),
    ("checkpoints", "cycle_state"),
    ("entities", "attributes"),
    ("entities", "relationships"),
]
READS = {
    "sessions": SESSION_READS,
    "messages": MESSAGE_READS,
    "checkpoints": CHECKPOINT_READS,
    "entities": ENTITY_READS,
}


class CorruptionConformance(ConformanceBase):
    @pytest.fixture
    def rows(self, subject: CheckpointStore, workspace: str) -> Iterator[Rows]:
        first, second = (
            subject.create_session("/repo", title="old", workspace_id=workspace, metadata={"a": 1}) for _ in range(2)
        )
        calls = subject.add_messages(second.id, [{"role": "assistant", "content": "hi", "tool_calls": [CALL]}] * 2)
        good = subject.save_checkpoint(second.id, step=1, node_results=RESULTS)
        bad = subject.save_checkpoint(second.id, step=2, node_results=RESULTS, parent_id=good.id)
        id = unique()
        known = subject.save_entity(
            second.id, name="good", type="t", relationships=[{"targetId": id, "type": "r"}], embedding=[0.5]
        )
        pass_by(known.created_at)
        spoilt = subject.save_entity(second.id, name="bad", type="t", id=id, embedding=[1.0])
        yield Rows(workspace, (first, second), (calls[0], calls[1]), (good, bad), (known, spoilt))
        # Spoilt rows of one test would be in the way of others that list all sessions.
        for session in subject.list_sessions(workspace, on_corrupt="keep"):
            subject.delete_session(session.id)

    @pytest.mark.parametrize(("table", "column"), SPOILT)
    def test_every_reading_method_names_a_corrupt_value_or_keeps_it(
        self, subject: CheckpointStore, corrupt: Corrupt, rows: Rows, table: str, column: str
    ) -> None:
        good = {method: read(subject, rows, {}) for method, read in READS[table].items()}
        [id] = {record.id for record in good.values()}
        corrupt(table, id, column, BAD)
        for method, read in READS[table].items():
            with pytest.raises(CheckpointCorruptionError) as caught:
                read(subject, rows, {})
            error = caught.value
            assert (error.table, error.id, error.column) == (table, str(id), column), method
            assert len(error.preview) <= 100, method
            assert "x" * 101 not in str(error), method
            with pytest.raises(CheckpointCorruptionError):
                read(subject, rows, {"on_corrupt": "raise"})
            kept = read(subject, rows, {"on_corrupt": "keep"})
            value = getattr(kept, column)
            assert isinstance(value, CorruptValue), method
            assert value.text == BAD, method
            assert value.reason, method
            assert kept == replace(good[method], **{column: value}), method

    def test_a_corrupt_row_leaves_the_others_alone(
        self, subject: CheckpointStore, corrupt: Corrupt, rows: Rows
    ) -> None:
        corrupt("sessions", rows.session_id, "metadata", BAD)
        corrupt("messages", rows.messages[1].id, "tool_calls", BAD)
        corrupt("checkpoints", rows.checkpoints[1].id, "node_results", BAD)
        assert subject.get_session(rows.sessions[0].id) == rows.sessions[0]
        assert subject.list_sessions(rows.workspace, on_corrupt="keep")[1] == rows.sessions[0]
        assert subject.get_messages(rows.session_id, on_corrupt="keep")[0] == rows.messages[0]
        assert subject.get_messages(rows.session_id, before_id=rows.messages[1].id) == [rows.messages[0]]
        assert subject.list_checkpoints(rows.session_id, on_corrupt="keep")[1] == rows.checkpoints[0]
        assert subject.get_checkpoint(rows.checkpoints[0].id) == rows.checkpoints[0]

    def test_a_session_with_a_corrupt_row_can_be_written_to_and_deleted(
        self, subject: CheckpointStore, corrupt: Corrupt, rows: Rows
    ) -> None:
        corrupt("sessions", rows.session_id, "metadata", BAD)
        corrupt("checkpoints", rows.checkpoints[1].id, "node_results", BAD)
        assert subject.add_message(rows.session_id, "user", "again").content == "again"
        assert subject.save_checkpoint(rows.session_id, step=3, node_results=RESULTS).version == 3
        assert subject.delete_session(rows.session_id) is True

    def test_an_update_puts_a_corrupt_value_right(self, subject: CheckpointStore, corrupt: Corrupt, rows: Rows) -> None:
        corrupt("sessions", rows.session_id, "metadata", BAD)
        right = subject.update_session(rows.session_id, metadata={"a": 2})
        assert right.metadata == {"a": 2}
        assert subject.get_session(rows.session_id) == right

    def test_a_write_that_raises_for_a_corrupt_value_has_written_nothing(
        self, subject: CheckpointStore, corrupt: Corrupt, rows: Rows
    ) -> None:
        corrupt("sessions", rows.session_id, "metadata", BAD)
        writes: list[Callable[[], object]] = [
            lambda: subject.update_session(rows.session_id, title="new"),
            lambda: subject.fork(rows.checkpoints[0].id, title="new"),
        ]
        for write in writes:
            before = subject.list_sessions(rows.workspace, on_corrupt="keep")
            try:
                write()
            except CheckpointCorruptionError:
                assert subject.list_sessions(rows.workspace, on_corrupt="keep") == before
            else:
                assert subject.list_sessions(rows.workspace, on_corrupt="keep")[0].title == "new"
