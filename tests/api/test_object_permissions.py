"""Permission classes that judge objects are asked about the record that a path names, and about those of lists."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.http import Http404
from rest_framework.permissions import BasePermission

from obsku_checkpoint.client import HTTPCheckpointStore
from obsku_checkpoint.models import Checkpoint, Entity, Fact, Message, Session
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client
from tests.client.live_server import live_server

ASKED: list[Any] = []


class Never(BasePermission):
    """Everybody may ask, and nobody may have."""

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        ASKED.append(obj)
        return False


class Mine(BasePermission):
    """Sessions, entities and facts of one workspace."""

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        if obj.workspace_id == "hidden":
            raise Http404
        return bool(obj.workspace_id == "mine")


ME = "tests.api.test_object_permissions.Never"


def test_the_record_that_a_path_names_is_asked_about(
    api: Client, store: DjangoCheckpointStore, settings: Any, path: str
) -> None:
    session = path.split("/")[-2]
    message = store.add_message(session, "user")
    checkpoint = f"/api/checkpoints/{store.save_checkpoint(session, step=1, node_results={}).id}/"
    entity, fact = store.save_entity(session, name="a", type="b"), store.save_fact("a")
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "PERMISSION_CLASSES": [ME]}
    routes: list[tuple[str, str, type[Any]]] = [
        *(("get", f"{path}{rest}", Session) for rest in ("", "summary/", "messages/", "checkpoints/", "events/")),
        *(("post", f"{path}{rest}", Session) for rest in ("messages/", "checkpoints/", "repair/")),
        ("patch", path, Session),
        ("delete", path, Session),
        *(("get", f"{checkpoint}{rest}", Checkpoint) for rest in ("", "lineage/")),
        ("post", f"{checkpoint}fork/", Checkpoint),
        ("post", f"/api/messages/{message.id}/fork/", Message),
        ("get", "/api/sessions/latest/", Session),
        *((method, f"/api/entities/{entity.id}/", Entity) for method in ("get", "patch", "delete")),
        ("get", f"/api/entities/{entity.id}/related/", Entity),
        *((method, f"/api/facts/{fact.id}/", Fact) for method in ("get", "delete")),
    ]
    for method, route, model in routes:
        ASKED.clear()
        answer = getattr(api, method)(route, **({} if method == "get" else {"data": {}}))
        assert (answer.status_code, [type(one) for one in ASKED]) == (403, [model]), (method, route)
    assert store.get_session(session) is not None
    for route in ("/api/sessions/nowhere/", "/api/checkpoints/nowhere/"):
        assert api.get(route).status_code == 404
    assert api.post("/api/messages/none/fork/", {}).status_code == 404


def test_lists_leave_out_what_is_refused(store: DjangoCheckpointStore, workspace: str) -> None:
    names = ["mine", "hidden", "other", "other", "mine"]
    sessions = [store.create_session(f"/{workspace}", workspace_id=name).id for name in names]
    last = ""
    entities, facts = [], []
    for name in names:
        last = store.save_entity(
            sessions[0],
            name=workspace,
            type=workspace,
            workspace_id=name,
            relationships=[{"targetId": last, "type": "to"}],
            embedding=[1.0],
        ).id
        entities.append(last)
        facts.append(store.save_fact(workspace, workspace_id=name, source_session_id=sessions[0], embedding=[2.0]).id)
    judge = ["tests.api.test_object_permissions.Mine"]
    with (
        live_server(store.using, PERMISSION_CLASSES=judge, PAGE_SIZE=2, MAX_PAGE_SIZE=2) as url,
        HTTPCheckpointStore(url, retries=0) as seen,
    ):
        assert [one.id for one in seen.search_sessions(workspace)] == [sessions[4], sessions[0]]
        found = [one.session.id for one in seen.list_session_summaries() if one.session.directory == f"/{workspace}"]
        assert found == [sessions[4], sessions[0]]
        assert [one.id for one in seen.list_entities(type=workspace)] == [entities[4], entities[0]]
        assert [one.id for one in seen.list_facts() if one.content == workspace] == [facts[4], facts[0]]
        assert [one.id for one in seen.related(entities[4], depth=9)] == [entities[0]]
        assert [one.record.id for one in seen.search_entities([1.0], session_id=sessions[0], top_k=2)] == [entities[4]]
        assert {one.record.workspace_id for one in seen.search_facts([1.0], top_k=2)} <= {"mine"}


def warnings() -> list[str]:
    return [str(one.id) for one in run_checks(tags=["urls"]) if str(one.id).startswith("obsku_checkpoint")]


@pytest.mark.parametrize(
    ("project", "framework", "expected"),
    [
        ({}, {}, []),
        ({}, {"DEFAULT_AUTHENTICATION_CLASSES": []}, ["obsku_checkpoint.W005"]),
        ({"PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"]}, {"DEFAULT_AUTHENTICATION_CLASSES": []}, []),
    ],
)
def test_a_check_says_that_nobody_can_sign_in(settings: Any, project: Any, framework: Any, expected: list[str]) -> None:
    settings.OBSKU_CHECKPOINT = project
    settings.REST_FRAMEWORK = framework
    assert warnings() == expected
    settings.ROOT_URLCONF = "tests.hosts.views"
    assert warnings() == []
