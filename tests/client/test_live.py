"""Against the API itself, as projects may have set it: small pages, small bodies, permissions, scopes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from rest_framework.request import Request

from obsku_checkpoint.errors import AccessDeniedError, InvalidRecordError, SessionNotFoundError
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.client.conftest import Open
from tests.client.live_server import live_server

PAGES = {"MAX_PAGE_SIZE": 2, "MAX_BODY_BYTES": 1000}


def own_workspace(request: Request) -> list[str]:
    return ["own"]


@pytest.fixture
def small(store: DjangoCheckpointStore, open_store: Open) -> Iterator[CheckpointStore]:
    """The store over HTTP, two records a page."""
    with live_server(store.using, **PAGES) as url:
        yield open_store(url)


def test_lists_are_whole_however_small_the_servers_pages_are(store: DjangoCheckpointStore, small: Any) -> None:
    workspace = f"workspace-{uuid.uuid4().hex}"
    for _ in range(5):
        session = store.create_session("/repo", title="Five", workspace_id=workspace)
    messages = [store.add_message(session.id, "user", str(number)) for number in range(5)]
    for number in range(5):
        store.save_checkpoint(session.id, step=number, node_results={}, namespace=str(number % 2))
    for limit in (None, 0, 1, 2, 3, 4, 5, 6):
        for name, arguments in {
            "list_sessions": [workspace],
            "list_session_summaries": [workspace],
            "search_sessions": ["five", workspace],
            "get_messages": [session.id],
            "list_checkpoints": [session.id],
        }.items():
            wanted = getattr(store, name)(*arguments, limit=limit)
            assert getattr(small, name)(*arguments, limit=limit) == wanted, (name, limit)
        for place in ({"after_id": messages[0].id}, {"before_id": messages[4].id}, {"before": messages[3].created_at}):
            wanted = store.get_messages(session.id, **place, limit=limit)
            assert small.get_messages(session.id, **place, limit=limit) == wanted, (place, limit)
    assert list(small.iter_messages(session.id)) == messages


def test_a_write_that_is_too_long_for_the_server_is_refused(store: DjangoCheckpointStore, small: Any) -> None:
    session = store.create_session("/repo")
    with pytest.raises(InvalidRecordError, match="more than 1000 bytes"):
        small.add_message(session.id, "user", "x" * 1000)
    assert store.get_messages(session.id) == []


def test_who_may_not_is_told_so(store: DjangoCheckpointStore, open_store: Open, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the others are slow by intention
    user = User.objects.create_user(f"agent-{uuid.uuid4().hex}", password="secret")
    try:
        with live_server(store.using, PERMISSION_CLASSES=["rest_framework.permissions.IsAdminUser"]) as url:
            for auth in (None, httpx.BasicAuth(user.username, "wrong"), httpx.BasicAuth(user.username, "secret")):
                with pytest.raises(AccessDeniedError):
                    open_store(url, auth=auth).list_sessions(limit=1)
            User.objects.filter(pk=user.pk).update(is_staff=True)
            allowed = open_store(url, auth=httpx.BasicAuth(user.username, "secret"))
            assert allowed.get_session("nowhere") is None
    finally:
        user.delete()


def test_other_workspaces_are_out_of_reach(store: DjangoCheckpointStore, open_store: Open) -> None:
    own, other = (store.create_session("/repo", workspace_id=workspace) for workspace in ("own", "other"))
    with live_server(store.using, WORKSPACE_SCOPE=f"{__name__}.own_workspace") as url:
        scoped = open_store(url)
        assert scoped.get_session(own.id) == own
        assert scoped.get_session(other.id) is None
        assert own.id in {summary.session.id for summary in scoped.list_session_summaries()}
        assert {summary.session.workspace_id for summary in scoped.list_session_summaries()} == {"own"}
        with pytest.raises(SessionNotFoundError):
            scoped.add_message(other.id, "user", "hello")
        with pytest.raises(AccessDeniedError):
            scoped.create_session("/repo", workspace_id="other")
