"""Sessions: make, find, change, delete, and go on with the last one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from obsku_checkpoint.errors import IdConflictError, InvalidRecordError, SessionNotFoundError
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import SessionRecord
from obsku_checkpoint.testing.base import RESULTS, ConformanceBase, pass_by, unique, wrong


class SessionConformance(ConformanceBase):
    # -- make

    def test_a_session_is_read_as_it_was_created(self, subject: CheckpointStore, workspace: str) -> None:
        created = subject.create_session("/repo", title="T", workspace_id=workspace, metadata={"model": "m", "n": [1]})
        assert (created.directory, created.title, created.workspace_id) == ("/repo", "T", workspace)
        assert created.metadata == {"model": "m", "n": [1]}
        assert created.created_at == created.updated_at
        assert subject.get_session(created.id) == created

    def test_a_session_needs_a_directory_only(self, subject: CheckpointStore) -> None:
        created = subject.create_session("/repo")
        assert (created.title, created.workspace_id, created.metadata) == (None, None, None)
        assert subject.get_session(created.id) == created

    def test_empty_values_are_not_missing_values(self, subject: CheckpointStore) -> None:
        created = subject.create_session("", title="", workspace_id="", metadata={})
        assert (created.directory, created.title, created.workspace_id, created.metadata) == ("", "", "", {})
        assert subject.get_session(created.id) == created

    def test_a_session_without_an_id_gets_one_of_its_own(self, subject: CheckpointStore) -> None:
        assert len({subject.create_session("/repo").id for _ in range(10)}) == 10

    def test_ids_that_are_given_out_are_ordered_by_time(self, subject: CheckpointStore) -> None:
        ids = [subject.create_session("/repo").id for _ in range(10)]
        assert ids == sorted(ids)

    def test_a_session_takes_the_given_id(self, subject: CheckpointStore) -> None:
        id = unique()
        assert subject.create_session("/repo", id=id).id == id

    def test_a_retried_session_with_the_same_content_returns_the_stored_record(self, subject: CheckpointStore) -> None:
        id = unique()
        first = subject.create_session("/repo", title="T", metadata={"a": 1, "b": {1, 2}}, id=id)
        pass_by(first.updated_at)
        assert subject.create_session("/repo", title="T", metadata={"b": {2, 1}, "a": 1}, id=id) == first

    @pytest.mark.parametrize(
        "other",
        [
            {"directory": "/elsewhere"},
            {"title": None},
            {"title": ""},
            {"workspace_id": "w"},
            {"metadata": {"a": 2}},
            {"metadata": None},
        ],
        ids=str,
    )
    def test_a_session_with_a_known_id_and_other_content_is_a_conflict(
        self, subject: CheckpointStore, other: dict[str, object]
    ) -> None:
        content: dict[str, object] = {"directory": "/repo", "title": "T", "workspace_id": None, "metadata": {"a": 1}}
        first = subject.create_session(**content, id=unique())  # type: ignore[arg-type]
        with pytest.raises(IdConflictError) as caught:
            subject.create_session(**{**content, **other}, id=first.id)  # type: ignore[arg-type]
        assert (caught.value.kind, caught.value.id) == ("Session", first.id)
        assert subject.get_session(first.id) == first

    def test_get_or_create_makes_the_session_that_is_missing(self, subject: CheckpointStore, workspace: str) -> None:
        id = unique()
        made = subject.get_or_create_session(id, "/repo", title="T", workspace_id=workspace, metadata={"a": 1})
        assert (made.id, made.directory, made.title) == (id, "/repo", "T")
        assert (made.workspace_id, made.metadata) == (workspace, {"a": 1})
        assert subject.get_session(id) == made

    def test_get_or_create_returns_the_session_as_it_is_stored(self, subject: CheckpointStore) -> None:
        first = subject.get_or_create_session(unique(), "/repo", title="T", metadata={"a": 1})
        pass_by(first.updated_at)
        assert subject.get_or_create_session(first.id, "/elsewhere", title="Other", workspace_id="w") == first
        assert subject.get_session(first.id) == first

    # -- find

    def test_an_unknown_session_is_none(self, subject: CheckpointStore) -> None:
        assert subject.get_session(unique()) is None

    def test_sessions_are_listed_newest_activity_first(self, subject: CheckpointStore, workspace: str) -> None:
        first, second, third = _three(subject, workspace)
        assert _ids(subject.list_sessions(workspace)) == [third.id, second.id, first.id]
        subject.add_message(first.id, "user", "again")
        assert _ids(subject.list_sessions(workspace)) == [first.id, third.id, second.id]

    def test_listed_sessions_are_the_stored_records(self, subject: CheckpointStore, workspace: str) -> None:
        session = subject.create_session("/repo", title="T", workspace_id=workspace, metadata={"a": {1}})
        assert subject.list_sessions(workspace) == [session]

    def test_before_keeps_sessions_last_active_earlier(self, subject: CheckpointStore, workspace: str) -> None:
        first, second, third = _three(subject, workspace)
        assert _ids(subject.list_sessions(workspace, before=third.updated_at)) == [second.id, first.id]
        assert subject.list_sessions(workspace, before=first.updated_at) == []

    def test_before_a_session_is_an_exact_place(self, subject: CheckpointStore, workspace: str) -> None:
        made = [subject.create_session("/repo", workspace_id=workspace) for _ in range(12)]  # some in one millisecond
        listed = subject.list_sessions(workspace)
        assert sorted(_ids(listed)) == sorted(_ids(made))
        paged: list[SessionRecord] = []
        while page := subject.list_sessions(workspace, before=paged[-1] if paged else None, limit=2):
            paged += page
        assert paged == listed
        summaries = subject.list_session_summaries(workspace, before=listed[3], limit=4)
        assert [summary.session for summary in summaries] == listed[4:8]
        with pytest.raises(InvalidRecordError, match="before"):
            subject.list_sessions(workspace, before=wrong("yesterday"))

    def test_a_limit_keeps_the_newest_sessions(self, subject: CheckpointStore, workspace: str) -> None:
        first, second, third = _three(subject, workspace)
        assert _ids(subject.list_sessions(workspace, limit=2)) == [third.id, second.id]
        assert _ids(subject.list_sessions(workspace, limit=9)) == [third.id, second.id, first.id]
        assert _ids(subject.list_sessions(workspace, before=third.updated_at, limit=1)) == [second.id]
        assert subject.list_sessions(workspace, limit=0) == []

    def test_an_unknown_workspace_has_no_sessions(self, subject: CheckpointStore) -> None:
        assert subject.list_sessions(unique()) == []

    def test_no_workspace_means_all_of_them(self, subject: CheckpointStore, workspace: str) -> None:
        made = {subject.create_session("/repo", workspace_id=name).id for name in (workspace, "", None)}
        assert made <= {session.id for session in subject.list_sessions()}
        assert made <= {session.id for session in subject.list_sessions(None)}

    def test_the_empty_workspace_is_one_like_any_other(self, subject: CheckpointStore, workspace: str) -> None:
        empty, none, other = (subject.create_session("/repo", workspace_id=name).id for name in ("", None, workspace))
        listed = {session.id for session in subject.list_sessions("")}
        assert empty in listed
        assert none not in listed
        assert other not in listed

    # -- search

    @pytest.mark.parametrize("column", ["title", "directory", "id"])
    def test_search_finds_a_part_of_title_directory_and_id_in_any_case(
        self, subject: CheckpointStore, workspace: str, column: str
    ) -> None:
        values: dict[str, str] = {"directory": "/repo", "title": "T", "id": unique()}
        values[column] = f"start-NeedLe-{unique()}"
        found = subject.create_session(**values, workspace_id=workspace)  # type: ignore[arg-type]
        subject.create_session("/repo", title="T", workspace_id=workspace)
        for query in ("NeedLe", "needle", "NEEDLE", "start-NeedLe"):
            assert subject.search_sessions(query, workspace) == [found]

    def test_search_knows_the_case_of_letters_beyond_ascii(self, subject: CheckpointStore, workspace: str) -> None:
        found = subject.create_session("/repo", title="Größe ÄNDERN", workspace_id=workspace)
        assert subject.search_sessions("größe ändern", workspace) == [found]

    @pytest.mark.parametrize("text", ["100%", "a_b", "a\\b", "it's", '"quoted"', "*", "?", "[a-z]"])
    def test_search_takes_every_character_literally(self, subject: CheckpointStore, workspace: str, text: str) -> None:
        found = subject.create_session("/repo", title=f"is {text} here", workspace_id=workspace)
        subject.create_session("/repo", title="is 1000 axb a/b its quoted here", workspace_id=workspace)
        assert subject.search_sessions(text, workspace) == [found]

    def test_search_orders_scopes_and_limits_like_the_list(self, subject: CheckpointStore, workspace: str) -> None:
        first, second, third = _three(subject, workspace)
        elsewhere = subject.create_session(first.directory, workspace_id=unique())
        assert _ids(subject.search_sessions("/repo", workspace)) == [third.id, second.id, first.id]
        assert _ids(subject.search_sessions("/repo", workspace, limit=2)) == [third.id, second.id]
        assert subject.search_sessions("/repo", workspace, limit=0) == []
        assert subject.search_sessions(elsewhere.id) == [elsewhere]

    def test_search_for_nothing_known_is_empty(self, subject: CheckpointStore, session: SessionRecord) -> None:
        assert subject.search_sessions(unique(), session.workspace_id) == []

    def test_search_for_empty_text_finds_all(self, subject: CheckpointStore, session: SessionRecord) -> None:
        assert subject.search_sessions("", session.workspace_id) == [session]

    # -- change

    def test_an_update_changes_what_is_given_and_leaves_the_rest(
        self, subject: CheckpointStore, workspace: str
    ) -> None:
        before = subject.create_session("/repo", title="T", workspace_id=workspace, metadata={"a": 1})
        after = subject.update_session(before.id, title="New")
        assert after == replace(before, title="New", updated_at=after.updated_at)
        after = subject.update_session(before.id, directory="/other", metadata={"b": 2})
        assert after == replace(before, title="New", directory="/other", metadata={"b": 2}, updated_at=after.updated_at)
        assert subject.get_session(before.id) == after

    def test_none_clears_what_may_be_missing(self, subject: CheckpointStore, workspace: str) -> None:
        before = subject.create_session("/repo", title="T", workspace_id=workspace, metadata={"a": 1})
        after = subject.update_session(before.id, title=None, workspace_id=None, metadata=None)
        assert (after.title, after.workspace_id, after.metadata, after.directory) == (None, None, None, "/repo")
        assert subject.get_session(before.id) == after

    def test_an_updated_workspace_moves_the_session(self, subject: CheckpointStore, session: SessionRecord) -> None:
        elsewhere = unique()
        moved = subject.update_session(session.id, workspace_id=elsewhere)
        assert subject.list_sessions(session.workspace_id) == []
        assert subject.list_sessions(elsewhere) == [moved]

    def test_an_update_advances_updated_at_only(self, subject: CheckpointStore, session: SessionRecord) -> None:
        pass_by(session.updated_at)
        after = subject.update_session(session.id, title=session.title)
        assert after.updated_at > session.updated_at
        assert after.created_at == session.created_at

    def test_an_update_of_an_unknown_session_is_refused(self, subject: CheckpointStore) -> None:
        id = unique()
        with pytest.raises(SessionNotFoundError, match=f"^Session not found: {id}$") as caught:
            subject.update_session(id, title="T")
        assert caught.value.id == id
        assert subject.get_session(id) is None

    def test_a_bad_value_in_an_update_changes_nothing(self, subject: CheckpointStore, session: SessionRecord) -> None:
        with pytest.raises(InvalidRecordError):
            subject.update_session(session.id, directory="/other", title="\x00")
        assert subject.get_session(session.id) == session

    # -- delete

    def test_a_deleted_session_is_gone_with_all_that_belongs_to_it(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        subject.add_message(session.id, "user", "hello")
        checkpoint = subject.save_checkpoint(session.id, step=1, node_results=RESULTS)
        assert subject.delete_session(session.id) is True
        assert subject.get_session(session.id) is None
        assert subject.list_sessions(session.workspace_id) == []
        assert subject.get_messages(session.id) == []
        assert subject.get_checkpoint(checkpoint.id) is None
        assert subject.list_checkpoints(session.id) == []

    def test_a_session_is_deleted_once(self, subject: CheckpointStore, session: SessionRecord) -> None:
        assert subject.delete_session(session.id) is True
        assert subject.delete_session(session.id) is False
        assert subject.delete_session(unique()) is False

    def test_a_deletion_leaves_other_sessions_alone(self, subject: CheckpointStore, session: SessionRecord) -> None:
        other = subject.create_session("/repo", workspace_id=session.workspace_id)
        message = subject.add_message(other.id, "user", "hello")
        checkpoint = subject.save_checkpoint(other.id, step=1, node_results=RESULTS)
        subject.delete_session(session.id)
        assert subject.get_messages(other.id) == [message]
        assert subject.list_checkpoints(other.id) == [checkpoint]

    def test_a_deleted_session_can_be_made_again_and_is_empty(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        subject.add_message(session.id, "user", "hello")
        subject.delete_session(session.id)
        subject.create_session("/new", id=session.id)
        assert subject.get_messages(session.id) == []
        assert subject.save_checkpoint(session.id, step=1, node_results=RESULTS).version == 1

    # -- go on

    def test_continue_latest_gives_all_of_the_last_active_session(
        self, subject: CheckpointStore, workspace: str
    ) -> None:
        first, _, _ = _three(subject, workspace)
        messages = [subject.add_message(first.id, "user", text) for text in ("one", "two")]
        subject.save_checkpoint(first.id, step=1, node_results=RESULTS)
        newest = subject.save_checkpoint(first.id, step=2, node_results=RESULTS, namespace="branch")
        resumption = subject.continue_latest(workspace)
        assert resumption is not None
        assert resumption.session == subject.get_session(first.id)
        assert resumption.messages == messages
        assert resumption.checkpoint == newest

    def test_continue_latest_of_a_new_session_has_no_messages_and_no_checkpoint(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        resumption = subject.continue_latest(session.workspace_id)
        assert resumption is not None
        assert (resumption.session, resumption.messages, resumption.checkpoint) == (session, [], None)

    def test_continue_latest_where_there_is_no_session_is_none(self, subject: CheckpointStore) -> None:
        assert subject.continue_latest(unique()) is None

    def test_continue_latest_of_all_workspaces_is_no_older_than_ours(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        resumption = subject.continue_latest()
        assert resumption is not None
        assert resumption.session.updated_at >= session.updated_at


def _ids(sessions: list[SessionRecord]) -> list[str]:
    return [session.id for session in sessions]


def _three(subject: CheckpointStore, workspace: str) -> list[SessionRecord]:
    """Sessions made one after the other, each later than the one before, and the present later than all."""
    sessions = []
    for _ in range(3):
        sessions.append(subject.create_session("/repo", workspace_id=workspace))
        pass_by(sessions[-1].updated_at)
    return sessions
