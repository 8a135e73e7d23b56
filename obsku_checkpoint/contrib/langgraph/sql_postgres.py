"""The statements as PostgreSQL takes them: one a call. Arrays are bound in the binary format, which is the fast one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import orjson

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.contrib.langgraph.blobs import HASH_BYTES, Stored
from obsku_checkpoint.contrib.langgraph.sql import IN_WORKSPACE, Outcome, Sql, columns
from obsku_checkpoint.contrib.langgraph.sql_reading import VERSION
from obsku_checkpoint.store.calls import CountedWrite, Write

# `put` consists of these parts, of which a call takes those that it needs.

NEWEST = """newest AS (
    SELECT version, created_at FROM checkpoints
    WHERE session_id = %(session_id)s AND namespace = %(namespace)s ORDER BY version DESC LIMIT 1
), """

#: a session that another call makes meanwhile is not seen, and no row is the clock's
MADE = """made AS (
    INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at)
    SELECT
        %(session_id)s, %(workspace_id)s, %(title)s, %(directory)s,
        %(created_at)s, %(now)s
    WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE id = %(session_id)s)
    ON CONFLICT DO NOTHING
    RETURNING updated_at
), """

#: the session's clock, which ends ``count`` milliseconds later
TOUCHED = """touched AS (
    UPDATE sessions SET
        updated_at = GREATEST(
            %(now)s,
            CASE WHEN updated_at < %(horizon)s THEN updated_at + %(count)s END{later}
        ),
        title = COALESCE(title, %(title)s)
    WHERE id = %(session_id)s
    AND (%(workspace_id)s::text IS NULL OR workspace_id = %(workspace_id)s)
    RETURNING updated_at
), """
LATER_THAN_NEWEST = """,
            (SELECT created_at + 1 FROM newest WHERE created_at < %(horizon)s)"""
LATER_THAN_MESSAGES = """,
            (SELECT max(created_at) + %(count)s FROM messages
            WHERE session_id = %(session_id)s AND created_at < %(horizon)s)"""

CLOCK = "clock AS (SELECT updated_at FROM touched)"
CLOCK_OF_MADE = "clock AS (SELECT updated_at FROM touched UNION ALL SELECT updated_at FROM made)"

#: no row where the epoch is not the thread's any more, or the lease was lost. The lock lets nobody remove items, or
#: take the lease, until the call has ended, and it is the row's newest state that is looked at.
KNOWN = """, thread AS MATERIALIZED (
    SELECT t.epoch FROM clock, langgraph_threads t
    WHERE t.session_id = %(session_id)s AND t.epoch = %(epoch)s
    AND (%(writer)s::bigint IS NULL OR t.writer = %(writer)s)
    FOR SHARE OF t
)"""

BEGUN = """, thread AS (
    INSERT INTO langgraph_threads AS t (session_id, epoch)
    SELECT %(session_id)s, %(new_epoch)s FROM clock
    ON CONFLICT (session_id) DO UPDATE SET epoch = t.epoch
    WHERE %(writer)s::bigint IS NULL OR t.writer = %(writer)s
    RETURNING epoch
)"""

BLOBS = """, blobs AS (
    INSERT INTO langgraph_blobs (session_id, namespace, channel, version, type, data)
    SELECT %(session_id)s, %(namespace)s, b.* FROM thread, unnest(
        %(blob_channel)b::text[], %(blob_version)b::text[], %(blob_type)b::text[], %(blob_data)b::bytea[]
    ) AS b
    ON CONFLICT DO NOTHING
)"""

ITEM_ROWS = """, items AS (
    INSERT INTO langgraph_items (session_id, hash, type, data)
    SELECT %(session_id)s, i.* FROM thread, unnest(
        %(item_hash)b::bytea[], %(item_type)b::text[], %(item_data)b::bytea[]
    ) AS i
    ON CONFLICT DO NOTHING
)"""

#: The messages are those of the milliseconds before the checkpoint, arrays as `projection.messages` gives them. Each is
#: looked up: a NOT EXISTS would become a join with all messages of the thread.
TRANSCRIPT = """, fresh AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('messages', 'id'))::integer AS id, m.*
    FROM thread, jsonb_array_elements(%(messages)s::jsonb) WITH ORDINALITY AS m (said, position)
    WHERE (
        SELECT row_id FROM langgraph_messages l WHERE l.session_id = %(session_id)s AND l.message_id = m.said ->> 0
    ) IS NULL
    ORDER BY m.position
), transcribed AS (
    INSERT INTO langgraph_messages (session_id, message_id, row_id)
    SELECT %(session_id)s, said ->> 0, id FROM fresh ORDER BY said ->> 0
    ON CONFLICT DO NOTHING
    RETURNING row_id
), transcript AS (
    INSERT INTO messages
        (id, session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
    SELECT
        f.id, %(session_id)s, said ->> 1, said ->> 2, said ->> 3, said ->> 4, (said ->> 5)::integer,
        (said ->> 6)::integer, clock.updated_at - %(count)s + f.position
    FROM clock, fresh f JOIN transcribed ON transcribed.row_id = f.id ORDER BY f.position
)"""

#: a version that another writer has taken since the statement began is a conflict, and nothing is recorded
RECORD = """, stored AS (
    SELECT record_id FROM langgraph_checkpoints
    WHERE session_id = %(session_id)s AND namespace = %(namespace)s
    AND checkpoint_id = %(checkpoint_id)s
), record AS (
    INSERT INTO checkpoints (
        id, session_id, namespace, parent_id, version, step, node_id, node_results, pending_nodes, source, created_at
    )
    SELECT
        %(record_id)s, %(session_id)s, %(namespace)s,
        (SELECT record_id FROM langgraph_checkpoints WHERE session_id = %(session_id)s
        AND namespace = %(namespace)s AND checkpoint_id = %(parent_id)s),
        COALESCE((SELECT version + 1 FROM newest), 1), %(step)s, %(node_id)s, %(node_results)s,
        %(pending_nodes)s, %(record_source)s, clock.updated_at
    FROM clock, thread WHERE NOT EXISTS (SELECT 1 FROM stored)
    ON CONFLICT DO NOTHING
    RETURNING id
), recorded AS (
    SELECT id FROM record UNION ALL SELECT record_id FROM stored
)"""

NO_RECORD = ", recorded AS (SELECT NULL::text AS id)"

STATE = """, state AS (
    INSERT INTO langgraph_checkpoints AS c (
        session_id, namespace, checkpoint_id, parent_id, record_id, run_id, type, payload, channels, metadata,
        created_at
    )
    SELECT
        %(session_id)s, %(namespace)s, %(checkpoint_id)s, %(parent_id)s, recorded.id,
        %(run_id)s, %(type)s, %(payload)b::bytea, %(channels)s::jsonb, %(metadata)s::jsonb, clock.updated_at
    FROM clock, thread, recorded
    ON CONFLICT (session_id, namespace, checkpoint_id) DO UPDATE SET
        type = EXCLUDED.type, payload = EXCLUDED.payload, channels = EXCLUDED.channels, metadata = EXCLUDED.metadata,
        run_id = EXCLUDED.run_id, parent_id = EXCLUDED.parent_id
    RETURNING 1
)
SELECT
    EXISTS (SELECT 1 FROM clock), (SELECT epoch FROM thread), EXISTS (SELECT 1 FROM state),
    EXISTS (
        SELECT 1 FROM langgraph_writes
        WHERE session_id = %(session_id)s AND namespace = %(namespace)s
        AND checkpoint_id = %(checkpoint_id)s AND idx = -3
    )
"""


@cache
def put_statement(*, known: bool, blobs: bool, items: bool, messages: bool, record: bool) -> str:
    """The statement for a thread whose epoch is ``known``, and for what there is to be stored.

    It is short, since psycopg looks for the parameters of a statement of more than 4096 characters in each call anew.
    """
    later = LATER_THAN_NEWEST * record + LATER_THAN_MESSAGES * messages
    statement = (
        "WITH "
        + NEWEST * record
        + MADE * (not known)
        + TOUCHED.format(later=later)
        + (CLOCK + KNOWN if known else CLOCK_OF_MADE + BEGUN)
        + BLOBS * blobs
        + ITEM_ROWS * items
        + TRANSCRIPT * messages
        + (RECORD if record else NO_RECORD)
        + STATE
    )
    return " ".join(statement.split())


WRITE = {"idx": "integer", "channel": "text", "type": "text", "data": "bytea"}

PUT_WRITES = """
INSERT INTO langgraph_writes AS w
    (session_id, namespace, checkpoint_id, task_id, idx, channel, type, data, task_path)
SELECT
    %(session_id)s::text, %(namespace)s::text, %(checkpoint_id)s::text, %(task_id)s::text, u.idx, u.channel, u.type,
    u.data, %(task_path)s::text
FROM {rows} AS u (idx, channel, type, data)
WHERE EXISTS (
    SELECT 1 FROM sessions WHERE id = %(session_id)s::text
    AND (%(workspace_id)s::text IS NULL OR workspace_id = %(workspace_id)s::text)
)
{conflict}
"""

#: the lock lets nobody take the lease until the call has ended
PUT_WRITES_OF_LEASE = """
WITH session AS (
    SELECT id FROM sessions WHERE id = %(session_id)s::text
    AND (%(workspace_id)s::text IS NULL OR workspace_id = %(workspace_id)s::text)
), lease AS MATERIALIZED (
    SELECT writer FROM langgraph_threads
    WHERE session_id = %(session_id)s::text AND writer = %(writer)s::bigint
    FOR SHARE
), writes AS (
    INSERT INTO langgraph_writes AS w
        (session_id, namespace, checkpoint_id, task_id, idx, channel, type, data, task_path)
    SELECT
        session.id, %(namespace)s::text, %(checkpoint_id)s::text, %(task_id)s::text, u.idx, u.channel, u.type, u.data,
        %(task_path)s::text
    FROM session, lease, {rows} AS u (idx, channel, type, data)
    {conflict}
)
SELECT EXISTS (SELECT 1 FROM session), EXISTS (SELECT 1 FROM lease)
"""

#: the server has 10 µs less to do where no row may take another's place
STAYS = "ON CONFLICT DO NOTHING"
REPLACED = """ON CONFLICT (session_id, namespace, checkpoint_id, task_id, idx) DO UPDATE SET
    channel = EXCLUDED.channel, type = EXCLUDED.type, data = EXCLUDED.data
WHERE w.idx < 0"""

#: rows up to which a statement names each value: that is quicker to bind and to carry out than an array of each column
FEW = 8


@cache
def value_names(count: int) -> list[list[str]]:
    """The names of the values of ``count`` rows."""
    return [[f"{name}_{number}" for name in WRITE] for number in range(count)]


@cache
def put_writes_statement(count: int, *, lease: bool, replaces: bool) -> str:
    """The statement for ``count`` rows, with 0 for any number of them."""
    kinds = WRITE.values()
    if count:
        lines = [
            ", ".join(f"%({name})b::{kind}" for name, kind in zip(names, kinds, strict=True))
            for names in value_names(count)
        ]
        rows = f"(VALUES ({'), ('.join(lines)}))"
    else:
        rows = f"unnest({', '.join(f'%({name})b::{kind}[]' for name, kind in WRITE.items())})"
    return (PUT_WRITES_OF_LEASE if lease else PUT_WRITES).format(rows=rows, conflict=REPLACED if replaces else STAYS)


class PostgresSql(Sql):
    words = {
        "pairs": "jsonb_each_text",
        "texts": "jsonb_array_elements_text",
        "elements": "json_array_elements",
        "gather": "jsonb_agg",
        "json": "jsonb",
        "bytes": "bytea",
        "data": "b.data || ''::bytea",  # fetched once, not for each of the hashes in it
        "blob": f"LATERAL (SELECT * FROM langgraph_blobs b WHERE {VERSION} LIMIT 1) b",
        "positions": f"generate_series(1, length(b.data), {HASH_BYTES}) AS position",
    }
    #: an array is looked up in one go, and plans for ten
    items_of_session = "i.session_id = %(session_id)s AND i.hash = ANY (ARRAY(SELECT hash FROM hashes))"
    filter = """NOT EXISTS (
        SELECT 1 FROM jsonb_each(%(filter)s::jsonb) f WHERE COALESCE(c.metadata -> f.key, 'null'::jsonb) <> f.value
    )"""

    lock = "SELECT id FROM sessions WHERE id = %(session_id)s FOR UPDATE"

    def put(
        self,
        put: Mapping[str, Any],
        blobs: Sequence[tuple[str, str, str, bytes]],
        items: Mapping[bytes, Stored],
        messages: Sequence[Sequence[Any]],
    ) -> Steps[Outcome]:
        hashes = sorted(items)
        parameters = {
            **put,
            **columns(("blob_channel", "blob_version", "blob_type", "blob_data"), blobs),
            "item_hash": hashes,
            "item_type": [items[hash].type for hash in hashes],
            "item_data": [items[hash].data for hash in hashes],
            "messages": orjson.dumps(messages).decode(),
        }
        statement = put_statement(
            known=put["epoch"] is not None,
            blobs=bool(blobs),
            items=bool(items),
            messages=bool(messages),
            record="record_id" in put,
        )
        rows = yield Write(statement, parameters)
        return Outcome(*rows[0])

    def put_writes(self, writes: Mapping[str, Any], rows: Sequence[tuple[int, str, str, bytes]]) -> Steps[Any]:
        if (count := len(rows)) > FEW:
            count, parameters = 0, {**writes, **columns(WRITE, rows)}
        else:
            parameters = dict(writes)
            for names, row in zip(value_names(count), rows, strict=True):
                parameters.update(zip(names, row, strict=True))
        replaces = any(row[0] < 0 for row in rows)
        statement = put_writes_statement(count, lease=writes["writer"] is not None, replaces=replaces)
        if writes["writer"] is not None:
            return (yield Write(statement, parameters))[0]
        if not (yield CountedWrite(statement, parameters)):
            # All of them were there already, or the session was not.
            if not (yield IN_WORKSPACE, writes):
                return False, True
            yield CountedWrite(statement, parameters)
        return True, True
