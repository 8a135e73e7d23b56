"""The writes as SQL: what the ORM cannot say in one statement.

Table and column names are the models' own. `Statements` is the portable form, as SQLite takes it, in which a call is
a short transaction; `PostgresStatements` says the same in one statement, which is one round trip and one snapshot.
A statement that finds its session missing writes nothing and gives back nothing, so no error breaks a caller's
transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper

from obsku_checkpoint import validation
from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.models import Checkpoint, Message, Session
from obsku_checkpoint.store.prepared import prepared_cursor
from obsku_checkpoint.store.rows import Row
from obsku_checkpoint.store.selects import columns

#: how old a session's ``updated_at`` grows before a checkpoint advances it
TOUCH_AFTER_MS = 1000

SESSIONS, MESSAGES, CHECKPOINTS = (model._meta.db_table for model in (Session, Message, Checkpoint))
SESSION_COLUMNS, CHECKPOINT_COLUMNS = columns(Session), columns(Checkpoint)
#: the database numbers messages
MESSAGE_COLUMNS = columns(Message)[1:]
MESSAGE_TYPES = ["text", "text", "text", "text", "text", "integer", "integer", "bigint"]


def listed(names: Sequence[str], table: str = "") -> str:
    return ", ".join(f"{table}.{name}" if table else name for name in names)


def placeholders(count: int) -> str:
    return ", ".join(["%s"] * count)


INSERT_SESSION = (
    f"INSERT INTO {SESSIONS} ({listed(SESSION_COLUMNS)}) VALUES ({placeholders(len(SESSION_COLUMNS))})"
    " ON CONFLICT DO NOTHING RETURNING id"
)
DELETE_SESSION = f"DELETE FROM {SESSIONS} WHERE id = %s RETURNING id"
INSERT_MESSAGE = (
    f"INSERT INTO {MESSAGES} ({listed(MESSAGE_COLUMNS)}) VALUES ({placeholders(len(MESSAGE_COLUMNS))}) RETURNING id"
)
CHECKPOINT_TYPES = {
    **dict.fromkeys(CHECKPOINT_COLUMNS, "text"),
    "version": "integer",
    "step": "integer",
    "created_at": "bigint",
}


def insert_checkpoint(typed: Callable[[str], str]) -> str:
    """A version that is NULL becomes the next one, which the unique constraint makes sure of."""
    next_version = f"(SELECT COALESCE(MAX(version), 0) + 1 FROM {CHECKPOINTS} WHERE session_id = %s AND namespace = %s)"
    values = [
        f"COALESCE({typed(column)}, {next_version})" if column == "version" else typed(column)
        for column in CHECKPOINT_COLUMNS
    ]
    return (
        f"INSERT INTO {CHECKPOINTS} ({listed(CHECKPOINT_COLUMNS)}) SELECT {', '.join(values)}"
        f" FROM {SESSIONS} WHERE id = %s ON CONFLICT DO NOTHING RETURNING version"
    )


def checkpoint_parameters(row: Row) -> list[Any]:
    """Those of `insert_checkpoint`."""
    return [*row[: VERSION + 1], row[SESSION_ID], row[NAMESPACE], *row[VERSION + 1 :], row[SESSION_ID]]


SESSION_ID, NAMESPACE, VERSION = map(CHECKPOINT_COLUMNS.index, ("session_id", "namespace", "version"))
INSERT_CHECKPOINT = insert_checkpoint(lambda column: "%s")
TOUCH_SESSION = f"UPDATE {SESSIONS} SET updated_at = %s WHERE id = %s AND updated_at < %s"
INSERT_MESSAGES = (
    f"INSERT INTO {MESSAGES} ({listed(MESSAGE_COLUMNS)})"
    " SELECT "
    + ", ".join(f"json_extract(value, '$[{index}]')" for index in range(len(MESSAGE_COLUMNS)))
    + " FROM json_each(%s) WHERE true ORDER BY key RETURNING id"
)

FORK_SESSION = (
    f"INSERT INTO {SESSIONS} ({listed(SESSION_COLUMNS)})"
    " SELECT CAST(%s AS text), s.workspace_id,"
    " COALESCE(CAST(%s AS text), 'Fork of ' || COALESCE(NULLIF(s.title, ''), c.id)),"
    " s.directory, CAST(%s AS bigint), CAST(%s AS bigint), s.metadata"
    f" FROM {CHECKPOINTS} c JOIN {SESSIONS} s ON s.id = c.session_id WHERE c.id = CAST(%s AS text)"
    f" RETURNING {listed(SESSION_COLUMNS)}"
)
FORK_MESSAGES = (
    f"INSERT INTO {MESSAGES} ({listed(MESSAGE_COLUMNS)})"
    f" SELECT CAST(%s AS text), {listed(MESSAGE_COLUMNS[1:], 'm')}"
    f" FROM {CHECKPOINTS} c JOIN {MESSAGES} m ON m.session_id = c.session_id AND m.created_at <= c.created_at"
    " WHERE c.id = CAST(%s AS text) ORDER BY m.created_at, m.id"
)
FORK_CHECKPOINT = (
    f"INSERT INTO {CHECKPOINTS} ({listed(CHECKPOINT_COLUMNS)})"
    " SELECT CAST(%s AS text), CAST(%s AS text), namespace, id, version, step, node_id, node_results,"
    " pending_nodes, cycle_state, 'fork', CAST(%s AS bigint)"
    f" FROM {CHECKPOINTS} WHERE id = CAST(%s AS text)"
)
#: Walks the unique index from one namespace to the next, instead of sorting all checkpoints of the session.
NAMESPACES = (
    "WITH RECURSIVE namespaces (namespace) AS ("
    f"SELECT MIN(namespace) FROM {CHECKPOINTS} WHERE session_id = %s"
    f" UNION ALL SELECT (SELECT MIN(namespace) FROM {CHECKPOINTS} WHERE session_id = %s"
    " AND namespace > namespaces.namespace) FROM namespaces WHERE namespaces.namespace IS NOT NULL)"
)
LATEST = (
    f"{NAMESPACES} SELECT {listed(CHECKPOINT_COLUMNS, 'c')} FROM namespaces JOIN {CHECKPOINTS} c"
    " ON c.session_id = %s AND c.namespace = namespaces.namespace"
    f" AND c.version = (SELECT MAX(version) FROM {CHECKPOINTS}"
    " WHERE session_id = %s AND namespace = namespaces.namespace)"
    " ORDER BY c.created_at DESC, c.id DESC LIMIT 1"
)
#: UNION drops what was found before, so a cycle of parents ends
LINEAGE = (
    "WITH RECURSIVE lineage (id, parent_id) AS ("
    f"SELECT id, parent_id FROM {CHECKPOINTS} WHERE id = %s"
    f" UNION SELECT c.id, c.parent_id FROM {CHECKPOINTS} c JOIN lineage ON c.id = lineage.parent_id)"
    f" SELECT {listed(CHECKPOINT_COLUMNS, 'c')} FROM {CHECKPOINTS} c JOIN lineage ON c.id = lineage.id"
)


class Statements:
    """Portable SQL. Every row is a sequence in the order of the table's columns."""

    def __init__(self, using: str) -> None:
        self.using = using

    def cursor(self) -> CursorWrapper:
        return connections[self.using].cursor()

    def rows(self, sql: str, parameters: Sequence[Any]) -> Sequence[Row]:
        with self.cursor() as cursor:
            cursor.execute(sql, parameters)
            rows: Sequence[Row] = cursor.fetchall()
            return rows

    def insert_session(self, row: Row) -> bool:
        """False where the id exists."""
        return bool(self.rows(INSERT_SESSION, row))

    def update_session(self, session_id: str, changes: Mapping[str, Any], now: int) -> Row | None:
        """The session's row after the change, None where there is none. Its time never goes back."""
        assignments = "".join(f", {column} = %s" for column in changes)
        sql = (
            f"UPDATE {SESSIONS} SET updated_at = CASE WHEN updated_at < %s THEN %s ELSE updated_at END{assignments}"
            f" WHERE id = %s RETURNING {listed(SESSION_COLUMNS)}"
        )
        return next(iter(self.rows(sql, [now, now, *changes.values(), session_id])), None)

    def delete_session(self, session_id: str) -> bool:
        return bool(self.rows(DELETE_SESSION, [session_id]))

    def insert_messages(self, session_id: str, rows: Sequence[Row], now: int) -> list[int] | None:
        """The ids of the new messages in the order of ``rows``, None where the session does not exist."""
        with transaction.atomic(using=self.using):
            if self.update_session(session_id, {}, now) is None:
                return None
            if len(rows) == 1:
                return [self.rows(INSERT_MESSAGE, rows[0])[0][0]]
            return sorted(id for (id,) in self.rows(INSERT_MESSAGES, [json.dumps(rows)]))

    def insert_checkpoint(self, row: Row, now: int) -> int | None:
        """The version that was saved; None where the id or the version exists, or the session does not.

        A version of None in ``row`` takes the next one.
        """
        with transaction.atomic(using=self.using):
            saved = self.rows(INSERT_CHECKPOINT, checkpoint_parameters(row))
            if saved:
                validation.integer("version", saved[0][0])
                with self.cursor() as cursor:
                    cursor.execute(TOUCH_SESSION, [now, row[SESSION_ID], now - TOUCH_AFTER_MS])
        return saved[0][0] if saved else None

    def wait_for_version(self, session_id: str, namespace: str) -> None:
        """Queue for the next version; SQLite's only writer has no need to."""

    def fork(
        self, checkpoint_id: str, *, session_id: str, new_checkpoint_id: str, title: str | None, now: int
    ) -> Row | None:
        """Copy session, messages and checkpoint; the new session, None where the checkpoint does not exist."""
        with transaction.atomic(using=self.using):
            session = self.rows(FORK_SESSION, [session_id, title, now, now, checkpoint_id])
            if not session:
                return None
            with self.cursor() as cursor:
                cursor.execute(FORK_MESSAGES, [session_id, checkpoint_id])
                cursor.execute(FORK_CHECKPOINT, [new_checkpoint_id, session_id, now, checkpoint_id])
        return session[0]

    def latest(self, session_id: str) -> Sequence[Row]:
        """The newest of the highest versions of all namespaces; no row where the session has none."""
        return self.rows(LATEST, [session_id] * 4)

    def lineage(self, checkpoint_id: str) -> Sequence[Row]:
        """The checkpoint and all it descends from, in no order."""
        return self.rows(LINEAGE, [checkpoint_id])


