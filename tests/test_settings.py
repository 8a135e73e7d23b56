"""The ``OBSKU_CHECKPOINT`` setting, its checks, and the router."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.db import connections, router
from django.test import override_settings

from obsku_checkpoint.models import Message, Session
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore

ROUTER = "obsku_checkpoint.routers.CheckpointRouter"


#: checks of Django's own ask the database what it can do
pytestmark = pytest.mark.django_db(databases=["default", "postgres"])


def problems(**settings: Any) -> list[str | None]:
    with override_settings(**settings):
        return [message.id for message in run_checks() if (message.id or "").startswith("obsku_checkpoint")]


def test_no_setting_is_needed() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"DATABASE": "postgres"}, ["obsku_checkpoint.W002"]),
        ({"DATABASE": "nowhere"}, ["obsku_checkpoint.E002"]),
        ({"DATABASE": 5}, ["obsku_checkpoint.E002"]),
        ({"DATABSE": "postgres"}, ["obsku_checkpoint.W001"]),
        ({"REPLICA": "postgres"}, []),
        ({"REPLICA": "nowhere"}, ["obsku_checkpoint.E011"]),
        ({"REPLICA": "default"}, ["obsku_checkpoint.E011"]),
        ({"REPLICA": "default", "DATABASE": "postgres"}, ["obsku_checkpoint.W002", "obsku_checkpoint.E011"]),
        (["DATABASE"], ["obsku_checkpoint.E001"]),
        ({"PAGE_SIZE": 0}, ["obsku_checkpoint.E004"]),
        ({"MAX_PAGE_SIZE": "500"}, ["obsku_checkpoint.E004"]),
        ({"MAX_BODY_BYTES": True}, ["obsku_checkpoint.E004"]),
        ({"STREAM_INTERVAL_MS": 0.25}, ["obsku_checkpoint.E004"]),
        ({"PAGE_SIZE": 1000}, ["obsku_checkpoint.W003"]),
        ({"PERMISSION_CLASSES": "rest_framework.permissions.AllowAny"}, ["obsku_checkpoint.E005"]),
        ({"PERMISSION_CLASSES": []}, ["obsku_checkpoint.E005"]),
        ({"PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"]}, []),
        ({"PERMISSION_CLASSES": ["rest_framework.permissions.Nobody"]}, ["obsku_checkpoint.E006"]),
        ({"PERMISSION_CLASSES": [5]}, ["obsku_checkpoint.E006"]),
        ({"WORKSPACE_SCOPE": "nowhere.scope"}, ["obsku_checkpoint.E006"]),
        ({"WORKSPACE_SCOPE": "obsku_checkpoint.conf.NAME"}, ["obsku_checkpoint.E006"]),
        ({"WORKSPACE_SCOPE": "tests.api.test_permissions.scope"}, []),
        ({"EMBEDDER": "tests.embedder.embedder"}, []),
        ({"EMBEDDER": "tests.embedder.WordEmbedder"}, ["obsku_checkpoint.E009"]),
        ({"EMBEDDER": "tests.embedder.nothing"}, ["obsku_checkpoint.E009"]),
        ({"EMBEDDER": 5}, ["obsku_checkpoint.E009"]),
        ({"TOKEN_PRICES": {"gpt": [0.5, 2], "acme": (1, 0)}}, []),
        ({"TOKEN_PRICES": [0.5, 2]}, ["obsku_checkpoint.E010"]),
        (
            {"TOKEN_PRICES": {"gpt": 2, "acme": [1], 5: [1, 2], "x": [1, True], "y": [-1, 1]}},
            ["obsku_checkpoint.E010"] * 5,
        ),
        ({"TOKEN_PRICES": {"gpt": ["1", 2], "acme": [1, float("nan")]}}, ["obsku_checkpoint.E010"] * 2),
        ({"RESUME": "nowhere.go_on"}, ["obsku_checkpoint.E006"]),
        ({"RESUME": "example_project.showcase.DIRECTORY"}, ["obsku_checkpoint.E006"]),
        ({"RESUME": "example_project.showcase.go_on"}, []),
        ({"RESUME": "example_project.showcase.make"}, []),
        ({"RESUME": "example_project.scan.agent.start"}, ["obsku_checkpoint.E006"]),
    ],
)
def test_a_wrong_setting_is_reported_at_start_up(given: Any, expected: list[str]) -> None:
    assert problems(OBSKU_CHECKPOINT=given) == expected


def test_with_the_router_another_database_is_fine() -> None:
    assert problems(OBSKU_CHECKPOINT={"DATABASE": "postgres"}, DATABASE_ROUTERS=[ROUTER]) == []


def test_the_tables_live_where_the_setting_says() -> None:
    with override_settings(OBSKU_CHECKPOINT={"DATABASE": "postgres"}, DATABASE_ROUTERS=[ROUTER]):
        assert DjangoCheckpointStore().using == "postgres"
        assert Session.objects.db == "postgres"
        assert router.db_for_write(Message) == "postgres"
        assert router.allow_migrate("postgres", "obsku_checkpoint")
        assert not router.allow_migrate("default", "obsku_checkpoint")
        assert router.allow_relation(Session(), Message())


def test_the_router_leaves_other_apps_alone(committed: None) -> None:
    with override_settings(OBSKU_CHECKPOINT={"DATABASE": "postgres"}, DATABASE_ROUTERS=[ROUTER]):
        assert router.db_for_read(User) == "default"
        assert router.allow_migrate("default", "auth")
        assert router.allow_migrate("postgres", "auth")
        with PostgresCheckpointStore("dbname=x") as store:
            assert router.allow_migrate(store.using, "obsku_checkpoint")
            assert not router.allow_migrate(store.using, "auth")


def test_another_kind_of_database_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections["default"], "vendor", "oracle")
    assert problems() == ["obsku_checkpoint.E003"]
    with pytest.raises(Exception, match="PostgreSQL and SQLite, not on oracle"):
        DjangoCheckpointStore("default")
