"""The npm package beside our store, on one PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.npm import package
from tests.npm.process import Npm

DRIVER = Path(__file__).parent / "driver.js"


@pytest.fixture(scope="session")
def npm_command() -> list[str]:
    try:
        return package.command(DRIVER)
    except package.CannotBeInstalledError as error:
        pytest.skip(f"the npm package cannot be installed: {error}")


@pytest.fixture(scope="module")
def database(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


@pytest.fixture(scope="module")
def ours(database: str) -> Iterator[PostgresCheckpointStore]:
    with PostgresCheckpointStore(database) as store:
        store.setup()
        yield store


@pytest.fixture(scope="module")
def npm_beside(npm_command: list[str], ours: PostgresCheckpointStore, database: str) -> Iterator[Callable[[], Npm]]:
    """Each call starts another process."""
    with ExitStack() as processes:
        yield lambda: processes.enter_context(closing(Npm(npm_command, database)))


@pytest.fixture(scope="module")
def npm(npm_beside: Callable[[], Npm]) -> Npm:
    return npm_beside()
