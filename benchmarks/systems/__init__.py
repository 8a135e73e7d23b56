"""One file a system: how it does the work, and what it needs installed. This one lists them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.npm.package import CACHE, NPM_PACKAGE, CannotBeInstalledError, install
from tests.npm.package import command as npm_command

#: of this repository: what the system "before" is
REVISION_VARIABLE = "BENCHMARK_BEFORE"


def _here(module: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-m", f"benchmarks.systems.{module}"]


def _python_peer(module: str, *packages: str) -> Callable[[], list[str]]:
    """A peer in a virtual environment of its own."""

    def command() -> list[str]:
        folder = CACHE / "benchmarks" / module
        python = folder / "bin" / "python"
        done = folder / "installed"
        wanted = "\n".join(packages)
        if not done.exists() or done.read_text() != wanted:
            install([sys.executable, "-m", "venv", str(folder)])
            install([str(python), "-m", "pip", "install", "-q", *packages])
            done.write_text(wanted)
        return [str(python), "-m", f"benchmarks.systems.{module}"]

    return command


def _npm_package() -> list[str]:
    return npm_command(Path(__file__).parent / "npm_package.js")


def _before() -> list[str]:
    """The package at another revision (`REVISION_VARIABLE`), so that a change is measured in one run."""
    revision = os.environ.get(REVISION_VARIABLE)
    if not revision:
        raise CannotBeInstalledError(f"no revision is given in {REVISION_VARIABLE}")
    folder = CACHE / "benchmarks" / "before"
    if folder.exists():
        install(["git", "worktree", "remove", "--force", str(folder)])
    install(["git", "worktree", "prune"])
    install(["git", "worktree", "add", "--force", "--detach", str(folder), revision])
    return ["env", f"PYTHONPATH={folder}", sys.executable, str(folder / "benchmarks" / "systems" / "ours.py")]


@dataclass(frozen=True)
class System:
    name: str
    title: str
    #: installs what is missing and gives the command that starts the system. Raises `CannotBeInstalledError`.
    command: Callable[[], list[str]]
    #: where it works: in our tables on PostgreSQL or on SQLite, in a database to itself, or without any
    database: Literal["shared", "sqlite", "own", "none"] = "shared"
    environment: dict[str, str] = field(default_factory=dict)


SYSTEMS = {
    system.name: system
    for system in (
        System("ours", "DjangoCheckpointStore", _here("ours")),
        System("ours-async", "DjangoCheckpointStore, async", _here("ours"), environment={"BENCHMARK_FORM": "async"}),
        System("ours-pool", "PostgresCheckpointStore", _here("ours"), environment={"BENCHMARK_FORM": "pool"}),
        System("limit", "the least possible with psycopg", _here("limit")),
        System("before", "DjangoCheckpointStore before the change", _before),
        System("limit-async", "our statements by hand on psycopg's async pool", _here("limit_async")),
        System("ours-sqlite", "DjangoCheckpointStore, SQLite", _here("ours"), database="sqlite"),
        System("limit-sqlite", "the least possible with sqlite3", _here("limit_sqlite"), database="sqlite"),
        System("npm", f"{NPM_PACKAGE} on Bun", _npm_package),
        System("plain-orm", "Django's ORM on a first day", _here("plain_orm")),
        System("plain-orm-sqlite", "Django's ORM on a first day, SQLite", _here("plain_orm"), database="sqlite"),
        System(
            "langgraph", "LangGraph's PostgresSaver", database="own",
            command=_python_peer("langgraph", "langgraph-checkpoint-postgres", "psycopg[binary,pool]"),
        ),
        System(
            "langgraph-async", "LangGraph's AsyncPostgresSaver", database="own",
            command=_python_peer("langgraph", "langgraph-checkpoint-postgres", "psycopg[binary,pool]"),
            environment={"BENCHMARK_FORM": "async"},
        ),
        System(
            "openai-agents", "OpenAI Agents' SQLAlchemySession", database="own",
            command=_python_peer("openai_agents", "openai-agents[sqlalchemy]", "asyncpg"),
        ),
        System("json", "the standard library's json", _here("json_codecs"), database="none"),
        System(
            "orjson", "bare orjson", _here("json_codecs"), database="none", environment={"BENCHMARK_FORM": "orjson"},
        ),
    )
}  # fmt: skip
