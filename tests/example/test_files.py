from __future__ import annotations

import os
from pathlib import Path

import pytest

from example_project.scan.files import list_files


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def test_files_are_listed_in_the_same_order_every_time(tmp_path: Path) -> None:
    write(tmp_path, "b.py", "a/z.py", "a/b/c.py", "a.py")
    assert list_files(str(tmp_path)).files == ["a.py", "b.py", "a/z.py", "a/b/c.py"]


def test_caches_environments_and_repositories_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, ".git/config", ".venv/x.py", "mine/pyvenv.cfg", "mine/x.py", "c/CACHEDIR.TAG", "c/x.py", "ok.py")
    assert list_files(str(tmp_path)).files == ["ok.py"]


def test_the_scanned_directory_may_be_an_environment_itself(tmp_path: Path) -> None:
    write(tmp_path, "pyvenv.cfg", "x.py")
    assert "x.py" in list_files(str(tmp_path)).files


def test_circles_of_links_pipes_and_dead_links_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "a/x.py")
    (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "dead").symlink_to("/nowhere/at/all")
    os.mkfifo(tmp_path / "pipe")
    listing = list_files(str(tmp_path))
    assert listing.files == ["a/x.py"]
    assert listing.notes == []


def test_large_files_are_noted_and_empty_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "large.txt").write_bytes(b"x" * 1_500_000)
    (tmp_path / "empty.txt").touch()
    listing = list_files(str(tmp_path))
    assert listing.files == []
    assert [(note.file, note.reason) for note in listing.notes] == [("large.txt", "skipped: 1.5 MB, more than 1 MB")]


def test_a_directory_that_is_gone_is_noted(tmp_path: Path) -> None:
    listing = list_files(str(tmp_path / "gone"))
    assert [(note.file, note.reason) for note in listing.notes] == [(".", "not readable: No such file or directory")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_directory_is_noted(tmp_path: Path) -> None:
    write(tmp_path, "closed/x.py", "open.py")
    (tmp_path / "closed").chmod(0)
    listing = list_files(str(tmp_path))
    (tmp_path / "closed").chmod(0o700)
    assert listing.files == ["open.py"]
    assert [note.file for note in listing.notes] == ["closed"]


def test_directories_may_be_nested_deeper_than_calls(tmp_path: Path) -> None:

    start = Path.cwd()
    os.chdir(tmp_path)
    for _ in range(300):
        Path("d").mkdir()
        os.chdir("d")
    Path("x.py").write_text("x")
    os.chdir(start)
    assert list_files(str(tmp_path)).files == ["d/" * 300 + "x.py"]
