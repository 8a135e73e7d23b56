"""The statements, each whole, so that it can be read, and pasted into a client: as SQLite takes them.

`obsku_checkpoint.store.sql_postgres` has those that PostgreSQL says otherwise. A write that finds its session missing
writes nothing and returns no row, so no error breaks a caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.db import models

from obsku_checkpoint import validation
from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.store.calls import Write, atomic
from obsku_checkpoint.store.rows import Row

_OCTETS = {"postgresql": "octet_length({})", "sqlite": "length(CAST({} AS BLOB))"}


def octets(vendor: str, column: str) -> str:
    """SQL for the bytes of a text; PostgreSQL knows them without unpacking it."""
    return f"coalesce({_OCTETS[vendor].format(column)}, 0)"


BY_ID, OF_SESSION = "id = %s", "session_id = %s"

INSERT_SESSION = """
INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at, metadata)
VALUES (
    %(id)s, %(workspace_id)s, %(title)s, %(directory)s, %(created_at)s, %(updated_at)s, %(metadata)s
)
ON CONFLICT DO NOTHING
RETURNING id
"""

UPDATE_SESSION = """
UPDATE sessions SET
    updated_at = CASE WHEN updated_at >= %(now)s AND updated_at < %(horizon)s THEN updated_at + 1 ELSE %(now)s END,
    title = CASE WHEN %(set_title)s THEN %(title)s ELSE title END,
    directory = CASE WHEN %(set_directory)s THEN %(directory)s ELSE directory END,
    workspace_id = CASE WHEN %(set_workspace_id)s THEN %(workspace_id)s ELSE workspace_id END,
    metadata = CASE WHEN %(set_metadata)s THEN %(metadata)s ELSE metadata END
WHERE id = %(session_id)s
RETURNING id, workspace_id, title, directory, created_at, updated_at, metadata
"""

#: locks the session as well
TOUCH_SESSION = """
UPDATE sessions SET
    updated_at = CASE WHEN updated_at >= %(now)s AND updated_at < %(horizon)s THEN updated_at + 1 ELSE %(now)s END
WHERE id = %(session_id)s
RETURNING id
"""

DELETE_SESSION = "DELETE FROM sessions WHERE id = %(session_id)s RETURNING id"

#: the session's clock, before a batch of ``count`` messages
TOUCH_FOR_MESSAGES = """
UPDATE sessions SET updated_at = max(
    %(now)s,
    CASE WHEN updated_at < %(horizon)s THEN updated_at + %(count)s ELSE 0 END,
    coalesce((
        SELECT max(created_at) + %(count)s FROM messages
        WHERE session_id = %(session_id)s AND created_at < %(horizon)s
    ), 0)
)
WHERE id = %(session_id)s
RETURNING updated_at
"""

#: ``rows`` is a JSON array of arrays; the last message is the one of the session's new time
INSERT_MESSAGES = """
INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
SELECT
    %(session_id)s, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
    %(last)s - %(count)s + 1 + key
FROM json_each(%(rows)s) WHERE true ORDER BY key
RETURNING id, created_at
"""

#: the calls and results of a message
REPAIR_MESSAGE = """
UPDATE messages SET tool_calls = %(tool_calls)s, tool_results = %(tool_results)s WHERE id = %(id)s RETURNING id
"""

DELETE_MESSAGE = "DELETE FROM messages WHERE id = %(id)s RETURNING id"

TOUCH_FOR_CHECKPOINT = """
UPDATE sessions SET updated_at = max(
    %(now)s,
    CASE WHEN updated_at < %(horizon)s THEN updated_at + 1 ELSE 0 END,
    coalesce((
        SELECT CASE WHEN created_at < %(horizon)s THEN created_at + 1 END FROM checkpoints
        WHERE session_id = %(session_id)s AND namespace = %(namespace)s ORDER BY version DESC LIMIT 1
    ), 0)
)
WHERE id = %(session_id)s
RETURNING updated_at
"""

#: without a version it takes the next one
INSERT_CHECKPOINT = """
INSERT INTO checkpoints (
    id, session_id, namespace, parent_id, version, step, node_id, node_results, pending_nodes, cycle_state, source,
    created_at
)
SELECT
    %(id)s, %(session_id)s, %(namespace)s, %(parent_id)s,
    coalesce(%(version)s, (
        SELECT max(version) + 1 FROM checkpoints WHERE session_id = %(session_id)s AND namespace = %(namespace)s
    ), 1),
    %(step)s, %(node_id)s, %(node_results)s, %(pending_nodes)s, %(cycle_state)s, %(source)s, %(created_at)s
