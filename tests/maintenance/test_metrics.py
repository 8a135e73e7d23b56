"""What Prometheus scrapes, read by its own parser."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.urls import path
from prometheus_client.parser import text_string_to_metric_families

import obsku_checkpoint.maintenance.metrics
from obsku_checkpoint.maintenance import metrics
from obsku_checkpoint.store import DjangoCheckpointStore

Make = Callable[[], DjangoCheckpointStore]

urlpatterns = [path("metrics/", obsku_checkpoint.maintenance.metrics.view)]


@pytest.fixture
def store(empty_store: Make, settings: Any) -> DjangoCheckpointStore:
    store = empty_store()
    settings.OBSKU_CHECKPOINT = {"DATABASE": store.using, "TOKEN_PRICES": {"acme": [2, 3]}}
    settings.ROOT_URLCONF = __name__
    cache.clear()
    return store


def add(store: DjangoCheckpointStore, workspace_id: str | None, tokens_in: int, tokens_out: int = 0) -> str:
    id = store.create_session("/", workspace_id=workspace_id).id
    store.add_message(id, "assistant", "x", tokens_in=tokens_in, tokens_out=tokens_out)
    with connections[store.using].cursor() as cursor:  # what has just been written is counted the next time
        cursor.execute("UPDATE sessions SET created_at = created_at - 6000, updated_at = updated_at - 6000")
        cursor.execute("UPDATE messages SET created_at = created_at - 6000")
    return id


def scraped() -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Name -> labels -> value"""
    response = Client().get("/metrics/")
    assert response.status_code == 200
    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parsed(response.content.decode())


def parsed(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            series = found.setdefault(sample.name.removeprefix("obsku_checkpoint_"), {})
            key = tuple(sample.labels.items())
            assert key not in series
            series[key] = sample.value
    return found


def tokens(workspace: str, direction: str, of: str = "workspace") -> tuple[tuple[str, str], ...]:
    return (("workspace", workspace), ("of", of), ("direction", direction))


def test_nobody_signs_in(store: DjangoCheckpointStore) -> None:
    id = add(store, "acme", 1_000_000, 1_000_000)
    add(store, None, 7)
    add(store, "", 5)
    store.save_checkpoint(id, step=1, node_results={"n": {"status": "failed", "error": "no"}})
    found = scraped()
    assert found["tokens_today"] == {
        tokens("acme", "in"): 1_000_000,
        tokens("acme", "out"): 1_000_000,
        tokens("", "in", "none"): 7,
        tokens("", "out", "none"): 0,
        tokens("", "in"): 5,
        tokens("", "out"): 0,
    }
    assert found["cost_today"][(("workspace", "acme"), ("of", "workspace"))] == 5
    assert found["unpriced_tokens_today"][(("workspace", ""), ("of", "none"))] == 7
    assert found["table_rows"][(("table", "sessions"), ("estimated", "false"))] == 3
    assert found["rows_today"][(("table", "messages"), ("estimated", "false"))] == 3
    assert found["database_bytes"][()] > 0
    assert (found["sessions_looked_at"], found["sessions_waiting"], found["sessions_failed"]) == (
        {(): 3}, {(): 0}, {(): 1},
    )  # fmt: skip


@pytest.mark.parametrize("name", ['a"b', "back\\slash", "two\nlines", "\\n", 'é 🂡 {x="y"} 1', "# HELP"])
def test_labels_of_any_name(store: DjangoCheckpointStore, name: str) -> None:
    add(store, name, 3)
    assert scraped()["tokens_today"][tokens(name, "in")] == 3


def test_labels_are_bounded(store: DjangoCheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "WORKSPACES", 2)
    for number in range(1, 5):
        add(store, f"w{number}", number)
    add(store, "long" * 100, 10)
    assert {key: value for key, value in scraped()["tokens_today"].items() if value} == {
        tokens("", "in", "others"): 10 + 3 + 2 + 1,
        tokens("w4", "in"): 4,
    }


def test_a_minute_costs_one_counting(store: DjangoCheckpointStore, django_assert_num_queries: Any) -> None:
    add(store, "acme", 1)
    first = scraped()
    add(store, "acme", 1)
    with django_assert_num_queries(0, connection=connections[store.using]):
        assert scraped() == first


def test_it_is_read_only(store: DjangoCheckpointStore) -> None:
    assert Client().head("/metrics/").status_code == 200
    assert Client().post("/metrics/").status_code == 405


def test_a_database_that_is_away(store: DjangoCheckpointStore, settings: Any) -> None:
    with connections[store.using].cursor() as cursor:
        cursor.execute("ALTER TABLE sessions RENAME TO gone")
    response = Client().get("/metrics/")
    assert response.status_code == 503
    assert response.content == b"# ConfigurationError\n"


def test_the_command_writes_the_same(store: DjangoCheckpointStore) -> None:
    add(store, "acme", 3)
    stdout = io.StringIO()
    call_command("checkpoints", "stats", "--prometheus", "--database", store.using, stdout=stdout)
    written, seen = parsed(stdout.getvalue()), scraped()
    for found in (written, seen):
        found.pop("time_seconds")
    assert written == seen
