"""The example project itself: its secret key, its pages, and its other database."""

from __future__ import annotations

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from example_project.secret_key import secret_key
from tests.example.conftest import FILES, Project


def test_a_secret_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(secret_key, [path] * 8))
    assert keys == {path.read_text()}
    assert len(path.read_text()) == 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_where_no_key_can_be_kept_the_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="set EXAMPLE_SECRET_KEY"):
        secret_key(tmp_path / "gone" / "key")


def test_the_project_passes_djangos_checks(project: Project) -> None:
    project.run("check", "--fail-level", "WARNING")


@pytest.mark.django_db(databases=["postgres"])
def test_the_scan_runs_on_postgresql(project: Project, directory: Path, postgres_database: Callable[[], str]) -> None:
    on_sqlite = project.report(str(directory))
    project.environment["POSTGRES_URL"] = postgres_database()
    project.run("migrate", "--verbosity", "0")
    on_postgres = project.report(str(directory))
    assert {**on_postgres, "session": ""} == {**on_sqlite, "session": ""}
    assert f"{FILES + 1} files" in project.run("runs")
    assert len(project.query("SELECT id FROM sessions")) == 1
