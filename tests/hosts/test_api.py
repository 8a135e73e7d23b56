"""The API in other people's projects: whatever their settings are, it does what its page says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rest_framework import versioning

from tests import processes
from tests.hosts.api_project import PROJECTS


@pytest.mark.parametrize("name", PROJECTS)
def test_no_setting_of_the_project_reaches_in(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.hosts.api_project", name, str(tmp_path / "project.sqlite3")],
        cwd=processes.ROOT,
        capture_output=True,
        text=True,
        timeout=processes.PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_versioning_is_among_the_projects() -> None:
    classes = {name for name in vars(versioning) if name.endswith("Versioning")}
    assert classes - {"BaseVersioning"} <= set(PROJECTS)
