"""A directory to scan, and the example project's commands as processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from obsku_checkpoint import codec

REPOSITORY = Path(__file__).parents[2]
FILES = 60


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Sixty Python files with a dangerous call in every third, and a secret."""
    root = tmp_path / "scanned"
    root.mkdir()
    for number in range(FILES):
        body = "eval(text)\n" if number % 3 == 0 else "print(text)\n"
        (root / f"module_{number:02}.py").write_text(f"text = str({number})\nassert text\n{body}")
    (root / "shop.conf").write_text("API_TOKEN=q8Zt5nWx2LrB9yVd\n")
    return root


def _take_ctrl_c() -> None:
    """A test run in the background of a script ignores Ctrl-C, and its children would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Project:
    """The example project with a database of its own."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.environment = {**os.environ, "EXAMPLE_DATABASE": str(database), "EXAMPLE_SECRET_KEY": "tests"}
        self.environment["DJANGO_SETTINGS_MODULE"] = "example_project.settings"
        for name in ("POSTGRES_URL", "COLUMNS"):
            self.environment.pop(name, None)

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(REPOSITORY / "manage.py"), *command],
            cwd=REPOSITORY,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_take_ctrl_c,  # noqa: PLW1509 - nothing else can undo an ignored signal, and no thread holds a lock
        )

    def run(self, *command: str) -> str:
        process = self.start(*command)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        return output

    def report(self, *command: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.run("scan", *command, "--answer", "yes", "--json"))
        return report

    def query(self, sql: str) -> list[Any]:
        """What is stored, read without any of our code."""
        connection = sqlite3.connect(self.database, timeout=20)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def files_searched(self, node: str = "search") -> Counter[str]:
        """File -> how often the stored messages say that the node searched it."""
        searched: Counter[str] = Counter()
        for (text,) in self.query("SELECT tool_results FROM messages WHERE tool_results IS NOT NULL"):
            for result in codec.loads(text):
                if result["toolUseId"].startswith(f"{node}-"):
                    searched.update(result["data"]["files"])
        return searched


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the tables and nothing in them."""
    database = tmp_path_factory.mktemp("migrated") / "example.sqlite3"
    Project(database).run("migrate", "--verbosity", "0")
    return database


@pytest.fixture
def project(tmp_path: Path, migrated: Path) -> Project:
    return Project(Path(shutil.copy(migrated, tmp_path / "example.sqlite3")))
