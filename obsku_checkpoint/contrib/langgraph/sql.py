"""The statements of the calls that a graph makes in each step, as SQLite takes them.

What PostgreSQL says in other words stands in braces (`obsku_checkpoint.contrib.langgraph.sql_postgres`), and its writes
are one statement each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from django.db import connections
from django.utils.module_loading import import_string

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.contrib.langgraph.blobs import HASH_BYTES, ITEMS, Stored
from obsku_checkpoint.contrib.langgraph.sql_reading import CONDITIONS, READ, VERSION
from obsku_checkpoint.store.calls import Write, atomic

#: by name, so that a project on SQLite needs no psycopg
VENDORS = {"postgresql": f"{__package__}.sql_postgres.PostgresSql", "sqlite": f"{__package__}.sql.Sql"}

#: rows that one INSERT writes, so that its parameters stay below SQLite's limit
CHUNK = 100

INSERT_SESSION = """
INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at)
VALUES (%(session_id)s, %(workspace_id)s, %(title)s, %(directory)s, %(created_at)s, %(now)s)
ON CONFLICT DO NOTHING
RETURNING id
"""

#: the session's clock, ``count`` milliseconds later
TOUCH = """
UPDATE sessions SET
    updated_at = max(
        %(now)s,
        CASE WHEN updated_at < %(horizon)s THEN updated_at + %(count)s ELSE 0 END,
        coalesce((
            SELECT CASE WHEN created_at < %(horizon)s THEN created_at + 1 END FROM checkpoints
            WHERE session_id = %(session_id)s AND namespace = %(namespace)s ORDER BY version DESC LIMIT 1
        ), 0),
        coalesce((
            SELECT max(created_at) + %(count)s FROM messages
            WHERE session_id = %(session_id)s AND created_at < %(horizon)s
        ), 0)
    ),
    title = coalesce(title, %(title)s)
WHERE id = %(session_id)s AND (%(workspace_id)s IS NULL OR workspace_id = %(workspace_id)s)
RETURNING updated_at
"""

IN_WORKSPACE = """
SELECT id FROM sessions
WHERE id = %(session_id)s AND (CAST(%(workspace_id)s AS text) IS NULL OR workspace_id = %(workspace_id)s)
"""

BEGIN_THREAD = """
INSERT INTO langgraph_threads (session_id, epoch) VALUES (%(session_id)s, %(new_epoch)s)
ON CONFLICT DO NOTHING RETURNING epoch
"""

THREAD = "SELECT epoch, writer FROM langgraph_threads WHERE session_id = %(session_id)s"

#: those of the messages that the transcript does not have yet, by their place in ``messages``
FRESH = """
SELECT key FROM json_each(%(messages)s) m WHERE NOT EXISTS (
    SELECT 1 FROM langgraph_messages l WHERE l.session_id = %(session_id)s AND l.message_id = m.value ->> 0
) ORDER BY key
"""

TRANSCRIBE = """
INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
SELECT
    %(session_id)s, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    %(time)s - %(count)s + 1 + key
FROM json_each(%(messages)s) WHERE true ORDER BY key
RETURNING id
"""

TRANSCRIBED = """
INSERT INTO langgraph_messages (session_id, message_id, row_id)
SELECT %(session_id)s, value ->> 0, value ->> 1 FROM json_each(%(transcribed)s) WHERE true
ON CONFLICT DO NOTHING
"""

STORED = """
SELECT 1 FROM langgraph_checkpoints
WHERE session_id = %(session_id)s AND namespace = %(namespace)s AND checkpoint_id = %(checkpoint_id)s
"""

RECORD = """
INSERT INTO checkpoints (
    id, session_id, namespace, parent_id, version, step, node_id, node_results, pending_nodes, source, created_at
)
SELECT
    %(record_id)s, %(session_id)s, %(namespace)s,
    (SELECT record_id FROM langgraph_checkpoints WHERE session_id = %(session_id)s AND namespace = %(namespace)s
    AND checkpoint_id = %(parent_id)s),
    coalesce((
        SELECT max(version) + 1 FROM checkpoints WHERE session_id = %(session_id)s AND namespace = %(namespace)s
    ), 1),
    %(step)s, %(node_id)s, %(node_results)s, %(pending_nodes)s, %(record_source)s, %(time)s
