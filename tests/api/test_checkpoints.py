"""Checkpoints over HTTP."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connections

from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client

RESULTS = {"plan": {"status": "completed", "output": {"__type": "Map", "value": [[1, 2]]}, "startedAt": 5}}


def test_a_checkpoint_is_saved_and_read(api: Client, store: DjangoCheckpointStore, path: str) -> None:
    body = {"step": 1, "node_results": RESULTS, "pending_nodes": ["fix"], "node_id": "plan"}
    saved = api.post(f"{path}checkpoints/", body)
    assert saved.status_code == 201
    checkpoint = saved.json()
    stored = store.get_checkpoint(checkpoint["id"])
    assert stored is not None
    assert checkpoint == {
        "id": stored.id,
        "session_id": path.split("/")[-2],
        "namespace": "",
        "parent_id": None,
        "version": 1,
        **body,
        "cycle_state": None,
        "source": "loop",
        "created_at": stored.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    assert api.get(f"/api/checkpoints/{stored.id}/").json() == checkpoint
    assert api.get(f"{path}checkpoints/").json()["results"] == [checkpoint]
    assert api.get(f"{path}checkpoints/latest/").json() == checkpoint
    assert api.get("/api/checkpoints/nowhere/").json() == {
        "detail": "Checkpoint not found: nowhere",
        "code": "checkpoint_not_found",
    }


def test_the_same_post_twice_makes_one_checkpoint(api: Client, path: str) -> None:
    body = {"id": uuid.uuid4().hex, "step": 1, "node_results": RESULTS}
    first, second = api.post(f"{path}checkpoints/", body), api.post(f"{path}checkpoints/", body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert api.post(f"{path}checkpoints/", {**body, "step": 2}).status_code == 409
    assert len(api.get(f"{path}checkpoints/").json()["results"]) == 1


def test_a_version_that_is_taken_is_a_conflict(api: Client, path: str) -> None:
    body = {"step": 1, "node_results": {}, "version": 1}
    assert api.post(f"{path}checkpoints/", body).status_code == 201
    assert api.post(f"{path}checkpoints/", body).status_code == 409


def test_namespaces_are_kept_apart(api: Client, store: DjangoCheckpointStore, path: str) -> None:
    id = path.split("/")[-2]
    for step, namespace in enumerate(["", "a", "", "a", "b"]):
        store.save_checkpoint(id, step=step, node_results={}, namespace=namespace)

    def steps(**parameters: Any) -> list[int]:
        return [one["step"] for one in api.get(f"{path}checkpoints/", parameters).json()["results"]]

    assert steps() == [4, 3, 2, 1, 0]
    assert steps(namespace="a") == [3, 1]
    assert steps(namespace="") == [2, 0]
    assert steps(namespace="nowhere") == steps(namespace="a\x00b") == []
    assert steps(limit=2) == [4, 3]
    latest = f"{path}checkpoints/latest/"
    assert api.get(latest).json()["step"] == 4
    assert api.get(latest, {"namespace": ""}).json()["step"] == 2
    assert api.get(latest, {"namespace": "nowhere"}).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "step"),
        ({"step": "1", "node_results": {}}, "step"),
        ({"step": 2**31, "node_results": {}}, "step"),
        ({"step": 1, "node_results": {"a": {}}}, "node_results.a.status"),
        ({"step": 1, "node_results": {}, "version": 0}, "version"),
        ({"step": 1, "node_results": {}, "source": "dream"}, "source"),
        ({"step": 1, "node_results": {}, "pending_nodes": [1]}, "pending_nodes[0]"),
        ({"step": 1, "node_results": {}, "session_id": "x"}, "session_id"),
    ],
)
def test_bad_checkpoints_are_answered_with_the_fields_name(api: Client, path: str, body: Any, field: str) -> None:
    answer = api.post(f"{path}checkpoints/", body)
    assert answer.status_code == 400
    assert field in answer.json()


def test_a_fork_goes_on_and_knows_where_it_comes_from(api: Client, store: DjangoCheckpointStore, path: str) -> None:
    id = path.split("/")[-2]
    store.add_message(id, "user", "hello")
    first = store.save_checkpoint(id, step=1, node_results={})
    forked = api.post(f"/api/checkpoints/{first.id}/fork/", {"title": "Again"})
    assert forked.status_code == 201
    assert forked["ETag"]
    copy = f"/api/sessions/{forked.json()['id']}/"
    assert forked.json() == api.get(copy).json()
    assert [message["content"] for message in api.get(f"{copy}messages/").json()["results"]] == ["hello"]
    (checkpoint,) = api.get(f"{copy}checkpoints/").json()["results"]
    assert checkpoint["parent_id"] == first.id
    lineage = api.get(f"/api/checkpoints/{checkpoint['id']}/lineage/").json()["results"]
    assert [one["id"] for one in lineage] == [checkpoint["id"], first.id]
    assert api.post(f"/api/checkpoints/{first.id}/fork/", {}).json()["title"] == "Fork of T"
    assert api.post(f"/api/checkpoints/{first.id}/fork/", {"title": 5}).status_code == 400
    assert api.post("/api/checkpoints/nowhere/fork/", {}).status_code == 404
    assert api.get("/api/checkpoints/nowhere/lineage/").status_code == 404


def test_corrupt_checkpoints_can_be_read_and_forked(api: Client, store: DjangoCheckpointStore, path: str) -> None:
    id = path.split("/")[-2]
    checkpoint = store.save_checkpoint(id, step=1, node_results={}, id=uuid.uuid4().hex)
    with connections[store.using].cursor() as cursor:
        cursor.execute(
            "UPDATE checkpoints SET node_results = '{', pending_nodes = NULL, created_at = %s WHERE id = %s",
            [10**17, checkpoint.id],
        )
    shown = api.get(f"/api/checkpoints/{checkpoint.id}/").json()
    assert (shown["node_results"], shown["pending_nodes"], shown["created_at"]) == (None, [], None)
    assert sorted(shown["corrupt"]) == ["created_at", "node_results"]
    assert api.get(f"{path}checkpoints/").json()["results"] == [shown]
    assert api.get(f"{path}checkpoints/latest/").json() == shown
    assert api.get(f"/api/checkpoints/{checkpoint.id}/lineage/").json()["results"] == [shown]
    assert api.post(f"/api/checkpoints/{checkpoint.id}/fork/", {}).status_code == 201
    body = {"id": checkpoint.id, "step": 1, "node_results": {}}
    assert api.post(f"{path}checkpoints/", body).status_code == 409


def test_a_retry_that_meets_an_impossible_time_is_a_conflict(
    api: Client, store: DjangoCheckpointStore, path: str
) -> None:
    body: dict[str, Any] = {"id": uuid.uuid4().hex, "step": 1, "node_results": {}}
    assert api.post(f"{path}checkpoints/", body).status_code == 201
    with connections[store.using].cursor() as cursor:
        cursor.execute("UPDATE checkpoints SET created_at = %s WHERE id = %s", [10**17, body["id"]])
    assert api.post(f"{path}checkpoints/", body).status_code == 409


def test_a_name_that_utf8_does_not_have_is_shown_escaped(api: Client, path: str) -> None:
    body = b'{"step": 1, "node_results": {"a\\ud800": {}}}'
    answer = api.post(f"{path}checkpoints/", body, content_type="application/json")
    assert (answer.status_code, list(answer.json())) == (400, ["node_results.a\\ud800.status"])
