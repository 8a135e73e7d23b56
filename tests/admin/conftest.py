"""Clients of the admin, on each database in turn; requests commit."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.store import DjangoCheckpointStore

links = Links("admin")

VIEW = ("view_session", "view_message", "view_checkpoint")


class Reader(Client):
    """A signed-in person."""

    def see(self, address: str, status: Any = 200, **query: Any) -> str:
        """The page's HTML."""
        response: Any = self.get(address, query)
        assert response.status_code == status, response.status_code
        content = b"".join(response.streaming_content) if response.streaming else response.content
        return str(content.decode())

    def read(self, address: str, **query: Any) -> str:
        """The page's text, without tags, in single spaces."""
        return text(self.see(address, **query))


def text(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def person(*permissions: str, **attributes: Any) -> Reader:
    user = User.objects.create_user(f"user-{uuid.uuid4().hex}", is_staff=True, **attributes)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    reader = Reader()
    reader.force_login(user)
    return reader


@pytest.fixture
def hooked(store: DjangoCheckpointStore, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.admin.urls"
    settings.OBSKU_CHECKPOINT = {"DATABASE": store.using, "RESUME": "example_project.showcase.go_on"}
    settings.DATABASE_ROUTERS = ["obsku_checkpoint.routers.CheckpointRouter"]


@pytest.fixture
def root(hooked: None) -> Reader:
    """May do everything."""
    return person(is_superuser=True)


@pytest.fixture
def viewer(hooked: None) -> Reader:
    """May look at sessions and checkpoints, and do nothing."""
    return person(*VIEW)


@pytest.fixture
def workspace() -> str:
    return f"workspace-{uuid.uuid4().hex}"


@pytest.fixture
def session_id(store: DjangoCheckpointStore, workspace: str) -> Iterator[str]:
    id = store.create_session("/srv/shop", title="Find the slow query", workspace_id=workspace).id
    yield id
    store.delete_session(id)  # a corrupt one would be in the way of other tests


@pytest.fixture
def statements(store: DjangoCheckpointStore) -> Callable[[Callable[[], object]], list[str]]:
    """The SQL that a call sends to the store's database about our tables."""

    def sent(call: Callable[[], object]) -> list[str]:
        with CaptureQueriesContext(connections[store.using]) as captured:
            call()
        tables = ("sessions", "messages", "checkpoints")
        return [
            each["sql"]
            for each in captured
            if any(f"{name}" in each["sql"].replace("django_session", "") for name in tables)
        ]

    return sent


@pytest.fixture
def corrupt(store: DjangoCheckpointStore) -> Callable[[str, str, Any, Any], None]:
    """Overwrites a column behind the store's back."""

    def overwrite(table: str, column: str, id: Any, value: Any) -> None:
        with connections[store.using].cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [value, id])

    return overwrite


def redirected(response: Any) -> str:
    """Where the response leads."""
    assert response.status_code == 302, response.status_code
    return str(response["Location"])
