"""What `prune` takes, and what it leaves."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.graph import Edge, Graph, run
from obsku_checkpoint.maintenance import check, prune
from obsku_checkpoint.run_state import graph_of
from obsku_checkpoint.store import DjangoCheckpointStore

Make = Callable[[], DjangoCheckpointStore]
OLD = timedelta(days=30)


@pytest.fixture
def store(empty_store: Make) -> DjangoCheckpointStore:
    return empty_store()


def session(store: DjangoCheckpointStore, count: int = 5, **options: Any) -> str:
    id = store.create_session("/", **options).id
    for step in range(count):
        store.save_checkpoint(id, step=step, node_results={"n": {"status": "completed", "output": "x" * 100}})
    return id


def age(store: DjangoCheckpointStore, session_id: str, *, days: int, versions: int = 99) -> None:
    """Make the first checkpoints of a session, and with all of them the session, so old."""
    milliseconds = days * 86_400_000
    with connections[store.using].cursor() as cursor:
        cursor.execute(
            "UPDATE checkpoints SET created_at = created_at - %s WHERE session_id = %s AND version <= %s",
            [milliseconds, session_id, versions],
        )
        if versions == 99:
            cursor.execute("UPDATE sessions SET updated_at = updated_at - %s WHERE id = %s", [milliseconds, session_id])


def versions(store: DjangoCheckpointStore, session_id: str) -> list[int]:
    return sorted(checkpoint.version for checkpoint in store.list_checkpoints(session_id))


class TestCheckpoints:
    def test_by_age(self, store: DjangoCheckpointStore) -> None:
        id = session(store)
        age(store, id, days=31, versions=3)
        figures = prune(store.using, older_than=OLD)
        assert versions(store, id) == [4, 5]
        assert (figures["checkpoints"], figures["batches"]) == (3, 1)
        assert figures["bytes"] > 300

    def test_by_count(self, store: DjangoCheckpointStore) -> None:
        id = session(store)
        store.save_checkpoint(id, step=0, node_results={}, namespace="nested")
        prune(store.using, keep_last=2)
        assert versions(store, id) == [1, 4, 5]

    def test_by_both(self, store: DjangoCheckpointStore) -> None:
        id = session(store)
        age(store, id, days=31, versions=4)
        prune(store.using, older_than=OLD, keep_last=3)
        assert versions(store, id) == [3, 4, 5]

    def test_the_newest_of_a_namespace_stays_however_old(self, store: DjangoCheckpointStore) -> None:
        id = session(store)
        age(store, id, days=1000)
        prune(store.using, older_than=OLD, force=True)
        assert versions(store, id) == [5]

    def test_what_a_fork_came_from_stays(self, store: DjangoCheckpointStore) -> None:
        id = session(store)
        fork = store.fork(store.list_checkpoints(id)[2].id)
        prune(store.using, keep_last=1)
        assert versions(store, id) == [3, 5]
        assert versions(store, fork.id) == [3]
        prune(store.using, keep_last=1, force=True)
        assert versions(store, id) == [5]

    def test_the_graph_of_a_run_stays_with_the_run(self, store: DjangoCheckpointStore) -> None:
        nodes = {name: lambda context: context.node for name in "abcd"}
        graph = Graph(entry="a", nodes=nodes, edges=[Edge("a", "b"), Edge("b", "c"), Edge("c", "d")])
        first = run(graph, checkpoint_store=store)
        run(graph, checkpoint_store=store, session_id=first.session_id)
        prune(store.using, keep_last=2)
        left = store.list_checkpoints(first.session_id)
        assert [checkpoint.source for checkpoint in left] == ["loop", "loop", "input"]
        assert graph_of(left[0], store.get_checkpoint) is not None

    def test_of_a_workspace_and_a_namespace(self, store: DjangoCheckpointStore) -> None:
        ours, others = session(store, workspace_id="w"), session(store)
        for version in range(3):
            store.save_checkpoint(ours, step=version, node_results={}, namespace="nested")
        prune(store.using, keep_last=1, workspace_id="w", namespace="nested")
        assert len(versions(store, ours)) == 6
        prune(store.using, keep_last=1, workspace_id="w")
        assert len(versions(store, ours)) == 2
        assert len(versions(store, others)) == 5

    def test_of_some_sessions(self, store: DjangoCheckpointStore) -> None:
        ids = [session(store, workspace_id=workspace) for workspace in ("a", "b", "c")]
        age(store, ids[0], days=31)
        sessions = [f"--session={id}" for id in ids[:2]]
        call_command("checkpoints", "prune", "--keep-last=2", "--database", store.using, *sessions)
        assert [len(versions(store, id)) for id in ids] == [2, 2, 5]
        assert prune(store.using, keep_last=1, older_than=OLD, session_ids=ids)["checkpoints"] == 1
        assert prune(store.using, keep_last=1, session_ids=[])["checkpoints"] == 0

    def test_a_dry_run_counts_what_a_run_takes(self, store: DjangoCheckpointStore) -> None:
        ids = [session(store) for _ in range(3)]
        expected = prune(store.using, keep_last=1, dry_run=True)
        assert [len(versions(store, id)) for id in ids] == [5, 5, 5]
        assert prune(store.using, keep_last=1) == expected
        assert prune(store.using, keep_last=1)["checkpoints"] == 0
        assert [finding for finding in check(store.using) if finding.level == "fault"] == []


class TestSessions:
    def test_idle_ones_go(self, store: DjangoCheckpointStore) -> None:
        idle, busy = session(store), session(store)
        age(store, idle, days=91)
        assert prune(store.using, idle_sessions=timedelta(days=90), dry_run=True)["sessions"] == 1
        assert prune(store.using, idle_sessions=timedelta(days=90))["sessions"] == 1
        assert [one.id for one in store.list_sessions()] == [busy]

    def test_one_that_asks_or_was_forked_stays(self, store: DjangoCheckpointStore) -> None:
        asks, forked = session(store), session(store)
        store.save_checkpoint(asks, step=9, node_results={}, source="interrupt")
        fork = store.fork(store.list_checkpoints(forked)[0].id)
        for id in (asks, forked):
            age(store, id, days=91)
        assert prune(store.using, idle_sessions=timedelta(days=90))["sessions"] == 0
        assert prune(store.using, idle_sessions=timedelta(days=90), force=True)["sessions"] == 2
        assert [one.id for one in store.list_sessions()] == [fork.id]


def test_what_to_prune_is_said(store: DjangoCheckpointStore) -> None:
    for more in ({"workspace_id": "a"}, {"idle_sessions": OLD}):
        with pytest.raises(InvalidRecordError, match="session_ids"):
            prune(keep_last=1, session_ids=["a"], **more)
    with pytest.raises(InvalidRecordError, match="older_than"):
        prune(store.using)
    with pytest.raises(CommandError, match="older_than"):
        call_command("checkpoints", "prune", "--database", store.using)
    with pytest.raises(CommandError, match="is not an age"):
        call_command("checkpoints", "prune", "--older-than", "a month", "--database", store.using)


def test_the_command(store: DjangoCheckpointStore) -> None:
    id = session(store)
    age(store, id, days=40, versions=4)
    stdout = io.StringIO()
    call_command("checkpoints", "prune", "--older-than", "30d", "--database", store.using, stdout=stdout)
    assert stdout.getvalue().startswith("Deleted: 4 checkpoints (")
