"""How the store meets the database: one call, one transaction, errors in our own words."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import EmptyResultSet
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
    connections,
    transaction,
)
from django.db.models import Model, QuerySet

from obsku_checkpoint import conf
from obsku_checkpoint.errors import (
    CheckpointStoreError,
    ConfigurationError,
    InvalidRecordError,
    SessionNotFoundError,
    StoreUnavailableError,
)
from obsku_checkpoint.store.rows import Row
from obsku_checkpoint.store.selects import select
from obsku_checkpoint.store.sql import Statements, statements_for

R = TypeVar("R")

logger = logging.getLogger(__name__)

#: the threads, and so connections, that a process's async twins use at most. SQLite has one writer: more threads
#: would wait for its lock, and in a database in memory they would not even wait.
ASYNC_THREADS = {"postgresql": 32, "sqlite": 1}
_THREADS: dict[str, ThreadPoolExecutor] = {}
_own_thread = threading.local()


def _new_threads() -> None:
    for vendor, count in ASYNC_THREADS.items():
        _THREADS[vendor] = ThreadPoolExecutor(count, thread_name_prefix=f"obsku-checkpoint-{vendor}")


_new_threads()
os.register_at_fork(after_in_child=_new_threads)  # a child process has none of its parent's threads

FOREIGN_KEY_VIOLATION = "23503"
UNDEFINED_TABLE = "42P01"
PROGRAM_LIMIT_EXCEEDED = "54000"


class DatabaseStore:
    """The part of the store that is the same for every subject."""

    def __init__(self, using: str | None = None) -> None:
        """``using`` is an alias of ``DATABASES``; the setting ``OBSKU_CHECKPOINT["DATABASE"]`` by default."""
        self.using = using or conf.current().DATABASE
        if self.using not in connections.settings:
            raise ConfigurationError(f"DATABASES has no alias {self.using!r}")
        self._statements: Statements = statements_for(self.using)

    def close(self) -> None:
        """Close this thread's connection, unless the caller is inside a transaction."""
        if not connections[self.using].in_atomic_block:
            connections[self.using].close()

    # -- calls

    @contextmanager
    def _call(self, session_id: str = "") -> Iterator[None]:
        """One call of the store.

        Within a caller's transaction it is a savepoint, so that its failure leaves the transaction usable; outside, a
        call of one statement is its own transaction. ``session_id`` is the session that the rows to write refer to.
        """
        connection = connections[self.using]
        try:
            with self._savepoint() if connection.in_atomic_block else nullcontext():
                yield
        except transaction.TransactionManagementError:
            raise  # the caller's transaction was broken before the call: Django's own words fit best
        except DatabaseError as error:
            raise self._translated(error, session_id) from error
        except InterfaceError as error:
            raise self._unavailable(error) from error
        finally:
            self._release()

    def _savepoint(self) -> AbstractContextManager[None]:
        return transaction.atomic(using=self.using)

    def _release(self) -> None:
        """Called after every call; Django ends a thread's connection with its request."""

    def _select(
        self,
        model: type[Model],
        *conditions: Sequence[Any],
        column: str = "",
        order: str = "",
        limit: int | None = None,
    ) -> Sequence[Row]:
        """Raw rows of a table, all columns or one. A condition is its SQL and the values of its placeholders."""
        sql = select(model, column, tuple(condition[0] for condition in conditions), order, limited=limit is not None)
        parameters = [value for condition in conditions for value in condition[1:]]
        return self._statements.rows(sql, parameters if limit is None else [*parameters, limit])

    def _rows(self, queryset: QuerySet[Any, Any]) -> Sequence[Row]:
        """The queryset's raw rows: no model instances, and nothing decoded yet."""
        try:
            sql, parameters = queryset.query.get_compiler(self.using).as_sql()
        except EmptyResultSet:
            return []
        return self._statements.rows(sql, parameters)

    # -- errors

    def _translated(self, error: DatabaseError, session_id: str) -> CheckpointStoreError:
        state = getattr(error.__cause__, "sqlstate", None)
        message = str(error)
        if state == FOREIGN_KEY_VIOLATION or "FOREIGN KEY constraint failed" in message:
            return SessionNotFoundError(session_id)
        if state == UNDEFINED_TABLE or message.startswith("no such table"):
            return ConfigurationError(f"the tables are missing in {self.using!r}: run `manage.py migrate`")
        if state == PROGRAM_LIMIT_EXCEEDED or isinstance(error, DataError | IntegrityError):
            return InvalidRecordError("record", f"is refused by the database ({type(error.__cause__).__name__})")
        if isinstance(error, ProgrammingError):
            return ConfigurationError(f"the database {self.using!r} cannot serve the store: {error}")
        return self._unavailable(error)

    def _unavailable(self, error: Exception) -> StoreUnavailableError:
        """Drop what is broken of this thread's connection (and its pool's), so that the next call can succeed."""
        connection = connections[self.using]
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
            if pool := getattr(connection, "pool", None):
                pool.check()
        logger.warning("The database %r is unavailable: %s", self.using, type(error.__cause__ or error).__name__)
        return StoreUnavailableError(f"the database {self.using!r} is unavailable: {error}")

    # -- async

    async def _run_async(self, call: Callable[[], R]) -> R:
        """Where the async twins do their work: in threads of their own, several at a time.

        Where an event loop runs on behalf of a thread that is inside a transaction (Django's ``TestCase``, or
        ``async_to_sync`` within ``atomic()``), the work is done in that thread, as part of the transaction. (Under
        ``asyncio.run`` within ``atomic()`` it is not: Django shows a thread's connections to no loop that runs in it.)
        """
        if await sync_to_async(self._belongs_to_caller)():
            return await sync_to_async(call)()
        threads, context = _THREADS[connections[self.using].vendor], contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(threads, context.run, self._in_own_thread, call)

    def _belongs_to_caller(self) -> bool:
        """Asked in the thread that waits for the loop: it is in a transaction, or one of ours (a signal's receiver)."""
        return connections[self.using].in_atomic_block or getattr(_own_thread, "at_work", False)

    def _in_own_thread(self, call: Callable[[], R]) -> R:
        _own_thread.at_work = True
        try:
            return call()
        finally:
            _own_thread.at_work = False
            connections[self.using].close_if_unusable_or_obsolete()