RETURNING id
"""

#: interrupts that came before their checkpoint
ASKS = """
SELECT 1 FROM langgraph_writes
WHERE session_id = %(session_id)s AND namespace = %(namespace)s AND checkpoint_id = %(checkpoint_id)s AND idx = -3
"""

STATE = """
INSERT INTO langgraph_checkpoints AS c (
    session_id, namespace, checkpoint_id, parent_id, record_id, run_id, type, payload, channels, metadata, created_at
)
VALUES (
    %(session_id)s, %(namespace)s, %(checkpoint_id)s, %(parent_id)s, %(record_id)s, %(run_id)s, %(type)s, %(payload)s,
    %(channels)s, %(metadata)s, %(time)s
)
ON CONFLICT (session_id, namespace, checkpoint_id) DO UPDATE SET
    type = excluded.type, payload = excluded.payload, channels = excluded.channels, metadata = excluded.metadata,
    run_id = excluded.run_id, parent_id = excluded.parent_id
"""

BLOBS = """
INSERT INTO langgraph_blobs (session_id, namespace, channel, version, type, data) VALUES {rows} ON CONFLICT DO NOTHING
"""

ITEM_ROWS = """
INSERT INTO langgraph_items (session_id, hash, type, data) VALUES {rows} ON CONFLICT DO NOTHING
"""

WRITES = """
INSERT INTO langgraph_writes AS w (
    session_id, namespace, checkpoint_id, task_id, task_path, idx, channel, type, data
)
VALUES {rows}
ON CONFLICT (session_id, namespace, checkpoint_id, task_id, idx) DO UPDATE SET
    channel = excluded.channel, type = excluded.type, data = excluded.data
WHERE w.idx < 0
"""

#: what tasks have written to a channel at the checkpoint that comes before
SAID = """
SELECT type, data FROM langgraph_writes
WHERE session_id = %(session_id)s AND namespace = %(namespace)s AND checkpoint_id = %(parent_id)s
AND channel = %(channel)s
ORDER BY task_path, task_id, idx
"""

#: the record of a checkpoint, and its interrupts; whether a task that has asked is done
QUESTIONS = """
SELECT k.id, w.task_id, w.task_path, w.type, w.data, EXISTS (
    SELECT 1 FROM langgraph_writes d
    WHERE d.session_id = w.session_id AND d.namespace = w.namespace AND d.checkpoint_id = w.checkpoint_id
    AND d.task_id = w.task_id AND d.idx >= 0
)
FROM langgraph_checkpoints c JOIN checkpoints k ON k.id = c.record_id JOIN langgraph_writes w
    ON w.session_id = c.session_id AND w.namespace = c.namespace AND w.checkpoint_id = c.checkpoint_id
WHERE c.session_id = %(session_id)s AND c.namespace = %(namespace)s AND c.checkpoint_id = %(checkpoint_id)s
    AND w.idx = -3
