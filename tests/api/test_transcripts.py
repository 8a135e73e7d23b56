"""Transcripts over HTTP as wholes: what dangles, repair, fork at a message."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client

CALL: dict[str, Any] = {
    "role": "assistant",
    "tool_calls": [{"name": "explain", "toolUseId": "use-1", "input": {}}],
}


def session_id(path: str) -> str:
    return path.split("/")[-2]


def test_what_dangles_is_listed_and_repaired(api: Client, store: DjangoCheckpointStore, path: str) -> None:
    [message] = store.add_messages(session_id(path), [CALL])
    listed = api.get(f"{path}dangling/")
    assert listed.status_code == 200
    assert listed.json() == [{"message_id": message.id, "tool_use_id": "use-1", "kind": "call"}]
    repaired = api.post(f"{path}repair/", {})
    assert (repaired.status_code, repaired.json()) == (200, {"repaired": 1})
    assert api.get(f"{path}dangling/").json() == []
    [stored] = store.get_messages(message.session_id)
    assert stored.tool_results is not None
    assert stored.tool_results[0]["status"] == "error"


def test_calls_can_be_dropped(api: Client, store: DjangoCheckpointStore, path: str) -> None:
    store.add_messages(session_id(path), [CALL])
    assert api.post(f"{path}repair/", {"how": "drop"}).json() == {"repaired": 1}
    assert store.get_messages(session_id(path)) == []


@pytest.mark.parametrize(("body", "field"), [({"how": "guess"}, "how"), ({"how": None}, "how"), ({"why": 1}, "why")])
def test_a_repair_that_does_not_exist_is_refused(api: Client, path: str, body: Any, field: str) -> None:
    refused = api.post(f"{path}repair/", body)
    assert (refused.status_code, list(refused.json())) == (400, [field])


def test_what_cannot_be_decoded_stands_in_the_way_unless_it_is_to_be_kept(
    api: Client, store: DjangoCheckpointStore, path: str
) -> None:
    [message] = store.add_messages(session_id(path), [CALL])
    with connections[store.using].cursor() as cursor:
        cursor.execute("UPDATE messages SET tool_calls = '{' WHERE id = %s", [message.id])
    assert (api.get(f"{path}dangling/").status_code, api.post(f"{path}repair/", {}).status_code) == (409, 409)
    assert api.get(f"{path}dangling/?on_corrupt=keep").json() == []
    assert api.get(f"{path}dangling/?on_corrupt=hide").status_code == 400


def test_a_session_is_forked_at_a_message(api: Client, store: DjangoCheckpointStore, path: str) -> None:
    added = store.add_messages(session_id(path), [{"role": "user", "content": text} for text in "abc"])
    forked = api.post(f"/api/messages/{added[1].id}/fork/", {"title": "Again"})
    assert forked.status_code == 201
    assert forked["ETag"]
    assert forked.json()["title"] == "Again"
    assert [message.content for message in store.get_messages(forked.json()["id"])] == ["a", "b"]


@pytest.mark.parametrize("id", ["0", "-1", str(2**31), str(2**40), str(10**30), "first", "~"])
def test_a_message_that_does_not_exist_is_not_forked(api: Client, id: str) -> None:
    refused = api.post(f"/api/messages/{id}/fork/", {})
    assert (refused.status_code, refused.json()["code"]) == (404, "message_not_found")


def test_an_unknown_session_has_no_transcript(api: Client) -> None:
    assert api.get("/api/sessions/nowhere/dangling/").status_code == 404
    assert api.post("/api/sessions/nowhere/repair/", {}).status_code == 404
