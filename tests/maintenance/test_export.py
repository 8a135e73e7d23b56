"""What is exported can be imported: the same rows, byte for byte, on both databases."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connections

from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance import ImportResult, export_lines, import_lines
from obsku_checkpoint.records import ToolCall
from obsku_checkpoint.store import DjangoCheckpointStore

UPSTREAM = Path(__file__).parents[1] / "interop" / "upstream_database.sql"

Make = Callable[[], DjangoCheckpointStore]


def exported(store: DjangoCheckpointStore, **which: Any) -> list[bytes]:
    return list(export_lines(store.using, **which))


def filled(store: DjangoCheckpointStore) -> DjangoCheckpointStore:
    metadata: dict[Any, Any] = {"n": Decimal(1), 2: {3}}
    call: ToolCall = {"name": "f", "toolUseId": "1", "input": {"at": datetime.now(UTC)}}
    for number in range(3):
        workspace = "w" if number else None
        session = store.create_session(f"/{number}", id=f"s{number}/ü", workspace_id=workspace, metadata=metadata)
        for turn in range(4):
            store.add_message(session.id, "user", f"{number}: \u2028{turn}\n")
            store.add_message(session.id, "assistant", tool_calls=[call])
        store.save_checkpoint(session.id, step=0, node_results={"a": {"status": "completed", "output": 2**70}})
        store.save_checkpoint(session.id, step=1, node_results={"b": {"status": "completed", "output": "\ud800"}})
    return store


def same(store: DjangoCheckpointStore, other: DjangoCheckpointStore) -> bool:
    return exported(store) == exported(other)


class TestRoundTrip:
    def test_an_import_of_an_export_exports_the_same(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        result = import_lines(exported(source), target.using)
        assert same(source, target)
        assert result.rows == {"sessions": 3, "messages": 24, "checkpoints": 6}
        assert target.get_messages("s1/ü") == source.get_messages("s1/ü")
        assert target.get_latest_checkpoint("s1/ü") == source.get_latest_checkpoint("s1/ü")

    def test_importing_twice_changes_nothing(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        import_lines(exported(source), target.using)
        again = import_lines(exported(source), target.using)
        assert again == ImportResult(unchanged=3)
        assert same(source, target)

    def test_the_npm_packages_database(self, empty_store: Make, postgres_store: DjangoCheckpointStore) -> None:
        with connections[postgres_store.using].cursor() as cursor:
            cursor.execute("DROP TABLE facts, entities, checkpoints, messages, sessions CASCADE")
            cursor.execute(UPSTREAM.read_text().replace("%", "%%"))
        target = empty_store()
        lines = exported(postgres_store)
        result = import_lines(lines, target.using)
        assert exported(target) == lines
        assert result.rows["entities"] == 4
        assert result.rows["facts"] == 3

    def test_rows_that_cannot_be_decoded_come_back_as_they_are(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        with connections[source.using].cursor() as cursor:
            cursor.execute("UPDATE checkpoints SET node_results = %s", ['{"a": [1e5, 1.0],  "a": not json'])
            cursor.execute("UPDATE messages SET tool_calls = %s", ['[ {"a": 12345678901234567890123} ]'])
            cursor.execute("UPDATE sessions SET updated_at = %s", [-(10**14)])
        import_lines(exported(source), target.using)
        assert same(source, target)

    def test_facts_and_vectors(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        with connections[source.using].cursor() as cursor:
            cursor.execute(
                "INSERT INTO facts (id, workspace_id, content, confidence, source_session_id, created_at, embedding)"
                " VALUES ('1', 'w', 'a', 0.7, 's1/ü', 1, %s), ('2', NULL, 'b', NULL, NULL, 2, %s)",
                [b"[0.25,1]", b"\xff"],
            )
        import_lines(exported(source), target.using)
        assert same(source, target)
        assert import_lines(exported(source), target.using) == ImportResult(unchanged=5)


class TestWhichSessions:
    def test_of_a_workspace(self, empty_store: Make) -> None:
        source = filled(empty_store())
        kinds = [json.loads(line).get("table") for line in exported(source, workspace_id="w")]
        assert kinds.count("sessions") == 2

    def test_named_ones(self, empty_store: Make) -> None:
        source = filled(empty_store())
        ids = {json.loads(line).get("session_id") for line in exported(source, session_ids=["s1/ü", "nobody"])}
        assert ids == {None, "s1/ü"}

    def test_since_a_time(self, empty_store: Make) -> None:
        source = filled(empty_store())
        with connections[source.using].cursor() as cursor:
            cursor.execute("UPDATE sessions SET updated_at = 1000")
        since = source.update_session("s1/ü", title="later").updated_at
        rows = [json.loads(line) for line in exported(source, since=since)]
        assert [row["title"] for row in rows if row.get("table") == "sessions"] == ["later"]


class TestIds:
    def test_a_transcript_whose_ids_are_taken_gets_new_ones_in_its_order(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        other = target.create_session("/")
        target.add_messages(other.id, [{"role": "user", "content": str(n)} for n in range(10)])
        lines = exported(source)
        result = import_lines(lines, target.using)
        assert result.renumbered == 2  # of 24 messages in three sessions, those of the first two
        contents = [[m.content for m in store.get_messages("s0/ü")] for store in (source, target)]
        assert contents[0] == contents[1]
        assert [m.content for m in target.get_messages(other.id)] == [str(n) for n in range(10)]
        assert import_lines(lines, target.using) == ImportResult(unchanged=3)

    def test_ids_given_out_afterwards_are_free(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        import_lines(exported(source), target.using)
        highest = max(m.id for m in target.get_messages("s2/ü"))
        assert target.add_message("s0/ü", "user", "next").id > highest


class TestRefusals:
    def broken(self, source: DjangoCheckpointStore, **changes: Any) -> list[bytes]:
        lines = exported(source)
        place = next(n for n, line in enumerate(lines) if b'"table":"messages"' in line and b'"s1/' in line)
        lines[place] = orjson.dumps({**json.loads(lines[place]), **changes})
        return lines

    def test_a_bad_line_is_named_and_stops_the_import(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        with pytest.raises(InvalidRecordError, match=r"line 14: messages\.tokens_in"):
            import_lines(self.broken(source, tokens_in="many"), target.using)
        assert [session.id for session in target.list_sessions()] == ["s0/ü"]

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"tokens_in": 2**31}, "tokens_in"),
            ({"role": None}, "role"),
            ({"content": "\x00"}, "content"),
            ({"session_id": "s0/ü"}, "stands below s1"),
            ({"colour": "red"}, "colour"),
            ({"table": "massages"}, "table"),
        ],
    )
    def test_what_is_refused_goes_to_the_rejects_and_can_be_mended(
        self, empty_store: Make, changes: dict[str, Any], reason: str
    ) -> None:
        source, target = filled(empty_store()), empty_store()
        rejects = io.BytesIO()
        result = import_lines(self.broken(source, **changes), target.using, rejects=rejects)
        assert result.rejected == 1
        assert {session.id for session in target.list_sessions()} == {"s0/ü", "s2/ü"}
        left = rejects.getvalue().splitlines(keepends=True)
        assert reason in json.loads(left[1])["rejected"]
        good = exported(source, session_ids=["s1/ü"])
        assert left[2:3] + left[4:] == good[1:2] + good[3:]
        mended = left[:3] + good[2:3] + left[4:]
        import_lines(mended, target.using)
        assert same(source, target)

    def test_a_session_that_is_there_with_other_rows_is_left_alone(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        lines = exported(source)
        import_lines(lines, target.using)
        target.add_message("s1/ü", "user", "more")
        before = exported(target)
        rejects = io.BytesIO()
        result = import_lines(lines, target.using, rejects=rejects)
        assert (result.unchanged, result.rejected) == (2, 1)
        assert exported(target) == before
        assert b"with other rows" in rejects.getvalue()

    def test_a_checkpoint_of_another_session_takes_no_other_session_with_it(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        taken = source.list_checkpoints("s1/ü")[0].id
        target.save_checkpoint(target.create_session("/").id, step=0, node_results={}, id=taken)
        rejects = io.BytesIO()
        result = import_lines(exported(source), target.using, rejects=rejects)
        assert (result.rows["sessions"], result.rejected) == (2, 1)
        assert target.get_session("s1/ü") is None

    def test_a_dry_run_says_what_would_be_written_and_writes_nothing(self, empty_store: Make) -> None:
        source, target = filled(empty_store()), empty_store()
        result = import_lines(exported(source), target.using, dry_run=True)
        assert result.rows["messages"] == 24
        assert target.list_sessions() == []
