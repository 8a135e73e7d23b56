"""What the store of every subject has: a database, a way to it, and its statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections
from django.db.models import Model, QuerySet
from django.dispatch import Signal
from django.utils.module_loading import import_string

from obsku_checkpoint import conf
from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.extras import require
from obsku_checkpoint.store.calls import AfterCommit, Calls, Parameters
from obsku_checkpoint.store.django_thread import a_sync_thread_waits
from obsku_checkpoint.store.memory_sql import MemorySql
from obsku_checkpoint.store.sql import Sql, select

R = TypeVar("R")

#: by name, so that a project on SQLite needs no psycopg
VENDORS = {
    "postgresql": (
        "obsku_checkpoint.store.postgres_calls.PostgresCalls",
        "obsku_checkpoint.store.sql_postgres.PostgresSql",
        "obsku_checkpoint.store.memory_sql_postgres.PostgresMemorySql",
    ),
    "sqlite": (
        "obsku_checkpoint.store.calls.Calls",
        "obsku_checkpoint.store.sql.Sql",
        "obsku_checkpoint.store.memory_sql.MemorySql",
    ),
}


class DatabaseStore:
    """The part of the store that is the same for every subject."""

    def __init__(self, using: str | None = None) -> None:
        """``using`` is an alias of ``DATABASES``; the setting ``OBSKU_CHECKPOINT["DATABASE"]`` by default."""
        self.using = using or conf.current().DATABASE
        if self.using not in connections.settings:
            raise ConfigurationError(f"DATABASES has no alias {self.using!r}")
        calls, sql, memory_sql = (import_string(path) for path in VENDORS[_vendor(self.using)])
        self._sql: Sql = sql()
        self._memory_sql: MemorySql = memory_sql()
        self._calls: Calls = self._calls_of(calls)

    def _calls_of(self, calls: type[Any]) -> Any:
        return calls(self.using, type(self), gives_back=False)

    # -- the drivers of `obsku_checkpoint.async_twins`

    def _run(self, begin: Callable[[], Steps[R]]) -> R:
        return self._calls.run(begin)

    async def _run_async(self, begin: Callable[[], Steps[R]]) -> R:
        return await self._calls.run_async(begin)

    async def _in_thread(self, call: Callable[[], R]) -> R:
        return await self._calls.in_djangos_thread(call)

    # -- connections

    def close(self) -> None:
        """Close this thread's connection, unless the caller is inside a transaction."""
        with self._calls.in_our_words("close"):
            if not connections[self.using].in_atomic_block:
                connections[self.using].close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and that of Django's thread."""
        await self._calls.close_async()
        await self._in_thread(self.close)

    # -- where functions are called beside the store (`obsku_checkpoint.graph.callers.Host`)

    def in_transaction(self) -> bool:
        """Whether the caller is in a transaction of the store's database."""
        return bool(connections[self.using].in_atomic_block)

    async def ain_transaction(self) -> bool:
        """Whether the sync thread that waits for this event loop is in one."""
        return a_sync_thread_waits() and await self._in_thread(self.in_transaction)

    async def call_in_transaction(self, call: Callable[[], R], /) -> R:
        """Call it in that thread."""
        return await self._in_thread(call)

    async def call_beside(self, call: Callable[[], R], executor: ThreadPoolExecutor, /) -> R:
        """Call it in a thread of the executor, with the caller's context, language and time zone.

        The connections that it opens are given back: the thread may never be used again.
        """

        def work() -> R:
            try:
                return call()
            finally:
                connections.close_all()

        return await sync_to_async(work, thread_sensitive=False, executor=executor)()

    # -- steps that several subjects take

    def _select(
        self,
        model: type[Model],
        *conditions: Sequence[Any],
        column: str = "",
        order: str = "",
        limit: int | None = None,
    ) -> tuple[str, Parameters]:
        """A step that reads raw rows of a table. A condition is its SQL and the values of its placeholders."""
        sql = select(model, column, tuple(condition[0] for condition in conditions), order, limited=limit is not None)
        parameters = [value for condition in conditions for value in condition[1:]]
        return sql, parameters if limit is None else [*parameters, limit]

    def _query(self, queryset: QuerySet[Any, Any]) -> tuple[str, Parameters]:
        """A step that reads the queryset's raw rows: no model instances, and nothing decoded yet."""
        sql, parameters = queryset.query.get_compiler(connection=self._dialect).as_sql()
        return sql, parameters

    @cached_property
    def _dialect(self) -> Any:
        """A connection that is never opened: it only tells the compiler how its database speaks."""
        return connections.create_connection(self.using)

    def _announce(self, signal: Signal, **arguments: Any) -> tuple[AfterCommit, ...]:
        """The step that sends a signal, where somebody listens."""
        if signal.receivers and signal.has_listeners(type(self)):  # the former is seen at once
            return (AfterCommit(signal, arguments),)
        return ()


def _vendor(using: str) -> str:
    if "postgresql" in connections.settings[using]["ENGINE"]:
        require("postgres", "psycopg")
    vendor: str = connections[using].vendor
    if vendor not in VENDORS:
        raise ConfigurationError(f"the store works on PostgreSQL and SQLite, not on {vendor} (database {using!r})")
    return vendor
