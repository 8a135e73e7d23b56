"""The statements as PostgreSQL takes them: one a call, which is one round trip and one snapshot.

The types of parameters are spelt out where the server, which binds them, could not tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.store.calls import Write
from obsku_checkpoint.store.rows import Row
from obsku_checkpoint.store.sql import NAMESPACES, Sql

ADD_MESSAGE = """
WITH session AS (
    UPDATE sessions SET updated_at = GREATEST(
        %(now)s::bigint,
        CASE WHEN updated_at < %(horizon)s::bigint THEN updated_at + 1 END,
        (SELECT max(created_at) + 1 FROM messages
        WHERE session_id = %(session_id)s::text AND created_at < %(horizon)s::bigint)
    )
    WHERE id = %(session_id)s::text
    RETURNING id, updated_at
)
INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
SELECT
    id, %(role)s::text, %(content)s::text, %(tool_calls)s::text, %(tool_results)s::text, %(tokens_in)s::integer,
    %(tokens_out)s::integer, updated_at
FROM session
RETURNING id, created_at
"""

#: the last message is the one of the session's new time
ADD_MESSAGES = """
WITH session AS (
    UPDATE sessions SET updated_at = GREATEST(
        %(now)s::bigint,
        CASE WHEN updated_at < %(horizon)s::bigint THEN updated_at + %(count)s::bigint END,
        (SELECT max(created_at) + %(count)s::bigint FROM messages
        WHERE session_id = %(session_id)s::text AND created_at < %(horizon)s::bigint)
    )
    WHERE id = %(session_id)s::text
    RETURNING id, updated_at
)
INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
SELECT
    session.id, m.role, m.content, m.tool_calls, m.tool_results, m.tokens_in, m.tokens_out,
    session.updated_at - %(count)s::bigint + m.position
FROM session, unnest(
    %(role)s::text[], %(content)s::text[], %(tool_calls)s::text[], %(tool_results)s::text[], %(tokens_in)s::integer[],
    %(tokens_out)s::integer[]
) WITH ORDINALITY AS m (role, content, tool_calls, tool_results, tokens_in, tokens_out, position)
ORDER BY m.position
RETURNING id, created_at
"""

#: a version that another writer has taken since the statement began is a conflict, and nothing is inserted
SAVE_CHECKPOINT = """
WITH newest AS (
    SELECT version, created_at FROM checkpoints
    WHERE session_id = %(session_id)s::text AND namespace = %(namespace)s::text ORDER BY version DESC LIMIT 1
), session AS (
    UPDATE sessions SET updated_at = GREATEST(
        %(now)s::bigint,
        CASE WHEN updated_at < %(horizon)s::bigint THEN updated_at + 1 END,
        (SELECT created_at + 1 FROM newest WHERE created_at < %(horizon)s::bigint)
    )
    WHERE id = %(session_id)s::text
    RETURNING id, updated_at
)
INSERT INTO checkpoints (
    id, session_id, namespace, parent_id, version, step, node_id, node_results, pending_nodes, cycle_state, source,
    created_at
)
SELECT
    %(id)s::text, session.id, %(namespace)s::text, %(parent_id)s::text,
    COALESCE(%(version)s::integer, (SELECT version + 1 FROM newest), 1), CAST(%(step)s AS integer), %(node_id)s::text,
    %(node_results)s::text, %(pending_nodes)s::text, %(cycle_state)s::text, %(source)s::text, session.updated_at
