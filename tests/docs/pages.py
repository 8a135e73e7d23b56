"""The Python and the commands that stand in the documentation."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.example.conftest import REPOSITORY

#: seconds; checking a password takes long by intention, and longer on a busy machine
PATIENCE = 300
#: the blocks that stand for a file of the reader's begin with its name
FILE = re.compile(r"# ([\w/]+\.py)\n")
PAGES = ["README.md", *sorted(path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "docs").glob("*.md"))]


def text_of(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    return text_of(page).split(f"\n## {heading}\n")[1].split("\n## ")[0]


def blocks(text: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def files(text: str) -> dict[str, str]:
    """Name -> the code of the reader's file, put together where the page gives it piece by piece."""
    written: dict[str, str] = {}
    for code in blocks(text):
        if name := FILE.match(code):
            written[name[1]] = written.get(name[1], "") + code
    return written


def script(text: str) -> str:
    """What is not a file: the page's program."""
    return "\n".join(code for code in blocks(text) if not FILE.match(code))


def promised(code: str) -> list[str]:
    """What the comments behind print() say that is printed."""
    return re.findall(r"^ *print\(.*\)  # (.*)$", code, flags=re.MULTILINE)


def in_order(wanted: list[str], lines: list[str]) -> bool:
    rest = iter(lines)
    return all(line in rest for line in wanted)


def run(code: str, environment: dict[str, str], directory: Path) -> list[str]:
    (directory / "page.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(directory / "page.py")],
        env={**environment, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def in_django(code: str) -> str:
    return f"import django\n\ndjango.setup()\n\n{code}"
