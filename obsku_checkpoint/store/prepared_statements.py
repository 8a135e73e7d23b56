"""Statements that PostgreSQL parses and plans once a connection, under names that say their text.

psycopg numbers the statements of a connection (``_pg3_0``, …). Behind a pooler of transactions the connection that
answers is not the one that prepared, and the same number is another client's statement: with as many parameters it
runs, and a read deletes. A name that is a hash of the text and of the parameters' types can be missing, but it never
means another statement. psycopg has no public way to name one, so where it is not as known here, nothing is prepared.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import logging
from typing import Any

import psycopg

try:
    from psycopg._preparing import Prepare, PrepareManager
except ImportError:  # pragma: no cover - a psycopg that is not as known
    PrepareManager = None  # type: ignore[assignment,misc]  # asked below

logger = logging.getLogger(__name__)

#: executions on one connection after which a statement is prepared: psycopg's own default
THRESHOLD = 5

#: by alias, whether its connections may prepare; asked of the first one
_may_prepare: dict[str, bool] = {}


@functools.lru_cache(1024)
def _name(text: bytes, types: tuple[int, ...]) -> bytes:
    return b"obsku_" + hashlib.blake2b(text + b"\0" + repr(types).encode(), digest_size=12).hexdigest().encode()


KNOWN = PrepareManager is not None and list(inspect.signature(PrepareManager.get).parameters) == [
    "self", "query", "prepare",
]  # fmt: skip

if KNOWN:

    class NamesByText(PrepareManager):
        def get(self, query: Any, prepare: bool | None = None) -> tuple[Prepare, bytes]:
            state, name = super().get(query, prepare)
            if state is Prepare.SHOULD:
                name = _name(query.query, query.types)
            return state, name


def decided_threshold(database: dict[str, Any]) -> tuple[bool, int | None]:
    """Whether the project says when a statement is prepared (``prepare_threshold`` in ``OPTIONS``; behind a pooler,
    ``DISABLE_SERVER_SIDE_CURSORS``; all statements, ``server_side_binding``), and what it says; None is never.
    """
    options = database["OPTIONS"]
    if "prepare_threshold" in options:
        return True, options["prepare_threshold"]
    return bool(database.get("DISABLE_SERVER_SIDE_CURSORS") or options.get("server_side_binding") is True), None


def is_ready(driver: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Whether `name_by_text` has seen this connection."""
    return hasattr(driver, "_obsku_prepares")


def name_by_text(
    alias: str, driver: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], threshold: int | None
) -> None:
    """Let a connection prepare from now on, or with None not at all."""
    vars(driver)["_obsku_prepares"] = True
    if KNOWN and hasattr(driver, "_prepared"):
        driver._prepared = NamesByText()
        driver.prepare_threshold = threshold if _may_prepare.get(alias, True) else None
    else:
        driver.prepare_threshold = None


def asks_for_pooler(alias: str) -> bool:
    """Whether it is not known yet if a pooler stands before the alias's server."""
    return alias not in _may_prepare


#: the process of the server that answers
BACKEND_PID = "SELECT pg_backend_pid()"


def told_backend_pid(alias: str, driver: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], pid: int) -> None:
    """A pooler stands before the server where the process that answers is not the one that the connection was told."""
    _may_prepare[alias] = pid == driver.info.backend_pid
    if not _may_prepare[alias]:
        _warn(alias)


def give_up(alias: str, driver: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Prepare nothing any more for this alias, after a statement was lost. False where that was so already."""
    if driver.prepare_threshold is None:
        return False
    driver.prepare_threshold = None
    if _may_prepare.get(alias, True):
        _may_prepare[alias] = False
        _warn(alias)
    return True


def _warn(alias: str) -> None:
    logger.warning(
        "The database %r is behind a pooler that keeps no prepared statements: none is prepared from now on. Set"
        " prepare_threshold=None (in OPTIONS, or of PostgresCheckpointStore) to say so from the start.",
        alias,
    )
