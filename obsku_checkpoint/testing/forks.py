"""Forks: a new session that goes on from a checkpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from obsku_checkpoint.errors import CheckpointNotFoundError, InvalidRecordError
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import CheckpointRecord, MessageRecord, SessionRecord
from obsku_checkpoint.testing.base import CALL, RESULT, RESULTS, ConformanceBase, pass_by, unique


class ForkConformance(ConformanceBase):
    # -- the session

    def test_a_fork_is_called_after_the_sessions_title(self, subject: CheckpointStore) -> None:
        session = subject.create_session("/repo", title="Fix the login")
        assert subject.fork(_save(subject, session).id).title == "Fork of Fix the login"

    def test_a_fork_of_a_session_without_title_is_called_after_the_checkpoint(self, subject: CheckpointStore) -> None:
        checkpoint = _save(subject, subject.create_session("/repo"))
        assert subject.fork(checkpoint.id).title == f"Fork of {checkpoint.id}"

    def test_a_fork_takes_the_given_title(self, subject: CheckpointStore, session: SessionRecord) -> None:
        checkpoint = _save(subject, session)
        assert subject.fork(checkpoint.id, title="Another way").title == "Another way"
        assert subject.fork(checkpoint.id, title="").title == ""

    def test_a_fork_has_the_directory_workspace_and_metadata_of_its_origin(
        self, subject: CheckpointStore, workspace: str
    ) -> None:
        metadata = {"model": "m", "tags": {"a", "b"}, "map": {1: "one"}}
        session = subject.create_session("/repo", workspace_id=workspace, metadata=metadata)
        fork = subject.fork(_save(subject, session).id)
        assert fork.id != session.id
        assert (fork.directory, fork.workspace_id, fork.metadata) == ("/repo", workspace, metadata)
        assert subject.get_session(fork.id) == fork

    def test_a_fork_of_a_session_without_workspace_and_metadata_has_none(self, subject: CheckpointStore) -> None:
        fork = subject.fork(_save(subject, subject.create_session("/repo")).id)
        assert (fork.workspace_id, fork.metadata) == (None, None)

    def test_a_fork_is_new_and_the_last_active_session(self, subject: CheckpointStore, session: SessionRecord) -> None:
        checkpoint = _save(subject, session)
        pass_by(checkpoint.created_at)
        fork = subject.fork(checkpoint.id)
        assert fork.created_at > session.created_at
        assert fork.created_at == fork.updated_at
        resumption = subject.continue_latest(session.workspace_id)
        assert resumption is not None
        assert resumption.session == fork
        assert resumption.checkpoint == subject.get_latest_checkpoint(fork.id)

    def test_a_fork_of_an_unknown_checkpoint_is_refused(self, subject: CheckpointStore) -> None:
        id = unique()
        with pytest.raises(CheckpointNotFoundError, match=f"^Checkpoint not found: {id}$") as caught:
            subject.fork(id)
        assert caught.value.id == id

    def test_a_title_that_no_session_can_have_forks_nothing(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        with pytest.raises(InvalidRecordError) as caught:
            subject.fork(_save(subject, session).id, title="a\x00b")
        assert caught.value.field == "title"
        assert [listed.id for listed in subject.list_sessions(session.workspace_id)] == [session.id]

    # -- the transcript

    def test_a_fork_has_the_messages_up_to_the_checkpoint_with_their_own_times(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        messages = [
            subject.add_message(session.id, "user", "one", tokens_in=1),
            subject.add_message(session.id, "assistant", tool_calls=[CALL], tokens_out=0),
            subject.add_message(session.id, "tool", "", tool_results=[RESULT]),
        ]
        checkpoint = _save(subject, session)
        subject.add_message(session.id, "user", "later")
        copies = subject.get_messages(subject.fork(checkpoint.id).id)
        assert _content(copies) == _content(messages)
        assert not {message.id for message in copies} & {message.id for message in messages}

    def test_a_checkpoint_between_two_messages_divides_them_at_any_speed(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        written: list[MessageRecord] = []
        checkpoints: list[CheckpointRecord] = []
        for number in range(10):
            written.append(subject.add_message(session.id, "user", str(number)))
            checkpoints.append(_save(subject, session, namespace=str(number % 2)))
        for number, checkpoint in enumerate(checkpoints):
            copies = subject.get_messages(subject.fork(checkpoint.id).id)
            assert _content(copies) == _content(written[: number + 1])

    def test_a_fork_keeps_the_order_of_messages_of_one_millisecond(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        batch = subject.add_messages(session.id, [{"role": "user", "content": str(number)} for number in range(50)])
        copies = subject.get_messages(subject.fork(_save(subject, session).id).id)
        assert _content(copies) == _content(batch)

    def test_a_fork_at_a_session_without_messages_has_none(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        checkpoint = _save(subject, session)
        subject.add_message(session.id, "user", "later")
        assert subject.get_messages(subject.fork(checkpoint.id).id) == []

    # -- the checkpoint

    def test_a_fork_has_a_copy_of_the_checkpoint_that_knows_its_original(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        _save(subject, session, namespace="branch")
        original = subject.save_checkpoint(
            session.id,
            step=7,
            node_results=RESULTS,
            pending_nodes=["review"],
            namespace="branch",
            parent_id="gone",
            node_id="plan",
            cycle_state={"backEdge": "a->b", "iteration": 3},
            source="interrupt",
        )
        _save(subject, session, namespace="branch")
        fork = subject.fork(original.id)
        [copy] = subject.list_checkpoints(fork.id)
        assert copy.id != original.id
        assert copy == replace(
            original,
            id=copy.id,
            session_id=fork.id,
            parent_id=original.id,
            source="fork",
            created_at=copy.created_at,
        )
        assert (copy.version, copy.step, copy.namespace) == (2, 7, "branch")

    def test_versions_of_a_fork_go_on_from_the_copy(self, subject: CheckpointStore, session: SessionRecord) -> None:
        for _ in range(3):
            checkpoint = _save(subject, session, namespace="branch")
        fork = subject.fork(checkpoint.id)
        assert _save(subject, fork, namespace="branch").version == 4
        assert _save(subject, fork).version == 1
        assert _save(subject, session, namespace="branch").version == 4

    def test_a_checkpoint_can_be_forked_again_and_again(self, subject: CheckpointStore, session: SessionRecord) -> None:
        checkpoint = _save(subject, session)
        forks = [subject.fork(checkpoint.id) for _ in range(3)]
        assert len({fork.id for fork in forks}) == 3
        assert [len(subject.list_checkpoints(fork.id)) for fork in forks] == [1, 1, 1]

    # -- apart from its origin

    def test_fork_and_origin_do_not_see_each_others_writes(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        subject.add_message(session.id, "user", "before")
        checkpoint = _save(subject, session)
        fork = subject.fork(checkpoint.id)
        subject.add_message(fork.id, "user", "in the fork")
        subject.add_message(session.id, "user", "in the origin")
        subject.update_session(fork.id, metadata={"forked": True})
        assert [message.content for message in subject.get_messages(session.id)] == ["before", "in the origin"]
        assert [message.content for message in subject.get_messages(fork.id)] == ["before", "in the fork"]
        assert subject.list_checkpoints(session.id) == [checkpoint]
        origin = subject.get_session(session.id)
        assert origin is not None
        assert origin.metadata is None

    def test_a_fork_survives_the_deletion_of_its_origin(self, subject: CheckpointStore, session: SessionRecord) -> None:
        message = subject.add_message(session.id, "user", "before")
        fork = subject.fork(_save(subject, session).id)
        copies = subject.list_checkpoints(fork.id)
        subject.delete_session(session.id)
        assert subject.get_session(fork.id) == fork
        assert _content(subject.get_messages(fork.id)) == _content([message])
        assert subject.list_checkpoints(fork.id) == copies
        assert subject.get_lineage(copies[0].id) == copies

    def test_an_origin_survives_the_deletion_of_its_fork(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        message = subject.add_message(session.id, "user", "before")
        checkpoint = _save(subject, session)
        subject.delete_session(subject.fork(checkpoint.id).id)
        assert subject.get_messages(session.id) == [message]
        assert subject.list_checkpoints(session.id) == [checkpoint]

    def test_a_fork_of_a_fork_has_all_that_came_before(self, subject: CheckpointStore, session: SessionRecord) -> None:
        subject.add_message(session.id, "user", "one")
        first = subject.fork(_save(subject, session).id, title="First")
        subject.add_message(first.id, "user", "two")
        second = subject.fork(_save(subject, first).id)
        subject.add_message(second.id, "user", "three")
        assert second.title == "Fork of First"
        assert [message.content for message in subject.get_messages(second.id)] == ["one", "two", "three"]
        assert [message.content for message in subject.get_messages(first.id)] == ["one", "two"]
        assert [checkpoint.version for checkpoint in subject.list_checkpoints(second.id)] == [2]

    def test_a_fork_at_the_copy_has_the_messages_of_the_copy(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        subject.add_message(session.id, "user", "one")
        first = subject.fork(_save(subject, session).id)
        subject.add_message(first.id, "user", "two")
        [copy] = subject.list_checkpoints(first.id)
        second = subject.fork(copy.id)
        assert [message.content for message in subject.get_messages(second.id)] == ["one"]

    def test_the_lineage_crosses_forks(self, subject: CheckpointStore, session: SessionRecord) -> None:
        root = _save(subject, session)
        origin = subject.save_checkpoint(session.id, step=2, node_results=RESULTS, parent_id=root.id)
        first = subject.fork(origin.id)
        [copy] = subject.list_checkpoints(first.id)
        child = subject.save_checkpoint(first.id, step=3, node_results=RESULTS, parent_id=copy.id)
        [last] = subject.list_checkpoints(subject.fork(child.id).id)
        assert subject.get_lineage(last.id) == [last, child, copy, origin, root]


def _save(subject: CheckpointStore, session: SessionRecord, namespace: str = "") -> CheckpointRecord:
    return subject.save_checkpoint(session.id, step=1, node_results=RESULTS, namespace=namespace)


def _content(messages: list[MessageRecord]) -> list[MessageRecord]:
    """The messages without what a copy has of its own."""
    return [replace(message, id=0, session_id="") for message in messages]
