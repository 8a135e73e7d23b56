"""The README's Python runs, and prints what its comments say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.example.conftest import REPOSITORY, Project

README = (REPOSITORY / "README.md").read_text()
#: (heading, code) of each Python block
BLOCKS = [
    (section.partition("\n")[0], code)
    for section in re.split(r"^## ", README, flags=re.MULTILINE)
    for code in re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
]
WITHOUT_DJANGO = "Use it without Django"
#: the blocks that stand for a file of the reader's begin with its name
FILE = re.compile(r"# [\w/]+\.py\n")


def script(*, without_django: bool) -> str:
    chosen = [code for heading, code in BLOCKS if (heading == WITHOUT_DJANGO) is without_django]
    return "\n".join(code for code in chosen if not FILE.match(code))


def promised(code: str) -> list[str]:
    """What the comments behind print() say that is printed."""
    return re.findall(r"^ *print\(.*\)  # (.*)$", code, flags=re.MULTILINE)


def run(code: str, environment: dict[str, str], directory: Path) -> list[str]:
    (directory / "readme.py").write_text(code)
    done = subprocess.run(
        [sys.executable, str(directory / "readme.py")],
        env={**environment, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def in_order(wanted: list[str], lines: list[str]) -> bool:
    rest = iter(lines)
    return all(line in rest for line in wanted)


def test_every_block_is_python() -> None:
    assert len(BLOCKS) >= 9
    for heading, code in BLOCKS:
        compile(code, heading, "exec")


def test_the_blocks_run_in_a_django_project(project: Project, tmp_path: Path) -> None:
    code = script(without_django=False)
    lines = run(f"import django\n\ndjango.setup()\n\n{code}", project.environment, tmp_path)
    assert len(promised(code)) == 6
    assert in_order(promised(code), lines), lines


@pytest.mark.django_db(databases=["postgres"])
def test_the_block_without_django_runs_alone(
    postgres_database: Callable[[], str], project: Project, tmp_path: Path
) -> None:
    environment = {**project.environment, "POSTGRES_URL": postgres_database()}
    del environment["DJANGO_SETTINGS_MODULE"]
    code = script(without_django=True)
    assert run(code, environment, tmp_path) == promised(code)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^):]+)\)", README))))
def test_what_the_readme_points_to_exists(path: str) -> None:
    assert (REPOSITORY / path).exists()
