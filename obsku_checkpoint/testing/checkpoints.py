"""Checkpoints: save the state of a graph, find the newest, follow the parents."""

from __future__ import annotations

from typing import Any

import pytest

from obsku_checkpoint.errors import IdConflictError, SessionNotFoundError, VersionConflictError
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import NodeResult, SessionRecord, Source
from obsku_checkpoint.testing.base import RESULTS, ConformanceBase, pass_by, unique


class CheckpointConformance(ConformanceBase):
    # -- save

    def test_a_checkpoint_is_read_as_it_was_returned(self, subject: CheckpointStore, session: SessionRecord) -> None:
        results: dict[str, NodeResult] = {
            "plan": {"status": "completed", "output": [1, 2], "startedAt": 1, "completedAt": 2.5},
            "write": {"status": "failed", "error": "no disk"},
            "review": {"status": "pending"},
        }
        saved = subject.save_checkpoint(
            session.id,
            step=3,
            node_results=results,
            pending_nodes=["review", "plan"],
            namespace="branch",
            parent_id="gone",
            node_id="write",
            cycle_state={"backEdge": "write->plan", "iteration": 2},
            source="interrupt",
        )
        assert (saved.session_id, saved.namespace, saved.version, saved.step) == (session.id, "branch", 1, 3)
        assert (saved.node_results, saved.pending_nodes) == (results, ["review", "plan"])
        assert (saved.parent_id, saved.node_id, saved.source) == ("gone", "write", "interrupt")
        assert saved.cycle_state == {"backEdge": "write->plan", "iteration": 2}
        assert subject.get_checkpoint(saved.id) == saved

    def test_a_checkpoint_needs_step_and_results_only(self, subject: CheckpointStore, session: SessionRecord) -> None:
        saved = subject.save_checkpoint(session.id, step=0, node_results={})
        assert (saved.namespace, saved.version, saved.step, saved.node_results) == ("", 1, 0, {})
        assert (saved.pending_nodes, saved.parent_id, saved.node_id) == ([], None, None)
        assert (saved.cycle_state, saved.source) == (None, "loop")
        assert subject.get_checkpoint(saved.id) == saved

    @pytest.mark.parametrize("source", ["input", "loop", "interrupt", "fork"])
    def test_a_checkpoint_has_one_of_four_sources(
        self, subject: CheckpointStore, session: SessionRecord, source: Source
    ) -> None:
        assert subject.save_checkpoint(session.id, step=1, node_results=RESULTS, source=source).source == source

    def test_pending_nodes_may_be_a_tuple(self, subject: CheckpointStore, session: SessionRecord) -> None:
        saved = subject.save_checkpoint(session.id, step=1, node_results=RESULTS, pending_nodes=("a", "b"))
        assert saved.pending_nodes == ["a", "b"]
        assert subject.get_checkpoint(saved.id) == saved

    def test_a_checkpoint_of_an_unknown_session_is_refused(self, subject: CheckpointStore) -> None:
        id, checkpoint_id = unique(), unique()
        with pytest.raises(SessionNotFoundError, match=f"^Session not found: {id}$"):
            subject.save_checkpoint(id, step=1, node_results=RESULTS)
        with pytest.raises(SessionNotFoundError) as caught:
            subject.save_checkpoint(id, step=1, node_results=RESULTS, id=checkpoint_id, version=1)
        assert caught.value.id == id
        assert subject.get_checkpoint(checkpoint_id) is None

    def test_a_checkpoint_is_activity_of_its_session(self, subject: CheckpointStore, session: SessionRecord) -> None:
        saved = subject.save_checkpoint(session.id, step=1, node_results=RESULTS)
        after = subject.get_session(session.id)
        assert after is not None
        assert after.updated_at == saved.created_at > session.updated_at
        assert after.created_at == session.created_at

    # -- versions

    def test_versions_count_from_one_in_each_namespace_of_each_session(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        other = subject.create_session("/repo")
        for session_id, namespace in ((session.id, ""), (session.id, "branch"), (other.id, "")):
            versions = [_save(subject, session_id, namespace=namespace).version for _ in range(3)]
            assert versions == [1, 2, 3]

    def test_a_given_version_is_taken_and_may_leave_a_gap(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        assert _save(subject, session.id, version=5).version == 5
        assert _save(subject, session.id).version == 6
        assert _save(subject, session.id, version=2).version == 2
        assert _save(subject, session.id).version == 7

    def test_a_given_version_that_exists_is_a_conflict(self, subject: CheckpointStore, session: SessionRecord) -> None:
        first = _save(subject, session.id, namespace="branch")
        with pytest.raises(VersionConflictError) as caught:
            _save(subject, session.id, namespace="branch", version=1)
        error = caught.value
        assert (error.session_id, error.namespace, error.version) == (session.id, "branch", 1)
        assert subject.list_checkpoints(session.id) == [first]
        assert _save(subject, session.id, namespace="branch").version == 2

    def test_a_version_taken_elsewhere_is_no_conflict(self, subject: CheckpointStore, session: SessionRecord) -> None:
        other = subject.create_session("/repo")
        _save(subject, session.id, version=4)
        assert _save(subject, session.id, namespace="branch", version=4).version == 4
        assert _save(subject, other.id, version=4).version == 4

    # -- retried writes

    def test_a_retried_checkpoint_with_the_same_id_and_content_returns_the_stored_record(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        id = unique()
        first = _save(subject, session.id, id=id)
        _save(subject, session.id)
        pass_by(first.created_at)
        assert _save(subject, session.id, id=id) == first
        assert _save(subject, session.id, id=id, version=1) == first
        assert len(subject.list_checkpoints(session.id)) == 2
        assert _save(subject, session.id).version == 3

    def test_a_retried_checkpoint_may_order_its_keys_otherwise(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        id = unique()
        first = _save(subject, session.id, id=id, node_results={"a": {"status": "pending", "output": {"x": 1, "y": 2}}})
        again = _save(subject, session.id, id=id, node_results={"a": {"output": {"y": 2, "x": 1}, "status": "pending"}})
        assert again == first

    @pytest.mark.parametrize(
        "other",
        [
            {"step": 2},
            {"node_results": {}},
            {"pending_nodes": ["a"]},
            {"namespace": "branch"},
            {"version": 7},
            {"parent_id": "p"},
            {"node_id": "n"},
            {"cycle_state": {"backEdge": "a->b", "iteration": 1}},
            {"source": "input"},
        ],
        ids=str,
    )
    def test_a_checkpoint_with_a_known_id_and_other_content_is_a_conflict(
        self, subject: CheckpointStore, session: SessionRecord, other: dict[str, Any]
    ) -> None:
        first = _save(subject, session.id, id=unique())
        with pytest.raises(IdConflictError) as caught:
            _save(subject, session.id, id=first.id, **other)
        assert (caught.value.kind, caught.value.id) == ("Checkpoint", first.id)
        assert subject.list_checkpoints(session.id) == [first]

    def test_a_checkpoint_id_of_another_session_is_a_conflict(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        first = _save(subject, session.id, id=unique())
        other = subject.create_session("/repo")
        with pytest.raises(IdConflictError):
            _save(subject, other.id, id=first.id)
        assert subject.list_checkpoints(other.id) == []

    # -- the newest

    def test_an_unknown_checkpoint_is_none(self, subject: CheckpointStore, session: SessionRecord) -> None:
        assert subject.get_checkpoint(unique()) is None
        assert subject.get_latest_checkpoint(session.id) is None
        assert subject.get_latest_checkpoint(session.id, "branch") is None
        assert subject.get_latest_checkpoint(unique()) is None

    def test_the_newest_checkpoint_is_the_last_written_whatever_its_step(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        first = _save(subject, session.id, step=9)
        second = _save(subject, session.id, step=1)
        assert subject.get_latest_checkpoint(session.id) == second
        assert subject.get_latest_checkpoint(session.id, "") == second
        assert subject.list_checkpoints(session.id) == [second, first]

    def test_the_newest_checkpoint_of_a_namespace_has_the_highest_version(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        high = _save(subject, session.id, version=5)
        low = _save(subject, session.id, version=2)
        assert subject.get_latest_checkpoint(session.id, "") == high
        assert subject.list_checkpoints(session.id, namespace="") == [high, low]

    def test_the_newest_checkpoint_across_namespaces_is_the_last_written(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        saved = []
        for namespace in ("", "b", "a", "b", "", "a"):
            saved.append(_save(subject, session.id, namespace=namespace))
            assert subject.get_latest_checkpoint(session.id) == saved[-1]
            assert subject.get_latest_checkpoint(session.id, namespace) == saved[-1]
        assert subject.list_checkpoints(session.id) == saved[::-1]
        assert subject.get_latest_checkpoint(session.id, "b") == saved[3]

    def test_the_empty_namespace_is_not_all_of_them(self, subject: CheckpointStore, session: SessionRecord) -> None:
        main = _save(subject, session.id)
        branch = _save(subject, session.id, namespace="branch")
        assert subject.get_latest_checkpoint(session.id, "") == main
        assert subject.list_checkpoints(session.id, namespace="") == [main]
        assert subject.list_checkpoints(session.id, namespace="branch") == [branch]
        assert subject.list_checkpoints(session.id, namespace=None) == [branch, main]
        assert subject.list_checkpoints(session.id, namespace="unknown") == []

    def test_the_list_has_its_own_session_only_and_keeps_the_newest(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        other = subject.create_session("/repo")
        saved = []
        for step in range(5):
            saved.append(_save(subject, session.id, step=step))
            _save(subject, other.id, step=step)
        newest_first = saved[::-1]
        assert subject.list_checkpoints(session.id) == newest_first
        assert subject.list_checkpoints(session.id, limit=2) == newest_first[:2]
        assert subject.list_checkpoints(session.id, namespace="", limit=2) == newest_first[:2]
        assert subject.list_checkpoints(session.id, limit=9) == newest_first
        assert subject.list_checkpoints(session.id, limit=0) == []
        assert subject.list_checkpoints(unique()) == []

    # -- lineage

    def test_the_lineage_leads_from_the_checkpoint_to_its_first_ancestor(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        saved = [_save(subject, session.id)]
        for _ in range(30):
            saved.append(_save(subject, session.id, parent_id=saved[-1].id))
        assert subject.get_lineage(saved[-1].id) == saved[::-1]
        assert subject.get_lineage(saved[1].id) == [saved[1], saved[0]]
        assert subject.get_lineage(saved[0].id) == [saved[0]]

    def test_the_lineage_of_an_unknown_checkpoint_is_empty(self, subject: CheckpointStore) -> None:
        assert subject.get_lineage(unique()) == []

    def test_the_lineage_ends_where_a_parent_is_gone(self, subject: CheckpointStore, session: SessionRecord) -> None:
        origin = subject.create_session("/repo")
        parent = _save(subject, origin.id)
        child = _save(subject, session.id, parent_id=parent.id)
        assert subject.get_lineage(child.id) == [child, parent]
        subject.delete_session(origin.id)
        assert subject.get_lineage(child.id) == [child]

    def test_the_lineage_of_parents_in_a_circle_ends(self, subject: CheckpointStore, session: SessionRecord) -> None:
        one, two, itself = unique(), unique(), unique()
        first = _save(subject, session.id, id=one, parent_id=two)
        second = _save(subject, session.id, id=two, parent_id=one)
        outside = _save(subject, session.id, parent_id=one)
        alone = _save(subject, session.id, id=itself, parent_id=itself)
        assert subject.get_lineage(one) == [first, second]
        assert subject.get_lineage(outside.id) == [outside, first, second]
        assert subject.get_lineage(itself) == [alone]


def _save(subject: CheckpointStore, session_id: str, **given: Any) -> Any:
    return subject.save_checkpoint(session_id, **{"step": 1, "node_results": RESULTS, **given})
