"""Permission classes that judge objects: asked about the record that a path names; a check says where they are not."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from rest_framework.permissions import BasePermission

from obsku_checkpoint.models import Checkpoint, Message, Session
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client

ASKED: list[Any] = []


class Never(BasePermission):
    """Everybody may ask, and nobody may have."""

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        ASKED.append(obj)
        return False


ME = "tests.api.test_object_permissions.Never"


def test_the_record_that_a_path_names_is_asked_about(
    api: Client, store: DjangoCheckpointStore, settings: Any, path: str
) -> None:
    session = path.split("/")[-2]
    message = store.add_message(session, "user")
    checkpoint = f"/api/checkpoints/{store.save_checkpoint(session, step=1, node_results={}).id}/"
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "PERMISSION_CLASSES": [ME]}
    routes: list[tuple[str, str, type[Any]]] = [
        *(("get", f"{path}{rest}", Session) for rest in ("", "summary/", "messages/", "checkpoints/", "events/")),
        *(("post", f"{path}{rest}", Session) for rest in ("messages/", "checkpoints/", "repair/")),
        ("patch", path, Session),
        ("delete", path, Session),
        *(("get", f"{checkpoint}{rest}", Checkpoint) for rest in ("", "lineage/")),
        ("post", f"{checkpoint}fork/", Checkpoint),
        ("post", f"/api/messages/{message.id}/fork/", Message),
    ]
    for method, route, model in routes:
        ASKED.clear()
        answer = getattr(api, method)(route, **({} if method == "get" else {"data": {}}))
        assert (answer.status_code, [type(one) for one in ASKED]) == (403, [model]), (method, route)
    assert store.get_session(session) is not None
    for route in ("/api/sessions/nowhere/", "/api/checkpoints/nowhere/"):
        assert api.get(route).status_code == 404
    assert api.post("/api/messages/none/fork/", {}).status_code == 404


def warnings() -> list[str]:
    return [str(one.id) for one in run_checks(tags=["urls"]) if str(one.id).startswith("obsku_checkpoint")]


@pytest.mark.parametrize(
    ("project", "framework", "expected"),
    [
        ({}, {}, []),
        ({"PERMISSION_CLASSES": [ME]}, {}, ["obsku_checkpoint.W004"]),
        ({"PERMISSION_CLASSES": ["rest_framework.permissions.DjangoObjectPermissions"]}, {}, ["obsku_checkpoint.W004"]),
        ({"PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"]}, {}, []),
        ({"PERMISSION_CLASSES": [ME], "WORKSPACE_SCOPE": "tests.api.test_permissions.scope"}, {}, []),
        ({}, {"DEFAULT_AUTHENTICATION_CLASSES": []}, ["obsku_checkpoint.W005"]),
        ({"PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"]}, {"DEFAULT_AUTHENTICATION_CLASSES": []}, []),
    ],
)
def test_a_check_says_what_is_not_asked(settings: Any, project: Any, framework: Any, expected: list[str]) -> None:
    settings.OBSKU_CHECKPOINT = project
    settings.REST_FRAMEWORK = framework
    assert warnings() == expected
    settings.ROOT_URLCONF = "tests.hosts.views"
    assert warnings() == []