WHERE true
ON CONFLICT DO NOTHING
RETURNING version, created_at
"""

FORK_SESSION = """
INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at, metadata)
SELECT
    %(session_id)s, s.workspace_id,
    coalesce(%(title)s, substr(%(prefix)s || coalesce(nullif(s.title, ''), c.id), 1, %(longest)s)), s.directory,
    max(%(now)s, CASE WHEN c.created_at < %(horizon)s THEN c.created_at + 1 ELSE 0 END),
    max(%(now)s, CASE WHEN c.created_at < %(horizon)s THEN c.created_at + 1 ELSE 0 END),
    s.metadata
FROM checkpoints c JOIN sessions s ON s.id = c.session_id
WHERE c.id = %(checkpoint_id)s
RETURNING id, workspace_id, title, directory, created_at, updated_at, metadata
"""

FORK_MESSAGES = """
INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
SELECT
    %(session_id)s, m.role, m.content, m.tool_calls, m.tool_results, m.tokens_in, m.tokens_out, m.created_at
FROM checkpoints c JOIN messages m ON m.session_id = c.session_id AND m.created_at <= c.created_at
WHERE c.id = %(checkpoint_id)s
ORDER BY m.created_at, m.id
"""

FORK_CHECKPOINT = """
INSERT INTO checkpoints (
    id, session_id, namespace, parent_id, version, step, node_id, node_results, pending_nodes, cycle_state, source,
    created_at
)
SELECT
    %(new_checkpoint_id)s, %(session_id)s, namespace, id, version, step, node_id, node_results, pending_nodes,
    cycle_state, 'fork', %(created_at)s
FROM checkpoints WHERE id = %(checkpoint_id)s
"""

FORK_SESSION_AT = """
INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at, metadata)
SELECT
    %(session_id)s, s.workspace_id,
    coalesce(%(title)s, substr(%(prefix)s || coalesce(nullif(s.title, ''), s.id), 1, %(longest)s)), s.directory,
    max(%(now)s, CASE WHEN m.created_at < %(horizon)s THEN m.created_at + 1 ELSE 0 END),
    max(%(now)s, CASE WHEN m.created_at < %(horizon)s THEN m.created_at + 1 ELSE 0 END),
    s.metadata
FROM messages m JOIN sessions s ON s.id = m.session_id
WHERE m.id = %(message_id)s
RETURNING id, workspace_id, title, directory, created_at, updated_at, metadata
"""

FORK_MESSAGES_AT = """
INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
SELECT
    %(session_id)s, m.role, m.content, m.tool_calls, m.tool_results, m.tokens_in, m.tokens_out, m.created_at
FROM messages last JOIN messages m
    ON m.session_id = last.session_id AND (m.created_at, m.id) <= (last.created_at, last.id)
WHERE last.id = %(message_id)s
ORDER BY m.created_at, m.id
"""

LATEST_IN_NAMESPACE = """
SELECT
    id, session_id, namespace, parent_id, version, step, node_id, node_results, pending_nodes, cycle_state, source,
    created_at
FROM checkpoints WHERE session_id = %(session_id)s AND namespace = %(namespace)s ORDER BY version DESC LIMIT 1
"""

#: walks the unique index from one namespace to the next, instead of sorting all checkpoints of the session
NAMESPACES = """
WITH RECURSIVE namespaces (namespace) AS (
    SELECT min(namespace) FROM checkpoints WHERE session_id = %(session_id)s
    UNION ALL
    SELECT (
        SELECT min(namespace) FROM checkpoints
        WHERE session_id = %(session_id)s AND namespace > namespaces.namespace
    ) FROM namespaces WHERE namespaces.namespace IS NOT NULL
)"""

LATEST = f"""{NAMESPACES}
SELECT
    c.id, c.session_id, c.namespace, c.parent_id, c.version, c.step, c.node_id, c.node_results, c.pending_nodes,
    c.cycle_state, c.source, c.created_at
FROM namespaces JOIN checkpoints c ON c.session_id = %(session_id)s AND c.namespace = namespaces.namespace
    AND c.version = (
        SELECT max(version) FROM checkpoints
        WHERE session_id = %(session_id)s AND namespace = namespaces.namespace
    )
