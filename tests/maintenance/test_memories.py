"""LangGraph's long-term memory is exported, imported, checked and counted with all else."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from langgraph.store.base import IndexConfig, SearchItem

from obsku_checkpoint.contrib.langgraph import DjangoStore
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance import ImportResult, check, export_lines, import_lines, stats
from obsku_checkpoint.store import DjangoCheckpointStore

Make = Callable[[], DjangoCheckpointStore]
APP = "obsku_checkpoint.contrib.langgraph"


def embed(texts: Sequence[str]) -> list[list[float]]:
    return [[float(len(text)), 0.1, -1e-7] for text in texts]


INDEX: IndexConfig = {"dims": 3, "embed": embed, "fields": ["text", "tags[*]"]}


def memory(store: DjangoCheckpointStore, workspace: str | None = None) -> DjangoStore:
    return DjangoStore(store, workspace_id=workspace, index=INDEX)


def filled(store: DjangoCheckpointStore) -> DjangoCheckpointStore:
    for workspace in (None, "w", "v"):
        own = memory(store, workspace)
        own.put(("users", "ü,\u2028"), "a", {"text": "long ago\0", "tags": ["x", "yy"], "set": {1}, "n": 2**70})
        own.put(("notes",), "b", {"text": "b"}, index=False, ttl=5)
    store.create_session("/", id="s", workspace_id="w")
    store.add_message("s", "user", "Hello")
    store.save_fact("A fact", workspace_id="w")
    return store


def exported(store: DjangoCheckpointStore, **which: Any) -> list[bytes]:
    return list(export_lines(store.using, **which))


def searched(store: DjangoCheckpointStore, workspace: str | None, query: str | None) -> list[SearchItem]:
    return memory(store, workspace).search((), query=query, refresh_ttl=False)


def execute(store: DjangoCheckpointStore, sql: str, *parameters: Any) -> None:
    with connections[store.using].cursor() as cursor:
        cursor.execute(sql, parameters)


def rows(lines: Sequence[bytes], table: str = "langgraph_store") -> list[dict[str, Any]]:
    return [row for row in map(json.loads, lines) if row.get("table") == table]


class TestRoundTrip:
    def test_an_import_of_an_export_exports_the_same(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        lines = exported(source)
        written = import_lines(lines, target.using).rows
        assert written == {"langgraph_store": 6, "langgraph_vectors": 9, "sessions": 1, "messages": 1, "facts": 1}
        assert exported(target) == lines
        for workspace in (None, "w"):
            found = [searched(store, workspace, "long") for store in (source, target)]
            assert found[0] == found[1]
            assert found[0][0].score == pytest.approx(1, abs=0.01)
        again = import_lines(lines, target.using)
        assert again == ImportResult(unchanged=8)
        assert exported(target) == lines

    def test_between_databases_of_both_kinds(self, empty_store: Make, postgres_store: DjangoCheckpointStore) -> None:
        lines = exported(filled(empty_store()))
        back = empty_store()
        import_lines(lines, postgres_store.using)
        import_lines(exported(postgres_store), back.using)
        assert exported(postgres_store) == exported(back) == lines

    def test_an_item_stands_above_its_vectors(self, empty_store: Make) -> None:
        lines = exported(filled(empty_store()), workspace_id="v")
        item, *vectors, _ = map(json.loads, lines[1:])
        assert item["prefix"] == '["users","ü,\u2028"]'
        assert item["value"]["tags"] == ["x", "yy"]
        assert {(vector["item_id"], vector["path"]) for vector in vectors} == {
            (item["id"], path) for path in ("text", "tags[*].0", "tags[*].1")
        }
        assert vectors[0]["embedding"] == [9.0, 0.1, -1e-7]

    def test_what_cannot_be_read_comes_back_as_it_is(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        execute(source, "UPDATE langgraph_store SET value = %s, prefix = 'users'", '{"a": 1e5, not json')
        execute(source, "UPDATE langgraph_store SET updated_at = %s WHERE key = 'a'", -(10**14))
        execute(source, "UPDATE langgraph_vectors SET embedding = %s WHERE path = 'text'", b"\xff")
        import_lines(exported(source), target.using)
        assert exported(target) == exported(source)

    def test_in_several_batches(self, empty_store: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("obsku_checkpoint.maintenance.importing.BATCH", 1)
        monkeypatch.setattr("obsku_checkpoint.maintenance.staging.BUFFER", 1)
        monkeypatch.setattr("obsku_checkpoint.maintenance.export.ROOTS_AT_ONCE", 1)
        source, target = filled(empty_store()), empty_store()
        import_lines(exported(source), target.using)
        assert exported(target) == exported(source)


class TestWhich:
    def test_of_a_workspace(self, empty_store: Make) -> None:
        lines = exported(filled(empty_store()), workspace_id="w")
        assert [row["workspace_id"] for row in rows(lines)] == ["w", "w"]
        assert [row["workspace_id"] for row in rows(lines, "langgraph_vectors")] == ["w"] * 3

    def test_since_a_time(self, empty_store: Make) -> None:
        source = filled(empty_store())
        execute(source, "UPDATE langgraph_store SET created_at = 1000, updated_at = 1000")
        memory(source, "w").put(("notes",), "b", {"text": "new"})
        item = memory(source, "w").get(("notes",), "b")
        assert item is not None
        lines = exported(source, since=item.updated_at)
        assert [row["value"] for row in rows(lines)] == [{"text": "new"}]
        assert len(rows(lines, "langgraph_vectors")) == 1
        assert rows(exported(source, since=item.updated_at, workspace_id="v")) == []
        assert rows(exported(source, since=item.updated_at + timedelta(milliseconds=1))) == []

    def test_not_of_sessions(self, empty_store: Make) -> None:
        tables = [json.loads(line).get("table") for line in exported(filled(empty_store()), session_ids=["s"])]
        assert tables == [None, "sessions", "messages"]


class TestNumbers:
    def test_items_whose_numbers_are_taken_get_new_ones_in_their_order(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        memory(target, "other").put(("notes",), "taken", {"text": "taken"})
        lines = exported(source)
        result = import_lines(lines, target.using)
        assert (result.rows["langgraph_store"], result.rows["langgraph_vectors"], result.renumbered) == (6, 9, 0)
        for workspace in (None, "w", "v"):
            for query in (None, "long"):
                assert searched(source, workspace, query) == searched(target, workspace, query)
        assert memory(target, "other").search((), query="taken")[0].key == "taken"
        assert import_lines(lines, target.using) == ImportResult(unchanged=8)

    def test_numbers_given_out_afterwards_are_free(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        import_lines(exported(source), target.using)
        memory(target).put(("new",), "c", {"text": "c"})
        assert [item.key for item in memory(target).search(())] == ["a", "b", "c"]


class TestRefusals:
    def broken(self, source: DjangoCheckpointStore, table: str, **changes: Any) -> list[bytes]:
        """With the first row of the workspace w in the table changed."""
        lines = exported(source)
        place = next(n for n, row in enumerate(map(json.loads, lines)) if self.of_w(row, table))
        row = {**json.loads(lines[place]), **changes}
        lines[place] = json.dumps(row).encode() + b"\n"
        return lines

    def of_w(self, row: dict[str, Any], table: str) -> bool:
        return row.get("table") == table and row["workspace_id"] == "w"

    @pytest.mark.parametrize(
        ("table", "changes", "reason"),
        [
            ("langgraph_vectors", {"embedding": None}, r"line 8: langgraph_vectors\.embedding"),
            ("langgraph_vectors", {"item_id": 1}, "line 8: langgraph_vectors: is of 1, and stands below 3"),
            ("langgraph_vectors", {"path": "tags[*].0"}, "refused by the database"),
            ("langgraph_store", {"updated_at": "today"}, r"line 7: langgraph_store\.updated_at"),
            ("langgraph_store", {"color": 1}, r"line 7: langgraph_store\.color"),
        ],
    )
    def test_a_bad_line_is_named_and_its_item_left_out(
        self, empty_store: Make, table: str, changes: dict[str, Any], reason: str
    ) -> None:
        source = filled(empty_store())
        lines = self.broken(source, table, **changes)
        with pytest.raises(InvalidRecordError, match=reason):
            import_lines(lines, empty_store().using)
        target, rejects = empty_store(), io.BytesIO()
        result = import_lines(lines, target.using, rejects=rejects)
        assert (result.rejected, result.rows["langgraph_store"], result.rows["langgraph_vectors"]) == (1, 5, 6)
        left = rejects.getvalue().splitlines(keepends=True)
        assert left[2:] == lines[6:10]
        mended = [left[0], *exported(source)[6:10]]
        assert import_lines(mended, target.using).rows == {"langgraph_store": 1, "langgraph_vectors": 3}
        assert exported(target) == exported(source)

    def test_an_item_that_is_there_with_other_rows_is_left_alone(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        lines = exported(source)
        import_lines(lines, target.using)
        memory(target, "w").put(("users", "ü,\u2028"), "a", {"text": "newer"})
        execute(target, "UPDATE langgraph_vectors SET embedding = %s WHERE workspace_id = 'v'", b"[1,2,3]")
        before = exported(target)
        rejects = io.BytesIO()
        result = import_lines(lines, target.using, rejects=rejects)
        assert (result.unchanged, result.rejected, result.rows) == (6, 2, {})
        assert exported(target) == before
        reason = json.loads(rejects.getvalue().splitlines()[1])["rejected"]
        assert reason == 'line 7: langgraph_store w ["users","ü,\u2028"] a: it is there already, with other rows'

    def test_without_the_adapter_what_is_missing_is_said_and_sessions_are_imported(
        self, empty_store: Make, settings: Any
    ) -> None:
        source, target, rejects = filled(empty_store()), empty_store(), io.BytesIO()
        lines = exported(source)
        everything = settings.INSTALLED_APPS
        settings.INSTALLED_APPS = [app for app in everything if app != APP]
        with pytest.raises(InvalidRecordError, match=r"line 2: table: is not one of .* install and migrate the app"):
            import_lines(lines, target.using)
        result = import_lines(lines, target.using, rejects=rejects)
        assert (result.rejected, result.rows) == (1, {"sessions": 1, "messages": 1, "facts": 1})
        settings.INSTALLED_APPS = everything
        rejects.seek(0)
        assert import_lines(rejects, target.using).rows == {"langgraph_store": 6, "langgraph_vectors": 9}
        assert exported(target) == lines


class TestCheck:
    def test_what_the_store_writes_is_sound(self, empty_store: Make) -> None:
        assert list(check(filled(empty_store()).using)) == []

    @pytest.mark.parametrize(
        ("sql", "kind", "part"),
        [
            ("langgraph_store SET value = '{' WHERE key = 'a'", "unreadable", "langgraph_store.value 3"),
            ("langgraph_store SET value = '[]' WHERE key = 'a'", "shape", "value: is not a JSON object"),
            ("langgraph_store SET updated_at = 99999999999999 WHERE key = 'a'", "time", "langgraph_store.updated_at 3"),
            ("langgraph_store SET prefix = 'users' WHERE key = 'b'", "shape", "prefix: is not a JSON array of labels"),
            ("langgraph_store SET prefix = '[ ]' WHERE key = 'b'", "shape", "prefix: is not a JSON array of labels"),
            ("langgraph_store SET prefix = '[\"a\"]' WHERE key = 'a'", "shape", "langgraph_vectors 4: is not in"),
            (
                "langgraph_vectors SET workspace_id = 'x' WHERE path = 'text'",
                "shape",
                "namespace of its item 3: no search finds it",
            ),
            ("langgraph_vectors SET embedding = '[1,'", "unreadable", "langgraph_vectors.embedding 4"),
            ("langgraph_vectors SET embedding = '[]'", "shape", "langgraph_vectors 4: embedding: has no numbers"),
        ],
    )
    def test_a_fault_is_found_and_named(self, empty_store: Make, sql: str, kind: str, part: str) -> None:
        store = filled(empty_store())
        execute(store, f"UPDATE {sql} {'AND' if 'WHERE' in sql else 'WHERE'} workspace_id = 'w'")
        assert [one.level for one in check(store.using) if one.kind == kind and part in str(one)] == ["fault"]

    def test_a_vector_without_an_item(self, empty_store: Make) -> None:
        store = filled(empty_store())
        if connections[store.using].vendor == "sqlite":
            execute(store, "PRAGMA foreign_keys = OFF")
        else:
            execute(store, "ALTER TABLE langgraph_vectors DISABLE TRIGGER ALL")
            execute(store, "ALTER TABLE langgraph_store DISABLE TRIGGER ALL")
        execute(store, "DELETE FROM langgraph_store WHERE workspace_id = 'w'")
        dangling = sorted(str(one) for one in check(store.using) if one.kind == "dangling")
        assert dangling == [f"fault: langgraph_vectors {number}: the item 3 is gone" for number in (4, 5, 6)]


def test_its_rows_are_counted(empty_store: Make) -> None:
    store = filled(empty_store())
    if connections[store.using].vendor == "postgresql":
        execute(store, "ANALYZE")
    counted = {one.table: one.rows for one in stats(store.using).tables}
    assert (counted["langgraph_store"], counted["langgraph_vectors"]) == (6, 9)
