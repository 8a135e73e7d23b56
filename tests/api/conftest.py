"""A client that may do everything, on each database in turn; requests commit."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from obsku_checkpoint.store import DjangoCheckpointStore


class Client(APIClient):
    """JSON in and out."""

    def __init__(self, user: User | None) -> None:
        super().__init__()
        self.default_format = "json"
        if user is not None:  # with None it would log out, from sessions that the tests do not have
            self.force_authenticate(user)

    def request(self, **kwargs: Any) -> Any:
        kwargs.setdefault("HTTP_ACCEPT", "application/json")
        return super().request(**kwargs)


@pytest.fixture
def user() -> User:
    return User(username="root", is_superuser=True)


@pytest.fixture
def api(store: DjangoCheckpointStore, settings: Any, user: User) -> Client:
    settings.OBSKU_CHECKPOINT = {"DATABASE": store.using}
    settings.DATABASE_ROUTERS = ["obsku_checkpoint.routers.CheckpointRouter"]
    return Client(user)


@pytest.fixture
def workspace() -> str:
    return f"workspace-{uuid.uuid4().hex}"


@pytest.fixture
def path(store: DjangoCheckpointStore, workspace: str) -> str:
    """The path of a new session."""
    return f"/api/sessions/{store.create_session('/repo', title='T', workspace_id=workspace).id}/"


@pytest.fixture
def stream(api: Client, settings: Any, path: str) -> str:
    """The path of a new session's stream, which everybody may listen to."""
    settings.OBSKU_CHECKPOINT = {
        **settings.OBSKU_CHECKPOINT,
        "PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
        "STREAM_INTERVAL_MS": 20,
    }
    return f"{path}events/"


@pytest.fixture
def id(stream: str) -> str:
    return stream.split("/")[-3]
