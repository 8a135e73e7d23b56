"""``manage.py checkpoints export`` and ``import``, as they are called."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from obsku_checkpoint.maintenance import check, erase, export_lines, prune
from obsku_checkpoint.store import DjangoCheckpointStore

Make = Callable[[], DjangoCheckpointStore]


def checkpoints(*arguments: str, **options: Any) -> str:
    stdout = io.StringIO()
    call_command("checkpoints", *arguments, stdout=stdout, stderr=io.StringIO(), **options)
    return stdout.getvalue()


@pytest.fixture
def source(empty_store: Make) -> DjangoCheckpointStore:
    store = empty_store()
    for id in ("a", "b"):
        store.create_session("/", id=id, title=f"Title of {id}")
        store.add_message(id, "user", "Hello")
    return store


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_file_is_compressed_by_its_suffix_and_read_again(
    source: DjangoCheckpointStore, empty_store: Make, tmp_path: Path, suffix: str
) -> None:
    target, file = empty_store(), tmp_path / f"sessions.jsonl{suffix}"
    assert "4 rows" in checkpoints("export", str(file), "--database", source.using)
    first = file.read_bytes()
    checkpoints("export", str(file), "--database", source.using)
    assert file.read_bytes() == first
    said = checkpoints("import", str(file), "--database", target.using)
    assert said == "Written: 2 sessions, 2 messages.\n"
    assert checkpoints("import", str(file), "--database", target.using) == (
        "Written: no rows. There already, unchanged: 2.\n"
    )
    assert list(export_lines(target.using)) == list(export_lines(source.using))
    assert list(tmp_path.glob("*.part")) == []


def test_the_result_for_a_program(source: DjangoCheckpointStore, empty_store: Make, tmp_path: Path) -> None:
    target, file = empty_store(), str(tmp_path / "sessions.jsonl")
    exported = json.loads(checkpoints("export", file, "--session", "a", "--database", source.using, "--json"))
    assert exported == {"file": file, "rows": 2}
    imported = json.loads(checkpoints("import", file, "--dry-run", "--database", target.using, "--json"))
    assert imported["rows"] == {"sessions": 1, "messages": 1}
    assert target.list_sessions() == []


def test_the_terminals_files(
    source: DjangoCheckpointStore, empty_store: Make, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any
) -> None:
    checkpoints("export", "-", "--database", source.using)
    written, _ = capfdbinary.readouterr()
    target = empty_store()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(written)))
    checkpoints("import", "-", "--database", target.using)
    assert target.get_messages("b")[0].content == "Hello"


def test_what_is_left_out(source: DjangoCheckpointStore, empty_store: Make, tmp_path: Path) -> None:
    target, file, rejects = empty_store(), tmp_path / "sessions.jsonl", tmp_path / "rejects.jsonl"
    target.create_session("/other", id="a")
    checkpoints("export", str(file), "--database", source.using)
    with pytest.raises(CommandError, match="line 2: sessions a: it is there already, with other rows"):
        checkpoints("import", str(file), "--database", target.using)
    said = checkpoints("import", str(file), "--rejects", str(rejects), "--database", target.using)
    assert "Left out" in said
    assert len(rejects.read_bytes().splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["import", "/nowhere/file"], "No such file"),
        (["export", "x", "--since", "yesterday"], "'yesterday' is not a time in ISO 8601"),
        (["prnue"], "invalid choice"),
        (["import", "-", "--workspace", "w"], "--workspace: says nothing about a file of export"),
        (["import", "-", "--from", "chat", "--thread", "t"], "--thread: says nothing about chat"),
        (["import", "x", "--from", "langgraph", "--rejects", "y"], "--rejects: says nothing about langgraph"),
        *(
            (["import", "x.db", "--from", name, "--schema", "s"], "schema: 'x.db' is no connection string")
            for name in ("langgraph", "openai-agents")
        ),
        *(
            ([*arguments, "--database", "nope"], "DATABASES has no alias 'nope'")
            for arguments in (
                ["export", "-"],
                ["import", "-"],
                ["prune", "--keep-last", "1"],
                ["check"],
                ["erase", "--session", "a"],
            )
        ),
    ],
)
def test_mistakes_are_said_in_a_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        checkpoints(*arguments)


def test_no_session_is_passed_over(empty_store: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = empty_store()
    for function, size in ((check, "SESSIONS"), (erase, "SESSIONS_AT_ONCE"), (prune, "SESSIONS")):
        monkeypatch.setattr(sys.modules[function.__module__], size, 1)
    for id in ("", "a", "b"):
        store.create_session("/", id=id, workspace_id="w")
        for step in range(3):
            store.save_checkpoint(id, step=step, node_results={})
    with connections[store.using].cursor() as cursor:
        cursor.execute("UPDATE checkpoints SET node_results = '[' WHERE version = 3")
    assert len(list(check(store.using))) == 3
    assert prune(store.using, keep_last=1)["checkpoints"] == 6
    assert prune(store.using, idle_sessions=-timedelta(days=1), dry_run=True)["sessions"] == 3
    assert erase(store.using, workspace_id="w")["sessions"] == 3


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_damaged_file_is_named(source: DjangoCheckpointStore, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"damaged{suffix}"
    checkpoints("export", str(file), "--database", source.using)
    for damaged in (b"{}", file.read_bytes()[:-20]):
        file.write_bytes(damaged)
        with pytest.raises(CommandError, match=f"damaged{suffix}: is damaged"):
            checkpoints("import", str(file), "--database", source.using)
