"""Concurrency: many threads and one store, with nothing assumed of how it does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from obsku_checkpoint.errors import IdConflictError, SessionNotFoundError, VersionConflictError
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import CheckpointRecord, MessageRecord, SessionRecord
from obsku_checkpoint.testing.base import RESULTS, ConformanceBase, unique

THREADS = 8


class ConcurrencyConformance(ConformanceBase):
    # -- sessions

    def test_one_of_many_makes_the_session_that_all_get(self, subject: CheckpointStore, workspace: str) -> None:
        id = unique()

        def make(number: int) -> SessionRecord:
            return subject.get_or_create_session(id, "/repo", title=f"Made by {number}", workspace_id=workspace)

        got = self.at_once(subject, [partial(make, number) for number in range(THREADS)])
        assert got == [subject.get_session(id)] * THREADS
        assert subject.list_sessions(workspace) == got[:1]

    def test_a_session_created_many_times_at_once_is_one(self, subject: CheckpointStore, workspace: str) -> None:
        id = unique()

        def make() -> SessionRecord:
            return subject.create_session("/repo", title="T", workspace_id=workspace, metadata={"a": 1}, id=id)

        assert self.at_once(subject, [make] * THREADS) == subject.list_sessions(workspace) * THREADS

    def test_one_of_many_sessions_with_one_id_is_made(self, subject: CheckpointStore, workspace: str) -> None:
        id = unique()

        def make(number: int) -> SessionRecord:
            return subject.create_session("/repo", title=f"Made by {number}", workspace_id=workspace, id=id)

        got = self.at_once(subject, [partial(make, number) for number in range(THREADS)])
        assert [result for result in got if isinstance(result, SessionRecord)] == subject.list_sessions(workspace)
        assert sum(isinstance(result, IdConflictError) for result in got) == THREADS - 1

    def test_a_session_is_deleted_by_one_of_many(self, subject: CheckpointStore, session: SessionRecord) -> None:
        subject.add_messages(session.id, [{"role": "user"}] * 10)
        deleted = self.at_once(subject, [partial(subject.delete_session, session.id)] * THREADS)
        assert sorted(deleted, key=bool) == [False] * (THREADS - 1) + [True]

    def test_updates_of_different_fields_do_not_undo_each_other(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        self.at_once(
            subject,
            [
                lambda: subject.update_session(session.id, title="New"),
                lambda: subject.update_session(session.id, directory="/other"),
                lambda: subject.update_session(session.id, metadata={"a": 1}),
            ],
        )
        after = subject.get_session(session.id)
        assert after is not None
        assert (after.title, after.directory, after.metadata) == ("New", "/other", {"a": 1})

    # -- messages

    def test_messages_of_many_writers_are_all_kept(self, subject: CheckpointStore, session: SessionRecord) -> None:
        def write(writer: int) -> list[MessageRecord]:
            written = [subject.add_message(session.id, "user", f"{writer} first")]
            written += subject.add_messages(session.id, [{"role": "user", "content": f"{writer} batch"}] * 5)
            return [*written, subject.add_message(session.id, "user", f"{writer} last")]

        got = self.at_once(subject, [partial(write, writer) for writer in range(THREADS)])
        transcript = subject.get_messages(session.id)
        assert len(transcript) == THREADS * 7
        for writer, written in enumerate(got):
            assert [message for message in transcript if str(message.content).startswith(f"{writer} ")] == written
        summary = subject.get_session_summary(session.id)
        assert summary is not None
        assert summary.message_count == THREADS * 7

    def test_a_write_beside_a_deletion_is_done_or_finds_no_session(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        calls: list[Callable[[], object]] = [
            lambda: subject.add_message(session.id, "user", "hello"),
            lambda: subject.add_messages(session.id, [{"role": "user"}] * 3),
            lambda: subject.save_checkpoint(session.id, step=1, node_results=RESULTS),
            lambda: subject.update_session(session.id, title="New"),
        ]
        deleted, *got = self.at_once(subject, [lambda: subject.delete_session(session.id), *calls, *calls])
        assert deleted is True
        assert {type(result) for result in got if isinstance(result, Exception)} <= {SessionNotFoundError}
        assert subject.get_session(session.id) is None
        assert subject.get_messages(session.id) == []
        assert subject.list_checkpoints(session.id) == []

    # -- checkpoints

    def test_versions_of_many_writers_have_no_gap_and_no_duplicate(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        def write(writer: int) -> list[CheckpointRecord]:
            return [
                subject.save_checkpoint(session.id, step=step, node_results=RESULTS, node_id=str(writer))
                for step in range(5)
            ]

        got = self.at_once(subject, [partial(write, writer) for writer in range(THREADS)])
        stored = subject.list_checkpoints(session.id, namespace="")
        assert [checkpoint.version for checkpoint in stored] == list(range(THREADS * 5, 0, -1))
        for writer, written in enumerate(got):
            assert [checkpoint for checkpoint in stored if checkpoint.node_id == str(writer)][::-1] == written

    def test_versions_of_parallel_branches_are_counted_apart(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        def write(writer: int) -> None:
            for step in range(4):
                subject.save_checkpoint(session.id, step=step, node_results=RESULTS, namespace=str(writer % 4))

        self.at_once(subject, [partial(write, writer) for writer in range(THREADS)])
        for branch in range(4):
            versions = [saved.version for saved in subject.list_checkpoints(session.id, namespace=str(branch))]
            assert versions == list(range(THREADS, 0, -1))

    def test_a_checkpoint_saved_many_times_at_once_is_one(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        id = unique()

        def save() -> CheckpointRecord:
            return subject.save_checkpoint(session.id, step=1, node_results=RESULTS, id=id)

        assert self.at_once(subject, [save] * THREADS) == subject.list_checkpoints(session.id) * THREADS
        assert subject.save_checkpoint(session.id, step=2, node_results=RESULTS).version == 2

    def test_one_of_many_takes_a_given_version(self, subject: CheckpointStore, session: SessionRecord) -> None:
        def save() -> CheckpointRecord:
            return subject.save_checkpoint(session.id, step=1, node_results=RESULTS, version=7)

        got = self.at_once(subject, [save] * THREADS)
        saved = [result for result in got if isinstance(result, CheckpointRecord)]
        assert saved == subject.list_checkpoints(session.id)
        assert len(saved) == 1
        assert sum(isinstance(result, VersionConflictError) for result in got) == THREADS - 1

    # -- forks

    def test_forks_made_beside_writes_are_whole_and_alike(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        before = subject.add_messages(session.id, [{"role": "user", "content": str(n)} for n in range(20)])
        checkpoint = subject.save_checkpoint(session.id, step=1, node_results=RESULTS)

        def write() -> None:
            for _ in range(5):
                subject.add_message(session.id, "user", "later")
                subject.save_checkpoint(session.id, step=2, node_results=RESULTS)

        forks = self.at_once(subject, [partial(subject.fork, checkpoint.id)] * 4)
        calls: list[Callable[[], object]] = [write, write, *[partial(subject.fork, checkpoint.id)] * 4]
        for fork in [*forks, *self.at_once(subject, calls)[2:]]:
            assert isinstance(fork, SessionRecord)
            copies = subject.get_messages(fork.id)
            assert copies == [
                replace(message, id=copy.id, session_id=fork.id) for message, copy in zip(before, copies, strict=True)
            ]
            assert [copy.parent_id for copy in subject.list_checkpoints(fork.id)] == [checkpoint.id]
