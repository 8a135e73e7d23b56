"""What `stats` counts, and what it estimates."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connections

from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance import Stats, recent_stats, sizes, spending, stats
from obsku_checkpoint.maintenance import figures as figures_module
from obsku_checkpoint.maintenance.spending import Spending
from obsku_checkpoint.maintenance.standing import LARGE
from obsku_checkpoint.store import DjangoCheckpointStore

Make = Callable[[], DjangoCheckpointStore]
DAY = timedelta(days=1)
PRICES = {"large": [10, 20], "small": [1, 2], "acme": [100, 200]}


@pytest.fixture
def store(empty_store: Make, settings: Any) -> DjangoCheckpointStore:
    settings.OBSKU_CHECKPOINT = {"TOKEN_PRICES": PRICES}
    cache.clear()
    return empty_store()


def session(store: DjangoCheckpointStore, *tokens: tuple[int | None, int | None], **options: Any) -> str:
    id = store.create_session("/", **options).id
    store.add_messages(
        id, [{"role": "assistant", "content": "x", "tokens_in": each[0], "tokens_out": each[1]} for each in tokens]
    )
    return id


def move_back(store: DjangoCheckpointStore, session_id: str, age: timedelta) -> None:
    milliseconds = age // timedelta(milliseconds=1)
    with connections[store.using].cursor() as cursor:
        cursor.execute(
            "UPDATE sessions SET created_at = created_at - %s, updated_at = updated_at - %s WHERE id = %s",
            [milliseconds, milliseconds, session_id],
        )
        for table in ("messages", "checkpoints"):
            cursor.execute(
                f"UPDATE {table} SET created_at = created_at - %s WHERE session_id = %s", [milliseconds, session_id]
            )


def spent(figures: Stats) -> dict[tuple[str | None, int], tuple[int, int, float | None, int]]:
    """(workspace, days ago) -> tokens in, tokens out, cost, tokens without a price"""
    today = figures.at.date()
    return {
        (one.workspace_id, (today - one.day).days): (one.tokens_in, one.tokens_out, one.cost, one.unpriced)
        for one in figures.spending
    }


class TestTokens:
    def test_by_day_workspace_and_price(self, store: DjangoCheckpointStore) -> None:
        session(store, (1_000_000, 500_000), (None, None), workspace_id="w", metadata={"model": "large"})
        session(store, (1_000_000, None), workspace_id="w", metadata={"a": {"model": "large"}, "model": "small"})
        session(store, (7, 3), workspace_id="w", metadata={"model": "unknown"})
        session(store, (1_000_000, 0), workspace_id="acme")
        session(store, (1_000_000, 0), workspace_id="acme", metadata={"model": "small"})
        session(store, (5, 6))
        move_back(store, session(store, (40, 2), workspace_id="w", metadata={"model": "large"}), 3 * DAY)
        move_back(store, session(store, (40, 2), workspace_id="w"), 30 * DAY)
        figures = stats(store.using)
        assert spent(figures) == {
            ("w", 0): (2_000_007, 500_003, 21.0, 10),
            ("acme", 0): (2_000_000, 0, 101.0, 0),
            (None, 0): (5, 6, None, 11),
            ("w", 3): (40, 2, 0.00044, 0),
        }
        assert figures.since == datetime.combine(figures.at, datetime.min.time(), UTC) - 13 * DAY
        assert set(spent(stats(store.using, days=3))) == {("w", 0), ("acme", 0), (None, 0)}

    def test_what_a_fork_has_copied_is_not_counted_twice(self, store: DjangoCheckpointStore) -> None:
        origin = session(store, (100, 10), (200, 20))
        checkpoint = store.save_checkpoint(origin, step=1, node_results={"n": {"status": "completed"}})
        forks = [store.fork(checkpoint.id).id, store.fork_at(store.get_messages(origin)[0].id).id]
        assert [len(store.get_messages(id)) for id in forks] == [2, 1]
        for id in forks:
            store.add_message(id, "assistant", "more", tokens_in=1, tokens_out=1)
        assert spent(stats(store.using)) == {(None, 0): (302, 32, None, 334)}

    @pytest.mark.parametrize(
        "metadata",
        ["not JSON", '"model"', '["model"]', '{"model":5}', '{"model":{"model":"large"}}', '{"model":"\\u0000large"}'],
    )
    def test_metadata_of_any_kind_is_in_nobodys_way(self, store: DjangoCheckpointStore, metadata: str) -> None:
        id = session(store, (1, 1))
        session(store, (1_000_000, 0), metadata={"path": "C:\\udata", "é": "🂡", "model": "small"})
        with connections[store.using].cursor() as cursor:
            cursor.execute("UPDATE sessions SET metadata = %s WHERE id = %s", [metadata, id])
        assert spent(stats(store.using)) == {(None, 0): (1_000_001, 1, 1.0, 2)}

    def test_of_some_workspaces(self, store: DjangoCheckpointStore) -> None:
        for name in ("a", "b", None):
            session(store, (1, 1), workspace_id=name)
        figures = stats(store.using, workspaces=["a"])
        assert set(spent(figures)) == {("a", 0)}
        assert (figures.tables, figures.database_bytes) == ([], None)
        assert {one.workspace_id for one in figures.largest} == {"a"}
        assert [one.rows for one in figures.growth] == [1, 1]
        assert figures.standing.sessions == 1
        none = stats(store.using, workspaces=[])
        assert (none.spending, none.largest, none.growth, none.standing.sessions) == ([], [], [], 0)

    def test_workspaces_without_a_bound(self, store: DjangoCheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spending, "MANY", 2)
        for number in range(1, 6):
            session(store, (number, 0), workspace_id=f"w{number}", metadata={"model": "large"})
        found = stats(store.using).spending
        assert [(one.workspace_id, one.others, one.tokens_in) for one in found] == [
            ("w5", False, 5), ("w4", False, 4), (None, True, 6),
        ]  # fmt: skip
        assert found[-1].cost == pytest.approx(6e-5)

    def test_counting_goes_on_from_where_it_was(
        self, store: DjangoCheckpointStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(spending, "MANY", 2)
        monkeypatch.setattr(figures_module, "LAG", -1000)  # as if all of it were long ago

        def counted() -> list[Spending]:
            found = recent_stats(store.using).spending
            cache.delete_many([key for key in _keys() if key.endswith(":stats")])
            return found

        id = session(store, (10, 0), workspace_id="w1", metadata={"model": "large"})
        session(store, (20, 0), workspace_id="w2")
        assert [one.tokens_in for one in counted()] == [20, 10]
        assert counted() == counted()
        _later(monkeypatch)
        store.add_message(id, "assistant", "x", tokens_in=15)
        session(store, (5, 0), workspace_id="w3")
        found = counted()
        assert [(one.workspace_id, one.tokens_in) for one in found] == [("w1", 25), ("w2", 20), (None, 5)]
        assert found == stats(store.using).spending

    def test_again_within_a_minute_asks_nothing(
        self, store: DjangoCheckpointStore, django_assert_num_queries: Any
    ) -> None:
        session(store, (10, 0))
        first = recent_stats(store.using)
        with django_assert_num_queries(0, connection=connections[store.using]):
            assert recent_stats(store.using) == first


def _keys() -> list[str]:
    return [key.split(":", 2)[2] for key in cache._cache]  # type: ignore[attr-defined]  # of the memory of a process


def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds have passed for the store and for what counts."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 2_000_000_000)


class TestSizes:
    def test_small_tables_are_counted(self, store: DjangoCheckpointStore) -> None:
        small, large = session(store, (1, 1)), session(store, *[(1, 1)] * 4, title="Large", workspace_id="w")
        move_back(store, session(store, (1, 1), (1, 1)), 2 * DAY)
        store.save_checkpoint(small, step=1, node_results={"n": {"status": "completed", "output": "y" * 300}})
        store.save_fact("sky is blue")
        figures = stats(store.using)
        rows = {one.table: one.rows for one in figures.tables}
        assert (rows["sessions"], rows["messages"], rows["checkpoints"], rows["facts"]) == (3, 7, 1, 1)
        assert rows["langgraph_threads"] == rows["entities"] == 0
        assert figures.database_bytes is not None
        assert figures.database_bytes > 10_000
        assert all((one.bytes is None) is (connections[store.using].vendor == "sqlite") for one in figures.tables)
        today = figures.at.date()
        grown = {(one.table, (today - one.day).days): one.rows for one in figures.growth}
        assert grown[("messages", 0)] == 5
        assert grown[("messages", 2)] == 2
        assert grown[("checkpoints", 0)] == grown[("facts", 0)] == 1
        assert not any(one.estimated for one in figures.growth)
        assert not any(one.estimated for one in figures.largest)
        first, second, *_ = figures.largest
        assert (first.id, first.messages, first.checkpoints) == (small, 1, 1)
        assert (second.id, second.title, second.workspace_id, second.messages) == (large, "Large", "w", 4)
        assert first.bytes > second.bytes

    def test_an_empty_database(self, store: DjangoCheckpointStore) -> None:
        figures = stats(store.using)
        assert (figures.growth, figures.spending, figures.largest) == ([], [], [])
        assert (figures.standing.sessions, figures.standing.since) == (0, None)

    def test_large_tables_are_sampled(self, store: DjangoCheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sizes, "BLOCKS", 40)
        monkeypatch.setattr(sizes, "ROWS", 1000)
        monkeypatch.setattr(sizes, "COUNTED", 300)
        many = [session(store, *[(1, 1)] * 10) for _ in range(400)]
        move_back(store, many[0], DAY)
        large = session(store, *[(1, 1)] * 500)
        with connections[store.using].cursor() as cursor:
            cursor.execute("ANALYZE")
        figures = stats(store.using)
        grown = {(one.table, (figures.at.date() - one.day).days): one for one in figures.growth}[("messages", 0)]
        assert grown.estimated
        assert 3000 < grown.rows < 6500
        assert (figures.largest[0].id, figures.largest[0].messages) == (large, 300)
        assert figures.largest[0].estimated
        by_table = {one.table: one for one in figures.tables}
        assert by_table["messages"].rows == 4500
        assert by_table["messages"].estimated is (connections[store.using].vendor == "postgresql")

    @pytest.mark.parametrize("days", [0, 367])
    def test_days(self, store: DjangoCheckpointStore, days: int) -> None:
        with pytest.raises(InvalidRecordError, match="days"):
            stats(store.using, days=days)


class TestStanding:
    def test_the_newest_checkpoint_of_a_run_says(self, store: DjangoCheckpointStore) -> None:
        def save(id: str, status: str, source: Any = "loop", namespace: str = "") -> None:
            results: Any = {"n": {"status": status, **({"error": "no"} if status == "failed" else {})}}
            store.save_checkpoint(id, step=1, node_results=results, source=source, namespace=namespace)

        ids = [session(store) for _ in range(5)]
        save(ids[0], "pending", "interrupt")
        save(ids[1], "pending", "interrupt")
        save(ids[1], "completed")
        save(ids[2], "failed")
        save(ids[2], "failed", namespace="nested")
        save(ids[3], "failed")
        save(ids[3], "completed")
        save(ids[3], "pending", "interrupt", "write")
        large: Any = {"n": {"status": "failed", "output": "y" * LARGE}}
        store.save_checkpoint(ids[4], step=1, node_results=large)
        found = stats(store.using).standing
        assert (found.waiting, found.failed, found.unsearched, found.sessions) == (2, 1, 1, 5)
        assert found.since == min(each.updated_at for each in store.list_sessions())


class TestCommand:
    def test_a_table(self, store: DjangoCheckpointStore) -> None:
        id = session(store, (1_000_000, 250_000), workspace_id="acme", title="A \x1b[31mred\x1b[0m title")
        session(store, (1, 2))
        said = checkpoints("stats", "--database", store.using, "--days", "2")
        assert "\x1b" not in said
        rows = [line.split() for line in said.splitlines()]
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        assert [day, "acme", "1", "1,000,000", "250,000", "150.00"] in rows
        assert [day, "-", "1", "1", "2", "3"] in rows
        assert ["sessions", "2"] in [row[:2] for row in rows]
        assert any(row[:1] == [id] for row in rows)
        assert "Of the 2 sessions that were written to last, since" in said
        assert said.rstrip().endswith("0 wait for a person, 0 have a failed node.")

    def test_json(self, store: DjangoCheckpointStore) -> None:
        session(store, (10, 20), workspace_id="acme")
        figures = json.loads(checkpoints("stats", "--database", store.using, "--json"))
        assert figures["spending"] == [
            {
                "day": f"{datetime.now(UTC):%Y-%m-%d}",
                "workspace_id": "acme",
                "others": False,
                "messages": 1,
                "tokens_in": 10,
                "tokens_out": 20,
                "cost": 0.005,
                "unpriced": 0,
            }
        ]
        assert set(figures) == {
            "at", "since", "spending_since", "tables", "database_bytes", "growth", "spending", "largest", "standing",
        }  # fmt: skip

    def test_too_many_days(self, store: DjangoCheckpointStore) -> None:
        with pytest.raises(CommandError, match="days: must be from 1 to 366"):
            checkpoints("stats", "--database", store.using, "--days", "1000")


def checkpoints(*arguments: str) -> str:
    stdout = io.StringIO()
    call_command("checkpoints", *arguments, stdout=stdout, stderr=io.StringIO())
    return stdout.getvalue()
