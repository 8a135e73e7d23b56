"""Sessions in figures."""

from __future__ import annotations

from datetime import timedelta

from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import SessionRecord, SessionSummary
from obsku_checkpoint.testing.base import RESULTS, ConformanceBase, pass_by, unique


class SummaryConformance(ConformanceBase):
    def test_a_summary_counts_and_sums(self, subject: CheckpointStore, session: SessionRecord) -> None:
        pass_by(session.created_at)
        subject.add_message(session.id, "user", "one", tokens_in=10)
        subject.add_message(session.id, "assistant", "two", tokens_in=3, tokens_out=20)
        last = subject.add_message(session.id, "tool", "three", tokens_out=0)
        subject.save_checkpoint(session.id, step=1, node_results=RESULTS)
        subject.save_checkpoint(session.id, step=1, node_results=RESULTS, namespace="branch")
        summary = subject.get_session_summary(session.id)
        stored = subject.get_session(session.id)
        assert stored is not None
        assert summary == SessionSummary(
            session=stored,
            message_count=3,
            checkpoint_count=2,
            tokens_in=13,
            tokens_out=20,
            last_message=last,
            duration=stored.updated_at - session.created_at,
        )
        assert summary.duration > timedelta(0)

    def test_a_summary_of_a_new_session_is_all_zero(self, subject: CheckpointStore, session: SessionRecord) -> None:
        assert subject.get_session_summary(session.id) == SessionSummary(
            session=session,
            message_count=0,
            checkpoint_count=0,
            tokens_in=0,
            tokens_out=0,
            last_message=None,
            duration=timedelta(0),
        )

    def test_a_summary_takes_missing_tokens_for_zero(self, subject: CheckpointStore, session: SessionRecord) -> None:
        subject.add_messages(session.id, [{"role": "user", "content": "hello"}] * 3)
        summary = subject.get_session_summary(session.id)
        assert summary is not None
        assert (summary.message_count, summary.tokens_in, summary.tokens_out) == (3, 0, 0)
        assert (type(summary.tokens_in), type(summary.tokens_out)) == (int, int)

    def test_sums_of_tokens_may_exceed_the_column(self, subject: CheckpointStore, session: SessionRecord) -> None:
        most = 2**31 - 1
        subject.add_messages(session.id, [{"role": "user", "tokens_in": most, "tokens_out": most}] * 3)
        summary = subject.get_session_summary(session.id)
        assert summary is not None
        assert (summary.tokens_in, summary.tokens_out) == (3 * most, 3 * most)

    def test_the_last_message_is_the_last_of_a_batch(self, subject: CheckpointStore, session: SessionRecord) -> None:
        batch = subject.add_messages(session.id, [{"role": "user", "content": text} for text in "abc"])
        summary = subject.get_session_summary(session.id)
        assert summary is not None
        assert summary.last_message == batch[-1]

    def test_an_unknown_session_has_no_summary(self, subject: CheckpointStore) -> None:
        assert subject.get_session_summary(unique()) is None

    def test_the_list_of_summaries_follows_the_list_of_sessions(self, subject: CheckpointStore, workspace: str) -> None:
        for count in range(4):
            session = subject.create_session("/repo", workspace_id=workspace)
            for number in range(count):
                subject.add_message(session.id, "user", str(number), tokens_in=1)
                subject.save_checkpoint(session.id, step=number, node_results=RESULTS)
            now = subject.get_session(session.id)
            assert now is not None
            pass_by(now.updated_at)
        sessions = subject.list_sessions(workspace)
        summaries = subject.list_session_summaries(workspace)
        assert [summary.session for summary in summaries] == sessions
        assert [summary.message_count for summary in summaries] == [3, 2, 1, 0]
        assert [summary.checkpoint_count for summary in summaries] == [3, 2, 1, 0]
        assert summaries == [subject.get_session_summary(session.id) for session in sessions]
        assert subject.list_session_summaries(workspace, limit=2) == summaries[:2]
        assert subject.list_session_summaries(workspace, limit=0) == []
        assert subject.list_session_summaries(workspace, before=sessions[1].updated_at) == summaries[2:]
        assert subject.list_session_summaries(workspace, before=sessions[0].updated_at, limit=1) == summaries[1:2]

    def test_summaries_of_all_workspaces_hold_ours(self, subject: CheckpointStore, session: SessionRecord) -> None:
        assert session.id in {summary.session.id for summary in subject.list_session_summaries()}

    def test_an_unknown_workspace_has_no_summaries(self, subject: CheckpointStore) -> None:
        assert subject.list_session_summaries(unique()) == []