ORDER BY w.task_path, w.task_id
"""

NEW_RECORD = """
UPDATE langgraph_checkpoints SET record_id = %(record_id)s
WHERE session_id = %(session_id)s AND namespace = %(namespace)s AND checkpoint_id = %(checkpoint_id)s
RETURNING record_id
"""

WORKSPACE = "SELECT workspace_id FROM sessions WHERE id = %(session_id)s"


class Outcome(NamedTuple):
    """What came of `Sql.put`: whether the session is there and may be written to, the thread's epoch unless it is not
    the one that was given or the lease was lost, whether the checkpoint was stored, and whether a task asks a person.
    """

    has_session: bool
    epoch: int | None
    is_stored: bool
    has_question: bool


class Sql:
    #: functions and expressions that PostgreSQL has other names for
    words = {
        "pairs": "json_each",
        "texts": "json_each",
        "elements": "json_each",
        "gather": "json_group_array",
        "json": "text",
        "bytes": "BLOB",
        "data": "b.data",
        "blob": f"langgraph_blobs b ON {VERSION}",
        "positions": f"""(
        WITH RECURSIVE positions (position) AS (
            SELECT 1 UNION ALL SELECT position + {HASH_BYTES} FROM positions
            WHERE position + {HASH_BYTES} < (SELECT max(length(data)) FROM blobs WHERE type = '{ITEMS}')
        )
        SELECT position FROM positions
    )""",
    }
    #: of the page, and how they are found where all are one session's
    items = items_of_session = "(i.session_id, i.hash) IN (SELECT session_id, hash FROM hashes)"
    #: of metadata: a key that is missing is a null
    filter = """NOT EXISTS (
        SELECT 1 FROM json_each(%(filter)s) f LEFT JOIN json_each(c.metadata) m ON m.key = f.key
        WHERE replace(coalesce(m.type, 'null'), 'integer', 'real') <> replace(f.type, 'integer', 'real')
        OR m.value IS NOT f.value
    )"""

    #: holds the session's row, and its thread's, to the end of the transaction; SQLite's only writer has no need to
    lock = WORKSPACE

    @cache  # noqa: B019 - of `sql_of`, there are two as long as the process lives
    def read(self, limit: int, *conditions: str) -> str:
        """The statement that reads the newest checkpoints of which all ``conditions`` hold (`CONDITIONS`, filter)."""
        where = " AND ".join({**CONDITIONS, "filter": self.filter}[name] for name in conditions) or "true"
        items = self.items_of_session if "session_id" in conditions else self.items
        return READ.format(where=where, limit=limit, items=items, **self.words)

    @cache  # noqa: B019 - as above
    def said(self, statement: str) -> str:
        """A portable statement in this database's words."""
        return statement.format(**self.words)

    def put(
        self,
        put: Mapping[str, Any],
        blobs: Sequence[tuple[str, str, str, bytes]],
        items: Mapping[bytes, Stored],
        messages: Sequence[Sequence[Any]],
    ) -> Steps[Outcome]:
        """Store a checkpoint and, where ``put`` has a ``record_id``, its record with the ``messages``."""

        def steps() -> Steps[Outcome]:
            time = put["now"]
            if not (yield Write(INSERT_SESSION, put)):
                if not (touched := (yield Write(TOUCH, put))):
                    return Outcome(has_session=False, epoch=None, is_stored=False, has_question=False)
                ((time,),) = touched
            yield Write(BEGIN_THREAD, put)
            ((epoch, writer),) = yield THREAD, put
            if put["epoch"] not in (None, epoch) or put["writer"] not in (None, writer):
                return Outcome(has_session=True, epoch=None, is_stored=False, has_question=False)
            place = (put["session_id"], put["namespace"])
            yield from _insert(BLOBS, [(*place, *blob) for blob in blobs])
            rows = [(put["session_id"], hash, *stored) for hash, stored in items.items()]
            yield from _insert(ITEM_ROWS, rows)
            state = {**put, "time": time, "record_id": None}
            if "record_id" in put:
                yield from _transcribe(state, messages)
                if not (yield STORED, put):
                    ((state["record_id"],),) = yield Write(RECORD, {**put, "time": time})
            yield Write(STATE, state)
            asks = bool((yield ASKS, put))
            return Outcome(has_session=True, epoch=epoch, is_stored=True, has_question=asks)

        return (yield from atomic(steps))

    def put_writes(
        self, writes: Mapping[str, Any], rows: Sequence[tuple[int, str, str, bytes]]
    ) -> Steps[tuple[bool, bool]]:
        """Whether the session is there and may be written to, and whether the lease is held (or none was given)."""

        def steps() -> Steps[tuple[bool, bool]]:
            if not (yield IN_WORKSPACE, writes):
                return False, True
            if writes["writer"] is not None and [writes["writer"]] != [row[1] for row in (yield THREAD, writes)]:
                return True, False
            place = tuple(writes[name] for name in ("session_id", "namespace", "checkpoint_id", "task_id", "task_path"))
            yield from _insert(WRITES, [(*place, *row) for row in rows])
            return True, True

        return (yield from atomic(steps))


def sql_of(using: str) -> Sql:
    """The statements for the database of an alias."""
    return _sql_of(connections[using].vendor)


@cache
def _sql_of(vendor: str) -> Sql:
    sql: type[Sql] = import_string(VENDORS[vendor])
    return sql()


def _insert(statement: str, rows: Sequence[tuple[Any, ...]]) -> Steps[None]:
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        places = f"({', '.join(['%s'] * len(chunk[0]))})"
        values = [value for row in chunk for value in row]
        yield Write(statement.format(rows=", ".join([places] * len(chunk))), values)


def _transcribe(state: Mapping[str, Any], messages: Sequence[Sequence[Any]]) -> Steps[None]:
    if not messages:
        return
    keys = yield FRESH, {"session_id": state["session_id"], "messages": json.dumps(messages)}
    fresh = [messages[key] for (key,) in keys]
    if not fresh:
        return
    ids = yield Write(TRANSCRIBE, {**state, "messages": json.dumps(fresh)})
    transcribed = [[message[0], id] for message, (id,) in zip(fresh, sorted(ids), strict=True)]
    yield Write(TRANSCRIBED, {"session_id": state["session_id"], "transcribed": json.dumps(transcribed)})


def columns(names: Iterable[str], rows: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
    """The values of each column."""
    table: dict[str, list[Any]] = {name: [] for name in names}
    for row in rows:
        for name, value in zip(names, row, strict=True):
            table[name].append(value)
    return table
