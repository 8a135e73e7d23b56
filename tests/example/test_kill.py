"""The scan in a process of its own, killed with SIGKILL: what is finished is not done again."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

from tests.example.conftest import FILES, Project

PACE = ("--batch", "3", "--delay", "0.005", "--answer", "yes")


def kill_after(project: Project, process: subprocess.Popen[str], files: int) -> None:
    """Wait until so many files are finished by what is stored, and kill the process."""
    deadline = time.monotonic() + 30
    while project.files_searched().total() < files:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_a_killed_scan_goes_on_and_repeats_nothing(project: Project, directory: Path) -> None:
    unbroken = project.report(str(directory))
    for sessions, files in enumerate((1, FILES // 2), start=1):
        already = project.files_searched().total()
        kill_after(project, project.start("scan", str(directory), *PACE), already + files)
        finished = project.files_searched().total() - already
        assert files <= finished < FILES + 1
        resumed = project.report("--resume")
        assert {**resumed, "session": ""} == {**unbroken, "session": ""}
        # Every session has searched every file exactly once, and parsed every Python file exactly once.
        assert set(project.files_searched().values()) == {sessions + 1}
        assert len(project.files_searched()) == FILES + 1
        assert set(project.files_searched("parse").values()) == {sessions + 1}
        assert len(project.files_searched("parse")) == FILES


def test_a_scan_that_is_killed_over_and_over_comes_to_its_end(project: Project, directory: Path) -> None:
    process = project.start("scan", str(directory), *PACE)
    for files in range(10, FILES, 20):
        kill_after(project, process, files)
        process = project.start("scan", "--resume", *PACE)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "61 files, 21 findings (21 high)" in output
    assert "files finished before" in output
    assert set(project.files_searched().values()) == {1}
    assert set(project.files_searched("parse").values()) == {1}
    assert (
        project.query("SELECT count(*), max(step) - min(step) + 1 FROM checkpoints")[0][0]
        == (project.query("SELECT count(DISTINCT step) FROM checkpoints")[0][0])
    )


def test_ctrl_c_says_how_to_go_on(project: Project, directory: Path) -> None:
    process = project.start("scan", str(directory), *PACE)
    while not project.files_searched():
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    (session,) = project.query("SELECT id FROM sessions")[0]
    assert errors == f"list    61 files, 60 of them Python\nStopped. To go on: manage.py scan --resume {session}\n"
    assert project.report("--resume", session)["files"] == FILES + 1


def test_without_a_terminal_the_question_waits_for_another_process(project: Project, directory: Path) -> None:
    process = project.start("scan", str(directory), "--json")
    output, errors = process.communicate(timeout=30)
    (session,) = project.query("SELECT id FROM sessions")[0]
    assert (process.returncode, output) == (3, "")
    assert errors == (
        "list    61 files, 60 of them Python\n"
        "parse   60 of 60 files, 20 findings\n"
        "search  waits for an answer\n"
        "shop.conf:1 holds a secret (0 files left). Go on? To answer yes or no:\n"
        f"  manage.py scan --resume {session} --answer yes\n"
    )
    assert "asks: shop.conf:1 holds a secret" in project.run("scan", "--show", session)
    assert "61 files, 21 findings (21 high)" in project.run("scan", "--resume", session, "--answer", "yes")


def test_without_tables_the_way_out_is_named(tmp_path: Path, directory: Path, project: Project) -> None:
    project.environment["EXAMPLE_DATABASE"] = str(tmp_path / "empty.sqlite3")
    process = project.start("scan", str(directory))
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "manage.py migrate" in errors


def test_the_demo_runs_to_its_end_where_others_have_run_before(project: Project, directory: Path) -> None:
    project.run("scan", str(directory), "--answer", "yes")
    output = project.run("demo", "--no-color")
    assert "Killed with SIGKILL" in output
    assert "has found a secret, and asks" in output
    assert "Nothing was repeated" in output
    assert "ruleset strict" in output
    assert "What to type next" in output
    assert "\x1b" not in output