def add_messages(source: str) -> str:
    return (
        f"WITH touched AS (UPDATE {SESSIONS} SET updated_at = GREATEST(updated_at, %s::bigint)"
        " WHERE id = %s RETURNING id)"
        f" INSERT INTO {MESSAGES} ({listed(MESSAGE_COLUMNS)}) {source} RETURNING id"
    )


ADD_MESSAGE = add_messages(f"SELECT id, {', '.join(f'%s::{kind}' for kind in MESSAGE_TYPES[1:])} FROM touched")
ADD_MESSAGES = add_messages(
    f"SELECT id, {listed(MESSAGE_COLUMNS[1:], 'm')}"
    f" FROM touched, unnest({', '.join(f'%s::{kind}[]' for kind in MESSAGE_TYPES[1:])})"
    f" WITH ORDINALITY AS m ({listed(MESSAGE_COLUMNS[1:])}, position) ORDER BY position"
)
SAVE_CHECKPOINT = (
    f"WITH saved AS ({insert_checkpoint(lambda column: f'%s::{CHECKPOINT_TYPES[column]}')}, session_id),"
    # Another transaction that holds the session's row has touched it already: nobody waits for that.
    f" touched AS (UPDATE {SESSIONS} SET updated_at = %s::bigint"
    f" WHERE id = (SELECT s.id FROM {SESSIONS} s JOIN saved ON s.id = saved.session_id"
    " WHERE s.updated_at < %s::bigint FOR NO KEY UPDATE OF s SKIP LOCKED))"
    " SELECT version FROM saved"
)
FORK = (
    f"WITH session AS ({FORK_SESSION}), transcript AS ({FORK_MESSAGES}), checkpoint AS ({FORK_CHECKPOINT})"
    " SELECT * FROM session"
)


