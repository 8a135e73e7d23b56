"""How a call reaches PostgreSQL: over Django's connection with statements of our own making, and natively async."""

from __future__ import annotations

import asyncio
import functools
import sys
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from django.db import connections
from django.db.backends.postgresql.base import Cursor, DatabaseWrapper, ServerBindingCursor
from django.db.backends.signals import connection_created
from django.db.utils import load_backend
from psycopg import sql

from obsku_checkpoint import conf
from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.errors import CheckpointStoreError, StoreUnavailableError
from obsku_checkpoint.store import django_thread, failures, kept_cursors, loop_pools, pools, prepared_statements
from obsku_checkpoint.store.calls import (
    ATTEMPTS,
    Atomic,
    BinaryRead,
    Call,
    Calls,
    CountedWrite,
    OverDjango,
    Write,
    cause_of,
    log_unavailable,
)
from obsku_checkpoint.store.kept_cursors import KeptCursors
from obsku_checkpoint.store.loop_connections import LoopConnection

R = TypeVar("R")

#: seconds that a call waits for a connection of its loop
TIMEOUT = 30.0

#: what a backend does for each connection or statement; one that overrides these does something that we would leave out
METHODS = (
    "_cursor", "cursor", "create_cursor", "make_cursor", "_prepare_cursor", "connect", "get_new_connection",
    "get_connection_params", "init_connection_state", "_configure_connection",
)  # fmt: skip
#: backends that override them for nothing that concerns us: PostGIS registers types, ours has a pool
HARMLESS = ("django.contrib.gis.db.backends.postgis.base", "obsku_checkpoint.pooled_postgresql.base")


_is_djangos_own: dict[type[Any], bool] = {}


def is_djangos_own(backend: type[Any]) -> bool:
    """Whether the backend does what Django's does. By identity: tools patch methods of Django's class itself."""
    if backend not in _is_djangos_own:
        known = [DatabaseWrapper, *(sys.modules[name].DatabaseWrapper for name in HARMLESS if name in sys.modules)]
        _is_djangos_own[backend] = all(
            any(getattr(backend, name, None) is getattr(base, name, None) for base in known) for name in METHODS
        )
    return _is_djangos_own[backend]


