"""The Python of the documentation runs, and prints what its comments say."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import (
    PAGES,
    PATIENCE,
    blocks,
    files,
    in_django,
    in_order,
    promised,
    run,
    script,
    section,
    text_of,
)
from tests.example.conftest import REPOSITORY, Project
from tests.example.server import create_user, server

#: pages with a test of their own, here or in `tests.langgraph.test_docs` and `tests.docs.test_using_the_models`
OTHERWISE = {
    "README.md",
    "docs/api.md",
    "docs/client.md",
    "docs/graphs.md",
    "docs/langgraph.md",
    "docs/openai-agents-and-pydantic-ai.md",
    "docs/tutorial.md",
    "docs/using-the-models.md",
    "docs/without-django.md",
}
ORDINARY = [page for page in PAGES if page not in OTHERWISE and script(text_of(page))]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_python(page: str) -> None:
    for code in blocks(text_of(page)):
        compile(code, page, "exec")


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_points_to_exists(page: str) -> None:
    folder = (REPOSITORY / page).parent
    targets = re.findall(r"\]\(([^):#]+)[)#]|(?:src|srcset)=\"([^\"]+)\"", text_of(page))
    assert [path for path in map("".join, targets) if not (folder / path).exists()] == []


def test_every_page_is_in_the_sites_contents() -> None:
    contents = {line for line in text_of("docs/index.md").splitlines() if not line.startswith(("#", ":", "`"))}
    assert [page for page in PAGES if page.startswith("docs/") and Path(page).stem not in {*contents, "index"}] == []


@pytest.mark.parametrize("page", ORDINARY)
def test_the_blocks_run_in_a_django_project(page: str, project: Project, tmp_path: Path) -> None:
    code = script(text_of(page))
    lines = run(in_django(code), project.environment, tmp_path)
    assert promised(code)
    assert in_order(promised(code), lines), lines


def test_the_readmes_project_is_a_project(project: Project, tmp_path: Path) -> None:
    readme = text_of("README.md")
    (tmp_path / "shop").mkdir()
    for name, code in files(readme).items():
        (tmp_path / name).write_text(code)
    settings = tmp_path / "shop" / "settings.py"
    settings.write_text(f'from example_project.settings import *\n\nROOT_URLCONF = "shop.urls"\n{settings.read_text()}')
    # The example project has the app already.
    settings.write_text(settings.read_text().replace('INSTALLED_APPS += ["obsku_checkpoint"]\n', ""))
    project.environment["DJANGO_SETTINGS_MODULE"] = "shop.settings"
    project.environment["PYTHONPATH"] = str(tmp_path)
    project.run("check", "--fail-level", "WARNING")
    code = script(readme.replace(section("README.md", "LangGraph"), ""))
    assert len(promised(code)) == 4
    assert run(in_django(code), project.environment, tmp_path) == promised(code)


def test_the_graphs_run_alone_and_are_drawn(project: Project, tmp_path: Path) -> None:
    page = text_of("docs/graphs.md")
    code = script(page)
    lines = run(in_django(code), project.environment, tmp_path)
    (drawing,) = blocks(page, "mermaid")
    saved = [line for line in lines if line.startswith("Saved: ")]
    assert saved[:2] == [
        "Saved: None ['list', 'parse', 'search', 'report']",
        "Saved: list ['parse', 'search', 'report']",
    ]
    assert (len(saved), saved[-1]) == (5, "Saved: report []")
    assert len(promised(code)) == 14
    without_drawing = [line for line in lines if line not in [*saved, *drawing.splitlines(), ""]]
    assert without_drawing == promised(code)
    assert drawing in "\n".join(lines)


def test_the_frameworks_talk_without_a_network(project: Project, tmp_path: Path) -> None:
    code = script(text_of("docs/openai-agents-and-pydantic-ai.md"))
    lines = run(in_django(code), project.environment, tmp_path)
    assert len(promised(code)) == 4
    assert lines == promised(code)
    shown = project.query("SELECT session_id, role, content FROM messages ORDER BY session_id, created_at")
    assert [role for id, role, _ in shown if id == "order-17"] == ["user", "assistant"] * 2
    assert [content for id, _, content in shown if id == "order-18"][::2] == [
        "Where is my order?",
        "And the other one?",
    ]


@pytest.mark.django_db(databases=["postgres"])
def test_the_page_without_django_needs_none(
    postgres_database: Callable[[], str], project: Project, tmp_path: Path
) -> None:
    environment = {**project.environment, "POSTGRES_URL": postgres_database()}
    del environment["DJANGO_SETTINGS_MODULE"]
    code = script(text_of("docs/without-django.md"))
    assert promised(code)
    assert run(code, environment, tmp_path) == promised(code)


def test_the_api_answers_as_it_is_told(project: Project, tmp_path: Path) -> None:
    page = text_of("docs/api.md")
    create_user(project)
    with server(project, tmp_path / "log") as (_, port):
        address = f"127.0.0.1:{port}"
        for commands in blocks(page, "sh"):
            done = subprocess.run(
                ["bash", "-ec", commands.replace("127.0.0.1:8000", address)],
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        code = script(page) + script(text_of("docs/client.md"))
        assert len(promised(code)) == 3
        assert run(code.replace("127.0.0.1:8000", address), project.environment, tmp_path) == promised(code)
    assert len(blocks(page, "sh")) == 2
    titles = project.query("SELECT title FROM sessions ORDER BY created_at")
    assert titles == [("Find the slow query",), ("The same, with an index",)]
