"""What a database's error means: which of our errors it is, and whether the call may be made again.

The errors are Django's or the driver's own; both have PEP 249's class names, and PostgreSQL's have a SQLSTATE
(PostgreSQL's documentation, appendix A).
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error

from obsku_checkpoint.errors import (
    CheckpointStoreError,
    ConfigurationError,
    InvalidRecordError,
    SessionInUseError,
    StoreUnavailableError,
)

#: serialization failure and deadlock: the call was rolled back, and succeeds when it is made again
REPEATED = frozenset({"40001", "40P01"})
#: a prepared statement that the connection has not, or has with another text (a pooler gave us another connection),
#: and one whose tables have changed since
STATEMENT_LOST = frozenset({"26000", "42P05", "08P01", "0A000"})

#: PgBouncer's words, with 08P01, where it had no connection of the server's for a statement, which it then has not sent
NOT_SENT = ("server login has been failing", "server login failed", "query_wait_timeout")

FOREIGN_KEY_VIOLATION = "23503"
UNIQUE_VIOLATION = "23505"
SEQUENCE_EXHAUSTED = "2200H"
ABORTED_TRANSACTION = "25P02"
READ_ONLY = "25006"
UNDEFINED_TABLE = "42P01"
UNDEFINED_COLUMN = "42703"
SHUTDOWN = ("57P01", "57P02", "57P03")
#: of classes: data, integrity, program limits
REFUSED_RECORD = ("22", "23", "54")
#: connecting is refused for a reason that waiting does not change: authorization, database, schema; rights; read-only
PERMANENT = ("28", "3D", "3F", "42", "0A", "0L", "0P", READ_ONLY)
#: a refusal to connect has no SQLSTATE, only the server's text
PERMANENT_TEXTS = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied",
    "is not permitted to log in",
    "no password supplied",
    "invalid connection option",
    "root certificate",
    "server does not support SSL",
)
SQLITE_PERMANENT = frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_ERROR,
    }
)

#: what to do where ids of messages are given out again, as after a restore of the rows alone
SEQUENCE_BEHIND = (
    "the sequence of messages.id is behind the table's rows, or at its end: run"
    " SELECT setval(pg_get_serial_sequence('messages', 'id'), (SELECT max(id) FROM messages))"
)


def pause(attempts: int) -> float:
    """Seconds before a call is made again after so many attempts: by chance, so that who collided does not again."""
    return random.uniform(0, min(0.001 * 2**attempts, 0.1))


def driver_error(error: BaseException) -> BaseException:
    """The driver's own error: Django's have it as their cause."""
    return error.__cause__ if type(error).__module__.startswith("django.") and error.__cause__ else error


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of Django's or the driver's error, "" where there is none."""
    return getattr(driver_error(error), "sqlstate", None) or ""


def lost_a_statement(error: BaseException) -> bool:
    """Whether the connection has not the prepared statement that was meant, so that nothing was done.

    A pooler says 08P01 as well where it closes the connection, and the statement may have been carried out.
    """
    severity = getattr(getattr(driver_error(error), "diag", None), "severity", None)
    return sqlstate(error) in STATEMENT_LOST and severity != "FATAL"


def connection_was_lost(error: BaseException) -> bool:
    """Whether the answer to a statement is not known: the connection broke, or the server ended it while it worked."""
    cause, state = driver_error(error), sqlstate(error)
    if isinstance(cause, sqlite3.Error):
        return _sqlite_code(cause) == sqlite3.SQLITE_IOERR
    if state == "08P01" and str(error).startswith(NOT_SENT):
        return False
    return state in SHUTDOWN or state.startswith("08") or not state


def translated(error: BaseException, using: str, *, committing: bool) -> CheckpointStoreError:
    """Our error for a database's. ``committing``: a write was sent that commits by itself, or a commit."""
    cause, state, kind = driver_error(error), sqlstate(error), _kind(error)
    message = str(error).strip()
    diagnosis = getattr(cause, "diag", None)
    if state == FOREIGN_KEY_VIOLATION or "FOREIGN KEY constraint failed" in message:
        return SessionInUseError("", getattr(diagnosis, "constraint_name", None) or "a foreign key")
    if state in (UNDEFINED_TABLE, UNDEFINED_COLUMN) or message.startswith(("no such table", "no such column")):
        return ConfigurationError(
            f"the tables are missing or differ in {using!r}: run `manage.py migrate --database {using}`"
            f" (PostgresCheckpointStore: call `setup()`): {message}"
        )
    if (
        state == UNIQUE_VIOLATION and getattr(diagnosis, "table_name", "") == "messages"
    ) or state == SEQUENCE_EXHAUSTED:
        return ConfigurationError(SEQUENCE_BEHIND)
    if state.startswith(REFUSED_RECORD) or (not state and kind in ("DataError", "IntegrityError")):
        return InvalidRecordError("record", f"is refused by the database ({type(cause).__name__})")
    if state == ABORTED_TRANSACTION:
        return ConfigurationError(
            "the caller's transaction is aborted, since an earlier statement in it failed: leave its atomic block, or"
            " put that statement into an atomic block of its own"
        )
    if _will_not_heal(cause, state, kind, message):
        return ConfigurationError(f"the database {using!r} cannot serve the store: {message}")
    return StoreUnavailableError(
        f"the database {using!r} is unavailable: {message}", maybe_written=committing and connection_was_lost(error)
    )


@contextmanager
def in_our_words(using: str) -> Iterator[None]:
    """Errors of a database that the block works on are raised as ours."""
    try:
        yield
    except Error as error:
        raise translated(error, using, committing=True) from error


def _will_not_heal(cause: BaseException, state: str, kind: str, message: str) -> bool:
    if isinstance(cause, sqlite3.Error):
        return kind == "ProgrammingError" or _sqlite_code(cause) in SQLITE_PERMANENT
    if state:
        return state.startswith(PERMANENT) and state not in STATEMENT_LOST
    return kind == "ProgrammingError" or any(text in message for text in PERMANENT_TEXTS)


def _sqlite_code(error: sqlite3.Error) -> int:
    """The primary result code; the higher bits tell more of it."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _kind(error: BaseException) -> str:
    """The name of PEP 249's class that the error is of."""
    names = [base.__name__ for base in type(error).__mro__]
    return next((name for name in names if name in _KINDS), "")


_KINDS = frozenset(
    {"InterfaceError", "DataError", "OperationalError", "IntegrityError", "InternalError", "ProgrammingError"}
)
