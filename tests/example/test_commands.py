"""The commands as a person uses them, in this process."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from example_project.scan import agent
from obsku_checkpoint.store import DjangoCheckpointStore

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")


def manage(*command: str) -> str:
    output = io.StringIO()
    call_command(*command, stdout=output)
    return output.getvalue()


def scan(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(manage("scan", *arguments, "--answer", "yes", "--json"))
    return found


def test_a_scan_reports_what_it_found(directory: Path) -> None:
    text = manage("scan", str(directory), "--answer", "yes")
    assert text.startswith(f"Security scan of {directory}\n")
    assert "HIGH      eval or exec of text that is not fixed  [eval, high confidence]\n  module_00.py:3\n" in text
    assert "API_TOKEN=q8Zt…[16 characters]" in text
    assert "\n61 files, 21 findings (21 high); ruleset default.\n" in text


def test_the_report_can_be_shortened(directory: Path) -> None:
    assert "\n… and 19 more.\n" in manage("scan", str(directory), "--top", "2", "--answer", "yes")


def test_the_latest_session_is_resumed(directory: Path) -> None:
    scan(str(directory), "--title", "First")
    second = scan(str(directory), "--title", "Second")
    assert scan("--resume") == second


def test_a_session_is_resumed_by_its_id(directory: Path) -> None:
    first = scan(str(directory))
    scan(str(directory))
    assert scan("--resume", first["session"]) == first


def test_sessions_are_listed(directory: Path) -> None:
    assert "There is no scan yet" in manage("runs")
    assert manage("scan", "--list") == manage("runs")
    scan(str(directory), "--title", "My scan")
    listed = manage("runs")
    assert "My scan" in listed
    assert "20 messages, 13 checkpoints" in listed
    assert "The scan is finished: 61 files, 21 findings (21 high)." in listed
    assert manage("scan", "--list") == listed


def test_a_session_is_shown_with_its_forks(directory: Path) -> None:
    store = DjangoCheckpointStore()
    origin = scan(str(directory), "--title", "Origin")["session"]
    middle = store.list_checkpoints(origin)[::-1][2]
    child = scan("--fork", middle.id, "--title", "Child", "--ruleset", "strict")["session"]
    inner = store.list_checkpoints(child)[::-1][1]
    scan("--fork", inner.id, "--title", "Grandchild")
    text = manage("scan", "--show", child)
    assert "search_files(ruleset=strict, files=25)" in text
    assert f"{middle.id}" not in text
    assert "(fork)" in text
    lines = [line.strip() for line in text.partition("Forks\n")[2].splitlines()]
    assert [line.split("  ")[0] for line in lines] == ["Origin", "└─ Child", "└─ Grandchild"]
    assert lines[1].endswith("<- this one")


def test_a_session_without_a_checkpoint_is_shown_and_resumed(directory: Path) -> None:
    session = agent.start(DjangoCheckpointStore(), str(directory), title="Killed at once", ruleset="default")
    assert "to do: everything" in manage("scan", "--show", session.id)
    assert scan("--resume")["files"] == 61


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give the PATH"),
        (["/nowhere/at/all"], "PATH does not exist: /nowhere/at/all"),
        ([__file__], "PATH is not a directory"),
        ([".", "--resume"], "PATH and --resume cannot be combined"),
        (["--list", "--show", "x"], "--show and --list cannot be combined"),
        (["--resume"], "--resume: there is no session yet"),
        (["--resume", "x"], "--resume: no session has the id x"),
        (["--show", "x"], "--show: no session has the id x"),
        (["--fork", "x"], "--fork: no checkpoint has the id x"),
        (["--resume", "x", "--title", "T"], "--title belongs to a new session"),
        (["--resume", "x", "--ruleset", "strict"], "--ruleset belongs to a new session"),
        (["--list", "--json"], "--json belongs to a report"),
        (["--show", "x", "--answer", "no"], "--answer belongs to a run"),
        ([".", "--answer", "perhaps"], "argument --answer"),
        ([".", "--top", "0"], "argument --top"),
        ([".", "--batch", "many"], "argument --batch"),
        ([".", "--delay", "-1"], "argument --delay"),
        ([".", "--ruleset", "wild"], "argument --ruleset"),
        ([".", "--title", "a\0b"], "title: holds a NUL character"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        manage("scan", *arguments)


def test_a_session_of_another_agent_is_refused(directory: Path) -> None:
    session = DjangoCheckpointStore().create_session("/", workspace_id="other")
    with pytest.raises(CommandError, match="is not one of this agent"):
        manage("scan", "--resume", session.id)


def test_a_fork_that_would_change_nothing_is_refused(directory: Path) -> None:
    session = scan(str(directory))["session"]
    report, rank, *_ = DjangoCheckpointStore().list_checkpoints(session)
    with pytest.raises(CommandError, match="nothing is left to do"):
        manage("scan", "--fork", report.id)
    with pytest.raises(CommandError, match="all files are searched"):
        manage("scan", "--fork", rank.id, "--ruleset", "strict")
