"""The writes as SQL: what the ORM cannot say in one statement.

Table and column names are the models' own. `Statements` is the portable form, as SQLite takes it, in which a call is
a short transaction; `PostgresStatements` says the same in one statement, which is one round trip and one snapshot.
A statement that finds its session missing writes nothing and gives back nothing, so no error breaks a caller's
transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections, models, transaction

from obsku_checkpoint import validation
from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.models import Checkpoint, Message, Session
from obsku_checkpoint.store.rows import Row

#: how old a session's ``updated_at`` grows before a checkpoint advances it
TOUCH_AFTER_MS = 1000


def columns(model: type[models.Model]) -> list[str]:
    return [str(field.column) for field in model._meta.concrete_fields]


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
NEXT_VERSION = f"(SELECT COALESCE(MAX(version), 0) + 1 FROM {CHECKPOINTS} WHERE session_id = %s AND namespace = %s)"

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
LATEST = (
    "WITH RECURSIVE namespaces (namespace) AS ("
    f"SELECT MIN(namespace) FROM {CHECKPOINTS} WHERE session_id = %s"
    f" UNION ALL SELECT (SELECT MIN(namespace) FROM {CHECKPOINTS} WHERE session_id = %s"
    " AND namespace > namespaces.namespace) FROM namespaces WHERE namespaces.namespace IS NOT NULL)"
    f" SELECT {listed(CHECKPOINT_COLUMNS, 'c')} FROM namespaces JOIN {CHECKPOINTS} c"
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

    def rows(self, sql: str, parameters: Sequence[Any]) -> Sequence[Row]:
        with connections[self.using].cursor() as cursor:
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
        values = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(len(MESSAGE_COLUMNS)))
        sql = (
            f"INSERT INTO {MESSAGES} ({listed(MESSAGE_COLUMNS)})"
            f" SELECT {values} FROM json_each(%s) WHERE true ORDER BY key RETURNING id"
        )
        with transaction.atomic(using=self.using):
            if self.update_session(session_id, {}, now) is None:
                return None
            if len(rows) == 1:
                return [self.rows(INSERT_MESSAGE, rows[0])[0][0]]
            return sorted(id for (id,) in self.rows(sql, [json.dumps(rows)]))

    def insert_checkpoint(self, row: Row, now: int) -> int | None:
        """The version that was saved; None where the id or the version exists, or the session does not.

        A version of None in ``row`` takes the next one.
        """
        touch = f"UPDATE {SESSIONS} SET updated_at = %s WHERE id = %s AND updated_at < %s"
        session_id = row[CHECKPOINT_COLUMNS.index("session_id")]
        with transaction.atomic(using=self.using):
            saved = self.rows(*self._insert_checkpoint(row))
            if saved:
                validation.integer("version", saved[0][0])
                with connections[self.using].cursor() as cursor:
                    cursor.execute(touch, [now, session_id, now - TOUCH_AFTER_MS])
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
            with connections[self.using].cursor() as cursor:
                cursor.execute(FORK_MESSAGES, [session_id, checkpoint_id])
                cursor.execute(FORK_CHECKPOINT, [new_checkpoint_id, session_id, now, checkpoint_id])
        return session[0]

    def latest(self, session_id: str) -> Sequence[Row]:
        """The newest of the highest versions of all namespaces; no row where the session has none."""
        return self.rows(LATEST, [session_id] * 4)

    def lineage(self, checkpoint_id: str) -> Sequence[Row]:
        """The checkpoint and all it descends from, in no order."""
        return self.rows(LINEAGE, [checkpoint_id])

    def _insert_checkpoint(self, row: Row) -> tuple[str, list[Any]]:
        values: list[str] = []
        parameters: list[Any] = []
        given = dict(zip(CHECKPOINT_COLUMNS, row, strict=True))
        for column, value in given.items():
            if column == "version" and value is None:
                values.append(NEXT_VERSION)
                parameters += [given["session_id"], given["namespace"]]
            else:
                values.append(self._typed(column))
                parameters.append(value)
        sql = (
            f"INSERT INTO {CHECKPOINTS} ({listed(CHECKPOINT_COLUMNS)})"
            f" SELECT {', '.join(values)} FROM {SESSIONS} WHERE id = %s"
            " ON CONFLICT DO NOTHING RETURNING version"
        )
        return sql, [*parameters, given["session_id"]]

    def _typed(self, column: str) -> str:
        return "%s"


class PostgresStatements(Statements):
    """One statement a call. The types of parameters are spelt out, for servers that bind them."""

    def insert_messages(self, session_id: str, rows: Sequence[Row], now: int) -> list[int] | None:
        types = MESSAGE_TYPES[1:]
        if len(rows) == 1:
            source = f"SELECT id, {', '.join(f'%s::{kind}' for kind in types)} FROM touched"
            parameters = list(rows[0][1:])
        else:
            arrays = ", ".join(f"%s::{kind}[]" for kind in types)
            source = (
                f"SELECT id, {listed(MESSAGE_COLUMNS[1:], 'm')} FROM touched, unnest({arrays})"
                f" WITH ORDINALITY AS m ({listed(MESSAGE_COLUMNS[1:])}, position) ORDER BY position"
            )
            parameters = [list(column) for column in list(zip(*rows, strict=True))[1:]]
        sql = (
            f"WITH touched AS (UPDATE {SESSIONS} SET updated_at = GREATEST(updated_at, %s::bigint)"
            " WHERE id = %s RETURNING id)"
            f" INSERT INTO {MESSAGES} ({listed(MESSAGE_COLUMNS)}) {source} RETURNING id"
        )
        return sorted(id for (id,) in self.rows(sql, [now, session_id, *parameters])) or None

    def insert_checkpoint(self, row: Row, now: int) -> int | None:
        insert, parameters = self._insert_checkpoint(row)
        sql = (
            # Another transaction that holds the session's row has touched it already: nobody waits for that.
            f"WITH saved AS ({insert}, session_id), touched AS (UPDATE {SESSIONS} SET updated_at = %s::bigint"
            f" WHERE id = (SELECT s.id FROM {SESSIONS} s JOIN saved ON s.id = saved.session_id"
            " WHERE s.updated_at < %s::bigint FOR NO KEY UPDATE OF s SKIP LOCKED))"
            " SELECT version FROM saved"
        )
        saved = self.rows(sql, [*parameters, now, now - TOUCH_AFTER_MS])
        return saved[0][0] if saved else None

    def wait_for_version(self, session_id: str, namespace: str) -> None:
        """Hold the queue of (session, namespace) until the end of the transaction."""
        sql = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
        self.rows(sql, [json.dumps([CHECKPOINTS, session_id, namespace])])

    def fork(
        self, checkpoint_id: str, *, session_id: str, new_checkpoint_id: str, title: str | None, now: int
    ) -> Row | None:
        sql = (
            f"WITH session AS ({FORK_SESSION}), transcript AS ({FORK_MESSAGES}), checkpoint AS ({FORK_CHECKPOINT})"
            " SELECT * FROM session"
        )
        session = [session_id, title, now, now, checkpoint_id]
        checkpoint = [new_checkpoint_id, session_id, now, checkpoint_id]
        return next(iter(self.rows(sql, [*session, session_id, checkpoint_id, *checkpoint])), None)

    def _typed(self, column: str) -> str:
        return f"%s::{CHECKPOINT_TYPES[column]}"


CHECKPOINT_TYPES = {
    **dict.fromkeys(CHECKPOINT_COLUMNS, "text"),
    "version": "integer",
    "step": "integer",
    "created_at": "bigint",
}

DIALECTS: Mapping[str, type[Statements]] = {"postgresql": PostgresStatements, "sqlite": Statements}


def statements_for(using: str) -> Statements:
    vendor = connections[using].vendor
    if vendor not in DIALECTS:
        raise ConfigurationError(f"the store works on PostgreSQL and SQLite, not on {vendor} (database {using!r})")
    return DIALECTS[vendor](using)
