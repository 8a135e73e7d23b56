"""The README's Python runs, and prints what its comments say."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.example.conftest import README, REPOSITORY, Project

#: (heading, code) of each Python block
BLOCKS = [
    (section.partition("\n")[0], code)
    for section in re.split(r"^## ", README, flags=re.MULTILINE)
    for code in re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
]
#: seconds; checking a password takes long by intention, and longer on a busy machine
PATIENCE = 300
WITHOUT_DJANGO = "Use it without Django"
OVER_HTTP = "REST API"
GRAPH = "Run a graph"
FRAMEWORKS = "Agent frameworks"
#: with the graph of its page of the documentation: `tests.langgraph.test_docs`
LANGGRAPH = "LangGraph"
ALONE = (WITHOUT_DJANGO, OVER_HTTP, GRAPH, FRAMEWORKS, LANGGRAPH)
SHELL = re.findall(r"^```sh\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
#: the blocks that stand for a file of the reader's begin with its name
FILE = re.compile(r"# [\w/]+\.py\n")


def script(*headings: str) -> str:
    """The blocks under these headings; without any, those that run in a Django project."""
    chosen = [code for heading, code in BLOCKS if (heading in headings if headings else heading not in ALONE)]
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
        timeout=PATIENCE,
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
    code = script()
    lines = run(f"import django\n\ndjango.setup()\n\n{code}", project.environment, tmp_path)
    assert len(promised(code)) == 7
    assert in_order(promised(code), lines), lines


def test_the_graphs_run_alone_and_are_drawn(project: Project, tmp_path: Path) -> None:
    code = script(GRAPH)
    lines = run(f"import django\n\ndjango.setup()\n\n{code}", project.environment, tmp_path)
    (drawing,) = re.findall(r"^```mermaid\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    saved = [line for line in lines if line.startswith("Saved: ")]
    assert saved[:2] == [
        "Saved: None ['list', 'parse', 'search', 'report']",
        "Saved: list ['parse', 'search', 'report']",
    ]
    assert (len(saved), saved[-1]) == (5, "Saved: report []")
    assert len(promised(code)) == 13
    assert [line for line in lines if line not in saved] == [*promised(code), *drawing.splitlines(), ""]


def test_the_frameworks_talk_without_a_network(project: Project, tmp_path: Path) -> None:
    code = script(FRAMEWORKS)
    lines = run(f"import django\n\ndjango.setup()\n\n{code}", project.environment, tmp_path)
    assert len(promised(code)) == 4
    assert lines == promised(code)
    shown = project.query("SELECT session_id, role, content FROM messages ORDER BY session_id, created_at")
    assert [role for id, role, _ in shown if id == "order-17"] == ["user", "assistant"] * 2
    assert [content for id, _, content in shown if id == "order-18"][::2] == [
        "Where is my order?",
        "And the other one?",
    ]


@pytest.mark.django_db(databases=["postgres"])
def test_the_block_without_django_runs_alone(
    postgres_database: Callable[[], str], project: Project, tmp_path: Path
) -> None:
    environment = {**project.environment, "POSTGRES_URL": postgres_database()}
    del environment["DJANGO_SETTINGS_MODULE"]
    code = script(WITHOUT_DJANGO)
    assert run(code, environment, tmp_path) == promised(code)


def test_the_api_answers_as_it_is_told(project: Project, tmp_path: Path) -> None:
    project.environment["DJANGO_SUPERUSER_PASSWORD"] = "secret"
    project.run("createsuperuser", "--noinput", "--username", "agent", "--email", "agent@localhost")
    with served(project) as address:
        for commands in SHELL:
            done = subprocess.run(
                ["bash", "-ec", commands.replace("127.0.0.1:8000", address)],
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        code = script(OVER_HTTP)
        assert len(promised(code)) == 3
        assert run(code.replace("127.0.0.1:8000", address), project.environment, tmp_path) == promised(code)
    assert len(SHELL) == 2
    titles = project.query("SELECT title FROM sessions ORDER BY created_at")
    assert titles == [("Find the slow query",), ("The same, with an index",)]


@contextlib.contextmanager
def served(project: Project) -> Iterator[str]:
    """The example project behind a port of its own, as ``manage.py runserver`` serves it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    server = project.start("runserver", "--noreload", address)
    try:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and server.poll() is None:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
                break
            time.sleep(0.05)
        yield address
    finally:
        server.terminate()
        server.communicate(timeout=20)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^):]+)\)", README))))
def test_what_the_readme_points_to_exists(path: str) -> None:
    assert (REPOSITORY / path).exists()