_QUOTED = str.maketrans({'"': r"\"", "\\": r"\\"})


def array(values: Iterable[Any]) -> str:
    """An array's text form, NULL for None; quicker to make than by a driver that looks at each value's type."""
    texts = ("NULL" if value is None else '"' + str(value).translate(_QUOTED) + '"' for value in values)
    return "{" + ",".join(texts) + "}"


#: As `LATEST`; a plan that does not know the session sorts nothing either.
LATEST_OF_EACH = (
    f"{NAMESPACES} SELECT {listed(CHECKPOINT_COLUMNS, 'c')} FROM namespaces, LATERAL (SELECT * FROM {CHECKPOINTS}"
    " WHERE session_id = %s AND namespace = namespaces.namespace ORDER BY version DESC LIMIT 1) c"
    " ORDER BY c.created_at DESC, c.id DESC LIMIT 1"
)


class PostgresStatements(Statements):
    """One statement a call. The types of parameters are spelt out, since the server binds them."""

    def cursor(self) -> CursorWrapper:
        return prepared_cursor(connections[self.using])

    def insert_messages(self, session_id: str, rows: Sequence[Row], now: int) -> list[int] | None:
        if len(rows) == 1:
            sql, values = ADD_MESSAGE, list(rows[0][1:])
        else:
            sql, values = ADD_MESSAGES, [array(column) for column in list(zip(*rows, strict=True))[1:]]
        return sorted(id for (id,) in self.rows(sql, [now, session_id, *values])) or None

    def insert_checkpoint(self, row: Row, now: int) -> int | None:
        saved = self.rows(SAVE_CHECKPOINT, [*checkpoint_parameters(row), now, now - TOUCH_AFTER_MS])
        return saved[0][0] if saved else None

    def wait_for_version(self, session_id: str, namespace: str) -> None:
        """Hold the queue of (session, namespace) until the end of the transaction."""
        sql = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
        self.rows(sql, [json.dumps([CHECKPOINTS, session_id, namespace])])

    def latest(self, session_id: str) -> Sequence[Row]:
        return self.rows(LATEST_OF_EACH, [session_id] * 3)

    def fork(
        self, checkpoint_id: str, *, session_id: str, new_checkpoint_id: str, title: str | None, now: int
    ) -> Row | None:
        session = [session_id, title, now, now, checkpoint_id]
        checkpoint = [new_checkpoint_id, session_id, now, checkpoint_id]
        return next(iter(self.rows(FORK, [*session, session_id, checkpoint_id, *checkpoint])), None)


DIALECTS: Mapping[str, type[Statements]] = {"postgresql": PostgresStatements, "sqlite": Statements}


def statements_for(using: str) -> Statements:
    vendor = connections[using].vendor
    if vendor not in DIALECTS:
        raise ConfigurationError(f"the store works on PostgreSQL and SQLite, not on {vendor} (database {using!r})")
    return DIALECTS[vendor](using)
