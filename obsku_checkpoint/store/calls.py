"""How a call reaches the database.

A method of the store is a generator (`obsku_checkpoint.async_twins`) of these steps:

* ``(sql, parameters)`` and `BinaryRead` read, and `Write` writes: a statement that returns rows goes out, and they come
  back; of a `CountedWrite`, which returns none, the number of rows that it has written
* `Atomic`: steps that are one transaction; what they return comes back
* `OverDjango`: work for the ORM itself, which is called in Django's thread, as a write; what it returns comes back
* `AfterCommit`: a signal, sent when all is written; `WhenWritten`: a function, called then

An error of the database is thrown into the generator as one of ours. There are three ways to carry the steps out:

* `Calls.run`: over Django's connection of this thread. Inside the caller's ``atomic()`` the call is a savepoint, so
  that its failure leaves the transaction usable; outside, one statement is its own transaction.
* natively, over psycopg's async connections (`postgres_calls.py`)
* for an async call that must see what the caller's ORM sees (`Calls.over_django`): the first way, in Django's thread
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, InterfaceError, connections, transaction
from django.dispatch import Signal

from obsku_checkpoint import signals
from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.errors import CheckpointStoreError, ConfigurationError, StoreUnavailableError
from obsku_checkpoint.store import django_thread, failures

logger = logging.getLogger(__name__)

R = TypeVar("R")
Rows = Sequence[Sequence[Any]]
Parameters = Sequence[Any] | Mapping[str, Any]

#: how often a call is made at most that the server rolls back for the sake of another one
ATTEMPTS = 11


class Write(NamedTuple):
    sql: str
    parameters: Parameters


class CountedWrite(NamedTuple):
    sql: str
    parameters: Parameters


class BinaryRead(NamedTuple):
    """A read whose values come in the binary format, where the database has one: quicker where they are bytes."""

    sql: str
    parameters: Parameters


class Atomic(NamedTuple, Generic[R]):
    begin: Callable[[], Steps[R]]


class OverDjango(NamedTuple, Generic[R]):
    work: Callable[[], R]


class AfterCommit(NamedTuple):
    signal: Signal
    arguments: dict[str, Any]


class WhenWritten(NamedTuple):
    """What a process remembers of its writes. The function neither waits nor fails."""

    remember: Callable[[], None]


def atomic(begin: Callable[[], Steps[R]]) -> Steps[R]:
    """``yield from atomic(…)``: the steps as one transaction."""
    result: R = yield Atomic(begin)
    return result


class Call:
    """What is to be known of a call while its steps are carried out."""

    __slots__ = ("committing", "depth", "signals", "wrote")

    def __init__(self, *, depth: int) -> None:
        #: transactions around the step, the caller's included
        self.depth = depth
        #: whether something was written in the transaction
        self.wrote = False
        #: whether a write was sent that nothing takes back
        self.committing = False
        self.signals: list[AfterCommit | WhenWritten] = []

    def writes(self) -> None:
        self.wrote = True
        if not self.depth:
            self.committing = True

    def commits(self) -> None:
        """The steps of an `Atomic` are done, and its transaction ends."""
        if self.depth == 1 and self.wrote:
            self.committing = True


class Calls:
    """The calls of one store, over Django's connection: all there is on SQLite."""

    def __init__(self, using: str, sender: type, *, gives_back: bool) -> None:
        """``sender`` is the signals'. ``gives_back``: a connection is given back after each call, not kept."""
        self.using = using
        self._sender = sender
        self._gives_back = gives_back

    # -- sync

    def run(self, begin: Callable[[], Steps[R]]) -> R:
        connection = connections[self.using]
        attempts = 0
        while True:
            if attempts:
                time.sleep(failures.pause(attempts))
            steps = begin()
            try:
                step = next(steps)  # what validation refuses reaches no database
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # of a generator whose end typeshed does not know
            within = connection.in_atomic_block
            call = Call(depth=int(within))
            attempts += 1
            try:
                self._before(connection)
                if within:
                    with transaction.atomic(using=self.using):
                        result = self._carried_out(connection, steps, call, step)
                else:
                    result = self._carried_out(connection, steps, call, step)
            except transaction.TransactionManagementError:
                raise  # the caller's transaction was broken before the call: Django's own words fit best
            except SynchronousOnlyOperation as error:
                raise _a_loop_runs(begin.func.__name__) from error  # type: ignore[attr-defined]  # of a partial
            except (DatabaseError, InterfaceError, CheckpointStoreError) as error:
                if self._may_repeat(connection, cause_of(error), attempts):
                    continue
                failure = self._ending(connection, error, call)
                raise failure from failure.__cause__
            except BaseException:
                if not within:
                    self._interrupted(connection)
                raise
            finally:
                if self._gives_back and not within:
                    connection.close_if_unusable_or_obsolete()
            for after in call.signals:
                self._send(connection, after)
            return result

    def _carried_out(self, connection: Any, steps: Steps[R], call: Call, step: Any = None) -> R:
        """The result of the steps, of which ``step`` is the first, if it was taken already."""
        try:
            if step is None:
                step = next(steps)
            while True:
                try:
                    answer = self._answer(connection, step, call)
                except (DatabaseError, InterfaceError) as error:
                    if isinstance(error, transaction.TransactionManagementError):
                        raise
                    failure = failures.translated(error, self.using, committing=call.committing)
                    failure.__cause__ = error
                    step = steps.throw(failure)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # as above

    def _answer(self, connection: Any, step: Any, call: Call) -> Any:
        kind = type(step)
        if kind is tuple or kind is Write or kind is BinaryRead or kind is CountedWrite:
            cursor = self._cursor(connection, step[0])
            if kind is Write or kind is CountedWrite:
                call.writes()
            elif kind is BinaryRead:
                self._in_binary(cursor)
            try:
                cursor.execute(*step)
                if kind is CountedWrite:
                    return cursor.rowcount
                return cursor.fetchall()  # after which it holds nothing that is to be closed
            except BaseException:
                self._give_up(cursor)
                raise
        if kind is Atomic:
            call.depth += 1
            try:
                with transaction.atomic(using=self.using):
                    result = self._carried_out(connection, step.begin(), call)
                    call.commits()
                return result
            finally:
                call.depth -= 1
        if kind is OverDjango:
            call.writes()
            return step.work()
        call.signals.append(step)
        return None

    def _cursor(self, connection: Any, statement: str) -> Any:
        return connection.cursor()

    def _give_up(self, cursor: Any) -> None:
        """An exception broke into a statement. SQLite opens no savepoint while a statement has rows to give."""
        cursor.close()

    def _in_binary(self, cursor: Any) -> None:
        """Let the database answer in its binary format."""

    def _before(self, connection: Any) -> None:
        """Called before the first step."""

    def _may_repeat(self, connection: Any, error: BaseException, attempts: int) -> bool:
        """Whether a call that failed is made again. It was rolled back, so nothing is lost or written twice."""
        return failures.sqlstate(error) in failures.REPEATED and attempts < ATTEMPTS and not connection.in_atomic_block

    def _ending(self, connection: Any, error: Exception, call: Call) -> CheckpointStoreError:
        """Our error for one that ends the call. What is broken of the connection is dropped before the next call."""
        if isinstance(error, CheckpointStoreError):
            failure = error
        else:
            failure = failures.translated(error, self.using, committing=call.committing)
            failure.__cause__ = error
        cause = cause_of(failure)
        if isinstance(cause, DatabaseError | InterfaceError):
            if not connection.in_atomic_block:
                self._drop_broken(connection, failures.sqlstate(cause))
            if isinstance(failure, StoreUnavailableError):
                log_unavailable(self.using, cause)
        return failure

    def _drop_broken(self, connection: Any, state: str) -> None:
        connection.close_if_unusable_or_obsolete()
        if pool := getattr(connection, "pool", None):
            pool.check()

    def _interrupted(self, connection: Any) -> None:
        """An exception of the caller's broke into the call, perhaps into Django's `atomic`: a time limit, Ctrl-C.

        A transaction that is left open would take in all that is written next, and lose it.
        """
        if connection.connection is None:
            return
        if connection.in_atomic_block:
            connection.in_atomic_block = False
            for kept in (connection.atomic_blocks, connection.savepoint_ids, connection.run_on_commit):
                kept.clear()
        self._end_what_is_under_way(connection)

    def _end_what_is_under_way(self, connection: Any) -> None:
        connection.connection.rollback()
        connection.set_autocommit(connection.settings_dict["AUTOCOMMIT"])

    @contextmanager
    def in_our_words(self, method: str) -> Iterator[None]:
        """Errors of what a method does without steps are raised as ours."""
        connection, call = connections[self.using], Call(depth=0)
        try:
            yield
        except SynchronousOnlyOperation as error:
            raise _a_loop_runs(method) from error
        except (DatabaseError, InterfaceError) as error:
            failure = self._ending(connection, error, call)
            raise failure from failure.__cause__
        finally:
            if self._gives_back and not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()

    def _send(self, connection: Any, after: AfterCommit | WhenWritten) -> None:
        def send() -> None:
            if isinstance(after, WhenWritten):
                after.remember()
            else:
                signals.log_failures(after.signal.send_robust(self._sender, using=self.using, **after.arguments))

        if connection.in_atomic_block:
            transaction.on_commit(send, using=self.using)
        else:
            send()

    # -- async

    async def run_async(self, begin: Callable[[], Steps[R]]) -> R:
        return await self.in_djangos_thread(lambda: self.run(begin))

    async def in_djangos_thread(self, call: Callable[[], R]) -> R:
        """Call it in Django's thread, whose connection stays open only for whoever waits there."""
        if django_thread.a_sync_thread_waits() or django_thread.thread_ends_with_its_request():
            work = call
        else:
            django_thread.refuse_inside_atomic(self.using)

            def work() -> R:
                try:
                    return call()
                finally:
                    self.close_if_obsolete()

        return await django_thread.in_djangos_thread(work)

    async def close_async(self) -> None:
        """Close the running loop's connections."""

    async def _send_async(self, after: AfterCommit | WhenWritten) -> None:
        if isinstance(after, WhenWritten):
            after.remember()
            return
        try:
            answers = await after.signal.asend_robust(self._sender, using=self.using, **after.arguments)
        finally:
            if not django_thread.a_sync_thread_waits():  # a receiver's connection would stay open for good
                await sync_to_async(self.close_if_obsolete)()
        signals.log_failures(answers)

    def close_if_obsolete(self) -> None:
        """What Django does at the end of a request."""
        for connection in connections.all(initialized_only=True):
            if connection.alias == self.using:
                connection.close_if_unusable_or_obsolete()


def log_unavailable(using: str, cause: BaseException) -> None:
    logger.warning("The database %r is unavailable: %s", using, type(failures.driver_error(cause)).__name__)


def cause_of(error: BaseException) -> BaseException:
    """The database's error behind ours."""
    return error.__cause__ if isinstance(error, CheckpointStoreError) and error.__cause__ else error


def _a_loop_runs(steps: str) -> ConfigurationError:
    method = steps.lstrip("_")  # steps that a public method only prepares are named after it
    instead = f"write `await store.a{method}(…)` instead of `store.{method}(…)`"
    if method == "get_messages":  # `iter_messages` calls it for each page
        instead += ", and `async for message in store.aiter_messages(…)` instead of `store.iter_messages(…)`"
    return ConfigurationError(f"an event loop runs in this thread: {instead}")
