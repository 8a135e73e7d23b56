"""Sessions over HTTP."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connections
from django.urls import reverse

from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.testing.base import pass_by
from tests.api.conftest import Client

SESSIONS = "/api/sessions/"
ODD_IDS = ["Сессия-日本-🚀-{}", "a/b?c#d&e=f-{}", " spaces\tand ~2F {} ", "latest", "", ".", ".."]
MAP = {"counts": {"__type": "Map", "value": [[1, "one"], ["a", {"__type": "Set", "value": [1, 2]}]]}}


def test_a_session_is_made_read_changed_and_deleted(api: Client, store: DjangoCheckpointStore) -> None:
    made = api.post(SESSIONS, {"directory": "/repo", "title": "T", "workspace_id": "", "metadata": {"a": 1}})
    assert made.status_code == 201
    session = made.json()
    stored = store.get_session(session["id"])
    assert stored is not None
    assert session == {
        "id": stored.id,
        "workspace_id": "",
        "title": "T",
        "directory": "/repo",
        "created_at": stored.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "updated_at": stored.updated_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "metadata": {"a": 1},
    }
    path = f"{SESSIONS}{stored.id}/"
    assert api.get(path).json() == session
    changed = api.patch(path, {"title": None, "directory": "/other"})
    assert changed.status_code == 200
    now = changed.json()["updated_at"]
    assert changed.json() == {**session, "title": None, "directory": "/other", "updated_at": now}
    assert api.delete(path).status_code == 204
    assert api.delete(path).status_code == 404
    assert api.patch(path, {}).status_code == 404
    assert api.get(path).json() == {
        "detail": f"Session not found: {stored.id}",
        "code": "session_not_found",
    }


def test_a_map_that_typescript_stored_comes_out_and_goes_in_unchanged(
    api: Client, store: DjangoCheckpointStore, path: str
) -> None:
    id = path.split("/")[-2]
    text = '{"counts":{"__type":"Map","value":[[1,"one"],["a",{"__type":"Set","value":[1,2]}]]},"x":{"__type":"?"}}'
    with connections[store.using].cursor() as cursor:
        cursor.execute("UPDATE sessions SET metadata = %s WHERE id = %s", [text, id])
    metadata = api.get(path).json()["metadata"]
    assert metadata == {**MAP, "x": {"__type": "?"}}
    assert api.patch(path, {"metadata": metadata}).json()["metadata"] == metadata
    with connections[store.using].cursor() as cursor:
        cursor.execute("SELECT metadata FROM sessions WHERE id = %s", [id])
        assert cursor.fetchone() == (text,)


def test_the_same_post_twice_makes_one_session(api: Client, workspace: str) -> None:
    body = {"id": uuid.uuid4().hex, "directory": "/repo", "workspace_id": workspace, "metadata": MAP}
    first, second = api.post(SESSIONS, body), api.post(SESSIONS, body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert first["ETag"] == second["ETag"]
    assert len(api.get(SESSIONS, {"workspace_id": workspace}).json()["results"]) == 1
    refused = api.post(SESSIONS, {**body, "title": "Other"})
    assert refused.status_code == 409
    assert refused.json() == {
        "detail": f"Session {body['id']} exists with other content",
        "code": "id_conflict",
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "directory"),
        ({"directory": 5}, "directory"),
        ({"directory": "a\x00b"}, "directory"),
        ({"directory": "/", "titel": "T"}, "titel"),
        ({"directory": "/", "metadata": []}, "metadata"),
        ({"directory": "/", "metadata": {"__type": "Set", "value": []}}, "metadata"),
        ({"directory": "/", "id": "x" * 1100}, "id"),
        ([], "non_field_errors"),
        ({"__type": "Map", "value": [["directory", "/"]]}, "non_field_errors"),
        ({"directory": "/", "metadata": {"when": {"__type": "Date", "value": "soon"}}}, "detail"),
    ],
)
def test_bad_input_is_answered_with_the_fields_name(api: Client, body: Any, field: str) -> None:
    answer = api.post(SESSIONS, body)
    assert answer.status_code == 400
    assert list(answer.json()) == [field]


BAD_BODIES = [b"{", b"\xff", b"", b'{"directory": NaN}', b'{"directory": "\\ud800"}', b'{"\\ud800": 1}']


@pytest.mark.parametrize("body", BAD_BODIES)
def test_a_body_that_is_no_json_is_bad_input(api: Client, body: bytes) -> None:
    assert api.post(SESSIONS, body, content_type="application/json").status_code == 400


@pytest.mark.parametrize("number", [2**53, 2**64 + 1, -(2**63) - 1, 10**40])
def test_a_bare_integer_in_a_body_is_exact(api: Client, store: DjangoCheckpointStore, number: int) -> None:
    body = f'{{"directory":"/","metadata":{{"n":{number},"text":"{number}"}}}}'
    made = api.post(SESSIONS, body, content_type="application/json").json()

    assert made["metadata"] == {"n": {"__type": "BigInt", "value": str(number)}, "text": str(number)}
    session = store.get_session(made["id"])
    assert session is not None
    assert session.metadata == {"n": number, "text": str(number)}


def test_a_body_that_is_not_utf_8_is_bad_input(api: Client) -> None:
    assert api.post(SESSIONS, b'{"directory":"\xff"}', content_type="application/json").status_code == 400


def test_metadata_that_is_nested_too_deep_is_bad_input(api: Client) -> None:
    value: Any = 1
    for _ in range(300):
        value = [value]
    answer = api.post(SESSIONS, {"directory": "/", "metadata": {"deep": value}})
    assert answer.status_code == 400
    assert next(iter(answer.json())).startswith("metadata.deep")


def test_other_types_of_body_and_answer_are_refused(api: Client) -> None:
    assert api.post(SESSIONS, "directory=/", content_type="application/x-www-form-urlencoded").status_code == 415
    assert api.get(SESSIONS, HTTP_ACCEPT="text/html").status_code == 406


def test_sessions_are_filtered(api: Client, store: DjangoCheckpointStore, workspace: str) -> None:
    made = []
    for number, title in enumerate("ABC"):
        made.append(store.create_session(f"/repo/{number}", title=title, workspace_id=workspace))
        pass_by(made[-1].updated_at)

    def found(**parameters: str) -> str:
        answer = api.get(SESSIONS, {"workspace_id": workspace, **parameters})
        assert answer.status_code == 200, answer.content
        return "".join(session["title"] or "" for session in answer.json()["results"])

    middle = made[1].updated_at.isoformat()
    assert found() == "CBA"
    assert found(search="REPO/1") == "B"
    assert found(search="%") == ""
    assert found(updated_after=middle) == "CB"
    assert found(updated_before=middle) == "A"
    assert found(limit="2") == "CB"
    assert found(workspace_id="") == "" or store.list_sessions("")
    assert found(workspace_id="a\x00b") == ""
    store.create_session("/", title="E", workspace_id="")
    assert "E" in found(workspace_id="")
    for bad in ({"updated_after": "yesterday"}, {"limit": "-1"}, {"limit": "x"}, {"cursor": "x"}, {"cursor": ""}):
        answer = api.get(SESSIONS, bad)
        assert (answer.status_code, list(answer.json())) == (400, list(bad))


def test_the_latest_session_has_all_to_go_on_with(api: Client, store: DjangoCheckpointStore, workspace: str) -> None:
    assert api.get(f"{SESSIONS}latest/", {"workspace_id": workspace}).status_code == 404
    session = store.create_session("/repo", workspace_id=workspace)
    empty = api.get(f"{SESSIONS}latest/", {"workspace_id": workspace}).json()
    assert (empty["session"]["id"], empty["messages"], empty["checkpoint"]) == (session.id, [], None)
    message = store.add_message(session.id, "user", "hello")
    checkpoint = store.save_checkpoint(session.id, step=1, node_results={})
    latest = api.get(f"{SESSIONS}latest/", {"workspace_id": workspace}).json()
    assert [one["id"] for one in latest["messages"]] == [message.id]
    assert latest["checkpoint"]["id"] == checkpoint.id


def test_a_session_is_summed_up(api: Client, store: DjangoCheckpointStore, path: str) -> None:
    id = path.split("/")[-2]
    store.add_message(id, "user", "hello", tokens_in=3)
    last = store.add_message(id, "assistant", "hi", tokens_out=4)
    store.save_checkpoint(id, step=1, node_results={})
    summary = api.get(f"{path}summary/").json()
    assert summary["session"] == api.get(path).json()
    assert (summary["message_count"], summary["checkpoint_count"]) == (2, 1)
    assert (summary["tokens_in"], summary["tokens_out"], summary["last_message"]["id"]) == (3, 4, last.id)
    assert summary["duration"].startswith("P0DT00H00M0")
    assert api.get(f"{SESSIONS}nowhere/summary/").status_code == 404
    page = api.get(f"{SESSIONS}summaries/", {"workspace_id": summary["session"]["workspace_id"]}).json()
    assert page == {"next": None, "previous": None, "results": [summary]}


ODD_IDS = ["Сессия-日本-🚀-{}", "a/b?c#d&e=f-{}", " spaces\tand ~2F {} ", "latest", "summaries", "", ".", ".."]


@pytest.mark.parametrize("text", ODD_IDS)
def test_any_id_has_a_path(api: Client, store: DjangoCheckpointStore, text: str) -> None:
    id = text.format(uuid.uuid4().hex)
    store.delete_session(id)
    assert api.post(SESSIONS, {"id": id, "directory": "/"}).status_code == 201
    from_tilde = id.replace("~", "~7E").replace("/", "~2F")
    segment = {"latest": "~6Catest", "summaries": "~73ummaries", "": "~", ".": "~2E", "..": "~2E."}.get(
        id, quote(from_tilde)
    )
    assert api.get(f"{SESSIONS}{segment}/").json()["id"] == id
    assert api.post(f"{SESSIONS}{segment}/messages/", {"role": "user"}).status_code == 201
    assert api.delete(f"{SESSIONS}{segment}/").status_code == 204


@pytest.mark.parametrize("id", ["a%00b", "%ED%A0%80", "~ff", "x" * 10_000])
def test_an_id_that_cannot_exist_is_not_found(api: Client, id: str) -> None:
    for rest in ("", "summary/", "messages/", "checkpoints/", "checkpoints/latest/"):
        assert api.get(f"{SESSIONS}{id}/{rest}").status_code == 404, rest
    assert api.patch(f"{SESSIONS}{id}/", {"title": "T"}).status_code == 404
    assert api.patch(f"{SESSIONS}{id}/", {"title": "T"}, headers={"If-Match": "*"}).status_code == 404
    assert api.post(f"{SESSIONS}{id}/messages/", {"role": "user"}).status_code == 404
    for rest in ("", "lineage/"):
        assert api.get(f"/api/checkpoints/{id}/{rest}").status_code == 404, rest
    assert api.post(f"/api/checkpoints/{id}/fork/", {}).status_code == 404


def test_times_are_utc_with_milliseconds(api: Client, path: str) -> None:
    moment = datetime.fromisoformat(api.get(path).json()["updated_at"])
    assert moment.tzinfo == UTC
    assert moment.microsecond % 1000 == 0


@pytest.mark.parametrize("id", ODD_IDS)
def test_a_path_that_django_makes_leads_to_the_session(api: Client, store: DjangoCheckpointStore, id: str) -> None:
    store.get_or_create_session(id, "/")
    assert api.get(reverse("obsku_checkpoint:session", args=[id])).json()["id"] == id
    store.delete_session(id)


def test_a_search_term_is_bounded(api: Client) -> None:
    assert api.get("/api/sessions/", {"search": "é" * 200}).json()["results"] == []
    refused = api.get("/api/sessions/", {"search": "é" * 201})
    assert (refused.status_code, refused.json()) == (400, {"search": ["is longer than 200 characters"]})
    assert api.get("/api/sessions/", {"search": "é" * 4097}).json()["results"] == []