FROM session
ON CONFLICT DO NOTHING
RETURNING version, created_at
"""

LOCK_SESSION = "SELECT id FROM sessions WHERE id = %(session_id)s FOR NO KEY UPDATE"

FORK = """
WITH session AS (
    INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at, metadata)
    SELECT
        %(session_id)s::text, s.workspace_id,
        COALESCE(
            %(title)s::text,
            substr(%(prefix)s::text || COALESCE(NULLIF(s.title, ''), c.id), 1, %(longest)s::integer)
        ), s.directory,
        GREATEST(%(now)s::bigint, CASE WHEN c.created_at < %(horizon)s::bigint THEN c.created_at + 1 END),
        GREATEST(%(now)s::bigint, CASE WHEN c.created_at < %(horizon)s::bigint THEN c.created_at + 1 END),
        s.metadata
    FROM checkpoints c JOIN sessions s ON s.id = c.session_id
    WHERE c.id = %(checkpoint_id)s::text
    RETURNING id, workspace_id, title, directory, created_at, updated_at, metadata
), transcript AS (
    INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
    SELECT
        %(session_id)s::text, m.role, m.content, m.tool_calls, m.tool_results, m.tokens_in, m.tokens_out, m.created_at
    FROM checkpoints c JOIN messages m ON m.session_id = c.session_id AND m.created_at <= c.created_at
    WHERE c.id = %(checkpoint_id)s::text
    ORDER BY m.created_at, m.id
), checkpoint AS (
    INSERT INTO checkpoints (
        id, session_id, namespace, parent_id, version, step, node_id, node_results, pending_nodes, cycle_state, source,
        created_at
    )
    SELECT
        %(new_checkpoint_id)s::text, session.id, c.namespace, c.id, c.version, c.step, c.node_id, c.node_results,
        c.pending_nodes, c.cycle_state, 'fork', session.created_at
    FROM session, checkpoints c
    WHERE c.id = %(checkpoint_id)s::text
)
SELECT id, workspace_id, title, directory, created_at, updated_at, metadata FROM session
"""

FORK_AT = """
WITH session AS (
    INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at, metadata)
    SELECT
        %(session_id)s::text, s.workspace_id,
        COALESCE(
            %(title)s::text,
            substr(%(prefix)s::text || COALESCE(NULLIF(s.title, ''), s.id), 1, %(longest)s::integer)
        ), s.directory,
        GREATEST(%(now)s::bigint, CASE WHEN m.created_at < %(horizon)s::bigint THEN m.created_at + 1 END),
        GREATEST(%(now)s::bigint, CASE WHEN m.created_at < %(horizon)s::bigint THEN m.created_at + 1 END),
        s.metadata
    FROM messages m JOIN sessions s ON s.id = m.session_id
    WHERE m.id = CAST(%(message_id)s AS bigint)
    RETURNING id, workspace_id, title, directory, created_at, updated_at, metadata
), transcript AS (
    INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
    SELECT
        %(session_id)s::text, m.role, m.content, m.tool_calls, m.tool_results, m.tokens_in, m.tokens_out, m.created_at
    FROM messages last JOIN messages m
        ON m.session_id = last.session_id AND (m.created_at, m.id) <= (last.created_at, last.id)
    WHERE last.id = CAST(%(message_id)s AS bigint)
    ORDER BY m.created_at, m.id
)
SELECT id, workspace_id, title, directory, created_at, updated_at, metadata FROM session
"""

#: as on SQLite; the lateral join lets a plan that does not know the session do without a sort, too
LATEST = f"""{NAMESPACES}
SELECT
    c.id, c.session_id, c.namespace, c.parent_id, c.version, c.step, c.node_id, c.node_results, c.pending_nodes,
    c.cycle_state, c.source, c.created_at
FROM namespaces, LATERAL (
    SELECT * FROM checkpoints WHERE session_id = %(session_id)s AND namespace = namespaces.namespace
    ORDER BY version DESC LIMIT 1
) c
ORDER BY c.created_at DESC, c.id DESC LIMIT 1
"""

TABLES = """
SELECT name FROM json_array_elements_text(%(tables)s::json) AS name WHERE to_regclass(name) IS NOT NULL
"""

MESSAGE = ("role", "content", "tool_calls", "tool_results", "tokens_in", "tokens_out")
_QUOTED = str.maketrans({'"': r"\"", "\\": r"\\"})


def array(values: Iterable[Any]) -> str:
    """An array's text form, NULL for None; quicker to make than by a driver that looks at each value's type."""
    texts = ("NULL" if value is None else '"' + str(value).translate(_QUOTED) + '"' for value in values)
    return "{" + ",".join(texts) + "}"


class PostgresSql(Sql):
    latest = LATEST
    tables = TABLES

    def insert_messages(
        self, session_id: str, rows: Sequence[Row], clock: Mapping[str, int]
    ) -> Steps[list[tuple[int, int]]]:
        if len(rows) == 1:
            statement, columns = ADD_MESSAGE, dict(zip(MESSAGE, rows[0], strict=True))
        else:
            statement, columns = ADD_MESSAGES, dict(zip(MESSAGE, map(array, zip(*rows, strict=True)), strict=True))
            columns["count"] = len(rows)
        inserted: list[tuple[int, int]] = yield Write(statement, {"session_id": session_id, **clock, **columns})
        return sorted(inserted)

    def insert_checkpoint(self, checkpoint: Mapping[str, Any]) -> Steps[tuple[int, int] | None]:
        saved = yield Write(SAVE_CHECKPOINT, checkpoint)
        return saved[0] if saved else None

    def lock_session(self, session_id: str) -> Steps[None]:
        yield LOCK_SESSION, {"session_id": session_id}

    def fork(self, fork: Mapping[str, Any]) -> Steps[Row | None]:
        sessions = yield Write(FORK, fork)
        return sessions[0] if sessions else None

    def fork_at(self, fork: Mapping[str, Any]) -> Steps[Row | None]:
        sessions = yield Write(FORK_AT, fork)
        return sessions[0] if sessions else None
