"""``scan --follow``: from one process one sees what another one does."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.example.conftest import Project


def test_a_scan_is_followed_from_another_process_to_its_end(project: Project, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(6):
        (tree / f"{number}.py").write_text(f"x = {number}\n")
    scanning = project.start("scan", str(tree), "--delay", "0.3", "--batch", "1")
    while not project.query("SELECT id FROM sessions"):
        assert scanning.poll() is None
    following = project.start("scan", "--follow")
    shown, errors = following.communicate(timeout=60)
    assert (following.returncode, errors) == (0, "")
    assert scanning.wait(60) == 0
    for stream in (scanning.stdout, scanning.stderr):
        assert stream is not None
        stream.close()
    ids = [id for (id,) in project.query("SELECT id FROM checkpoints ORDER BY rowid")]
    lines = shown.splitlines()
    assert [line.split()[0] for line in lines if line.split()[0] in ids] == ids
    assert len(lines) == len(ids) + project.query("SELECT count(*) FROM messages")[0][0]
    # Of a finished one there is nothing to wait for.
    assert project.run("scan", "--follow").splitlines() == lines


def test_who_follows_stops_with_ctrl_c(project: Project, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    scanning = project.start("scan", str(tmp_path), "--delay", "60")
    while not project.query("SELECT id FROM checkpoints"):
        assert scanning.poll() is None
    following = project.start("scan", "--follow")
    assert following.stdout is not None
    assert following.stdout.readline()
    following.send_signal(signal.SIGINT)
    _, errors = following.communicate(timeout=60)
    assert (following.returncode, errors) == (0, "")
    scanning.kill()
    scanning.communicate()