ORDER BY c.created_at DESC, c.id DESC LIMIT 1
"""

#: UNION drops what was found before, so a cycle of parents ends
LINEAGE = """
WITH RECURSIVE lineage (id, parent_id) AS (
    SELECT id, parent_id FROM checkpoints WHERE id = %(checkpoint_id)s
    UNION
    SELECT c.id, c.parent_id FROM checkpoints c JOIN lineage ON c.id = lineage.parent_id
)
SELECT
    c.id, c.session_id, c.namespace, c.parent_id, c.version, c.step, c.node_id, c.node_results, c.pending_nodes,
    c.cycle_state, c.source, c.created_at
FROM checkpoints c JOIN lineage ON c.id = lineage.id
"""


#: those of the names, a JSON array, that are tables
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN (SELECT value FROM json_each(%(tables)s))"


def columns(model: type[models.Model]) -> list[str]:
    return [str(field.column) for field in model._meta.concrete_fields]


@cache
def select(model: type[models.Model], column: str, conditions: tuple[str, ...], order: str, *, limited: bool) -> str:
    """A SELECT of the rows for which all ``conditions`` hold: SQL with ``%s``. ``column`` is one, or "" for all in the
    model's order; ``limited`` adds ``LIMIT %s``, bound last.
    """
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT {column or ', '.join(columns(model))} FROM {model._meta.db_table}{where}"
        f"{f' ORDER BY {order}' if order else ''}{' LIMIT %s' if limited else ''}"
    )


class Sql:
    """The writes that are several statements on one database and one on the other, and the reads that differ."""

    latest = LATEST
    tables = TABLES

    def insert_messages(
        self, session_id: str, rows: Sequence[Row], clock: Mapping[str, int]
    ) -> Steps[list[tuple[int, int]]]:
        """(id, created_at) of each new message in the order of ``rows``, nothing where the session does not exist.

        A row has the columns from ``role`` to ``tokens_out``.
        """
        parameters = {"session_id": session_id, "count": len(rows), "rows": json.dumps(rows), **clock}

        def steps() -> Steps[list[tuple[int, int]]]:
            touched = yield Write(TOUCH_FOR_MESSAGES, parameters)
            if not touched:
                return []
            return sorted((yield Write(INSERT_MESSAGES, {**parameters, "last": touched[0][0]})))

        return (yield from atomic(steps))

    def insert_checkpoint(self, checkpoint: Mapping[str, Any]) -> Steps[tuple[int, int] | None]:
        """(version, created_at) of the new checkpoint; None where the id or the version exists, or the session does
        not. ``checkpoint`` has its columns, but for ``created_at``, and the session's clock; a version of None takes
        the next one.
        """

        def steps() -> Steps[tuple[int, int] | None]:
            touched = yield Write(TOUCH_FOR_CHECKPOINT, checkpoint)
            if not touched:
                return None
            saved = yield Write(INSERT_CHECKPOINT, {**checkpoint, "created_at": touched[0][0]})
            if not saved:
                return None
            validation.integer("version", saved[0][0])  # the column's type, which SQLite does not look at
            return saved[0]  # type: ignore[no-any-return]  # a row of two

        return (yield from atomic(steps))

    def lock_session(self, session_id: str) -> Steps[None]:
        """Hold the session's row to the end of the transaction. SQLite's only writer has no need to."""
        return
        yield

    def fork_at(self, fork: Mapping[str, Any]) -> Steps[Row | None]:
        """As `fork`, where the message does not exist. ``fork`` has ``message_id`` and nothing of a checkpoint."""

        def steps() -> Steps[Row | None]:
            sessions = yield Write(FORK_SESSION_AT, fork)
            if not sessions:
                return None
            yield Write(FORK_MESSAGES_AT, fork)
            return sessions[0]  # type: ignore[no-any-return]  # a row

        return (yield from atomic(steps))

    def fork(self, fork: Mapping[str, Any]) -> Steps[Row | None]:
        """The new session's row, None where the checkpoint does not exist. ``fork`` has ``checkpoint_id``, the new
        ``session_id`` and ``new_checkpoint_id``, ``title`` or None, the ``prefix`` and the ``longest``
        length of a title that is made, and the session's clock.
        """

        def steps() -> Steps[Row | None]:
            sessions = yield Write(FORK_SESSION, fork)
            if not sessions:
                return None
            yield Write(FORK_MESSAGES, fork)
            yield Write(FORK_CHECKPOINT, {**fork, "created_at": sessions[0][4]})
            return sessions[0]  # type: ignore[no-any-return]  # a row

        return (yield from atomic(steps))