class PostgresCalls(Calls):
    def __init__(
        self,
        using: str,
        sender: type,
        *,
        gives_back: bool,
        async_size: int | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """``async_size`` connections at most for each event loop, by default the setting ``ASYNC_MAX_CONNECTIONS``."""
        super().__init__(using, sender, gives_back=gives_back)
        self._async_size = async_size
        self._timeout = timeout

    # -- sync

    def _cursor(self, connection: Any, statement: str) -> Any:
        """psycopg's own cursor, so that the server binds and prepares, under Django's wrapper; with all that Django's
        `_cursor` does. Django's own where somebody watches: the log of queries, a tool that replaces ``cursor`` on the
        connection or the driver's ``cursor_factory``, a backend that is not Django's.
        """
        if not is_djangos_own(type(connection)) or connection.queries_logged or _is_replaced(connection):
            return connection.cursor()
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        driver = connection.connection
        if driver.cursor_factory not in (Cursor, ServerBindingCursor):
            return connection.cursor()
        connection.validate_thread_sharing()
        if not prepared_statements.is_ready(driver):
            with connection.wrap_database_errors:
                self._name_statements(connection, driver)
        if self._gives_back or connection.execute_wrappers:  # which may make another call meanwhile
            return connection.make_cursor(psycopg.Cursor(driver))
        kept = vars(connection).get("_obsku_cursors")
        if kept is None or kept.driver is not driver:
            kept = vars(connection)["_obsku_cursors"] = KeptCursors(driver, kept_cursors.Cursor)
        return connection.make_cursor(kept.of(statement))

    def _give_up(self, cursor: Any) -> None:
        """It may be one that is kept, and it holds nothing that is in the way of others."""

    def _name_statements(self, connection: Any, driver: psycopg.Connection[Any]) -> None:
        decided, threshold = prepared_statements.decided_threshold(connection.settings_dict)
        if not decided:
            threshold = prepared_statements.THRESHOLD
            if prepared_statements.asks_for_pooler(self.using):
                ((pid,),) = driver.execute(prepared_statements.BACKEND_PID).fetchall()
                prepared_statements.told_backend_pid(self.using, driver, pid)
        prepared_statements.name_by_text(self.using, driver, threshold)

    def _in_binary(self, cursor: Any) -> None:
        if not isinstance(cursor.cursor, psycopg.ClientCursor):  # Django's default, which has the text format only
            cursor.cursor.format = psycopg.pq.Format.BINARY

    def _before(self, connection: Any) -> None:
        """Ask a connection that was idle while another of this process broke, rather than fail with it."""
        known = pools.breakages(self.using)
        seen = vars(connection).setdefault("_obsku_breakages", known)
        if seen != known:
            vars(connection)["_obsku_breakages"] = known
            if connection.connection is not None and not connection.in_atomic_block and not connection.is_usable():
                connection.close()

    def _may_repeat(self, connection: Any, error: BaseException, attempts: int) -> bool:
        driver = connection.connection
        if failures.lost_a_statement(error) and driver is not None:
            return prepared_statements.give_up(self.using, driver)
        return super()._may_repeat(connection, error, attempts)

    def _drop_broken(self, connection: Any, state: str) -> None:
        was_open = connection.connection is not None
        if state == failures.READ_ONLY:
            connection.close()  # a URL of several hosts may lead to the primary now
        super()._drop_broken(connection, state)
        if was_open and connection.connection is None:
            vars(connection)["_obsku_breakages"] = pools.count_breakage(self.using)

    def _end_what_is_under_way(self, connection: Any) -> None:
        driver = connection.connection
        if driver.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            pools.finish(driver)  # the answer to the statement is still to come: nobody could use it
            connection.close()
        else:
            connection.set_autocommit(connection.settings_dict["AUTOCOMMIT"])

    # -- async

    def over_django(self) -> bool:
        """Whether an async call is made over Django's connection: it has to be, or a thread waits with one."""
        return django_thread.a_sync_thread_waits() or self._needs_django()

    def _needs_django(self) -> bool:
        """Whether a native connection would lack what Django's has, or the loop cannot serve psycopg."""
        return (
            not is_djangos_own(self._backend)
            or conf.given().get("ASYNC") == "django"
            or any(not _is_djangos(receiver) for receiver in connection_created.receivers)
            or type(asyncio.get_running_loop()).__name__ == "ProactorEventLoop"  # psycopg refuses it
        )

    @functools.cached_property
    def _backend(self) -> type[Any]:
        backend: type[Any] = load_backend(connections.settings[self.using]["ENGINE"]).DatabaseWrapper
        return backend

    async def run_async(self, begin: Callable[[], Steps[R]]) -> R:
        if self.over_django():
            try:
                return await super().run_async(begin)
            except django_thread.OutlivedError:
                if self._needs_django():
                    raise
        pool = loop_pools.of_running_loop(self.using) or self._new_pool()
        attempts = 0
        while True:
            if attempts:
                await asyncio.sleep(failures.pause(attempts))
            steps = begin()
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # of a generator whose end typeshed does not know
            if type(step) is OverDjango:
                return await super().run_async(begin)
            call = Call(depth=0)
            attempts += 1
            try:
                connection = await pool.take()
                try:
                    result = await self._carried_out_async(connection, steps, call, step)
                except CheckpointStoreError as error:
                    if self._may_repeat_async(connection, cause_of(error), attempts):
                        continue
                    raise
                finally:
                    pool.give(connection)
            except psycopg.Error as error:  # of connecting
                failure = failures.translated(error, self.using, committing=False)
                if isinstance(failure, StoreUnavailableError):
                    log_unavailable(self.using, error)
                raise failure from error
            except StoreUnavailableError as error:
                log_unavailable(self.using, cause_of(error))
                raise
            for after in call.signals:
                await self._send_async(after)
            return result

    async def _carried_out_async(self, connection: LoopConnection, steps: Steps[R], call: Call, step: Any = None) -> R:
        try:
            if step is None:
                step = next(steps)
            while True:
                try:
                    answer = await self._answer_async(connection, step, call)
                except psycopg.Error as error:
                    failure = failures.translated(error, self.using, committing=call.committing)
                    failure.__cause__ = error
                    step = steps.throw(failure)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # as above

    async def _answer_async(self, connection: LoopConnection, step: Any, call: Call) -> Any:
        kind = type(step)
        if kind is tuple or kind is Write or kind is BinaryRead or kind is CountedWrite:
            if kind is Write or kind is CountedWrite:
                call.writes()
            cursor = connection.kept.of(step[0])
            if kind is BinaryRead:
                cursor.format = psycopg.pq.Format.BINARY
            await cursor.execute(*step)
            if kind is CountedWrite:
                return cursor.rowcount
            rows = await cursor.fetchall()
            kept_cursors.let_go(cursor)
            return rows
        if kind is Atomic:
            call.depth += 1
            try:
                async with connection.transaction():
                    result = await self._carried_out_async(connection, step.begin(), call)
                    call.commits()
                return result
            finally:
                call.depth -= 1
        call.signals.append(step)
        return None

    def _may_repeat_async(self, connection: LoopConnection, error: BaseException, attempts: int) -> bool:
        state = failures.sqlstate(error)
        if state == failures.READ_ONLY:
            connection.pgconn.finish()  # a URL of several hosts may lead to the primary now
        if failures.lost_a_statement(error):
            return prepared_statements.give_up(self.using, connection)
        return state in failures.REPEATED and attempts < ATTEMPTS

    # -- the connections of a loop

    def _new_pool(self) -> loop_pools.LoopPool:
        django_thread.refuse_inside_atomic(self.using)
        size = self._async_size or conf.current().ASYNC_MAX_CONNECTIONS
        return loop_pools.LoopPool(self.using, size=size, timeout=self._timeout, connect=self._connector())

    def _connector(self) -> Callable[[], Any]:
        """What opens an async connection as Django's backend would open its own."""
        using = self.using
        backend = connections.create_connection(using)
        parameters = backend.get_connection_params()
        for name in ("cursor_factory", "context", "prepare_threshold"):
            parameters.pop(name, None)
        options = backend.settings_dict["OPTIONS"]
        decided, threshold = prepared_statements.decided_threshold(backend.settings_dict)
        if not decided:
            threshold = prepared_statements.THRESHOLD

        async def connect() -> LoopConnection:
            connection = await LoopConnection.connect(**parameters, autocommit=True)
            try:
                if not decided and prepared_statements.asks_for_pooler(using):
                    ((pid,),) = await (await connection.execute(prepared_statements.BACKEND_PID)).fetchall()
                    prepared_statements.told_backend_pid(using, connection, pid)
                prepared_statements.name_by_text(using, connection, threshold)
                if "isolation_level" in options:
                    await connection.set_isolation_level(psycopg.IsolationLevel(options["isolation_level"]))
                if role := options.get("assume_role"):
                    await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            except BaseException:
                pools.finish(connection)
                raise
            return connection

        return connect

    async def close_async(self) -> None:
        if pool := loop_pools.of_running_loop(self.using):
            pool.close_free()


def _is_replaced(connection: Any) -> bool:
    """Whether ``cursor`` is somebody else's on this connection. Django's test cases put its own there when they end."""
    on_it = vars(connection).get("cursor")
    return on_it is not None and getattr(on_it, "__func__", None) is not type(connection).cursor


def _is_djangos(receiver: Any) -> bool:
    """Whether a receiver of `connection_created` is one of Django's own apps', or one that is gone."""
    function = receiver[1]() if isinstance(receiver[1], weakref.ReferenceType) else receiver[1]
    return function is None or function.__module__.startswith("django.")
