"""The statements that read, in the words of `sql.py` beside this file."""

from __future__ import annotations

from obsku_checkpoint.contrib.langgraph.blobs import HASH_BYTES, ITEMS

#: kind 0 is a checkpoint, 1 a blob, 2 a write, 3 an item: all that a page of checkpoints consists of, each thing once.
#: The limit is part of the text: with one that PostgreSQL does not know beforehand it plans a prepared statement anew
#: for each call, which took as long as all the rest.
READ = f"""
WITH page AS MATERIALIZED (
    SELECT c.session_id, c.namespace, c.checkpoint_id, c.parent_id, c.type, c.payload, c.channels, c.metadata
    FROM langgraph_checkpoints c WHERE {{where}}
    ORDER BY c.checkpoint_id DESC, c.session_id DESC, c.namespace DESC LIMIT {{limit}}
), blobs AS MATERIALIZED (
    SELECT b.session_id, b.namespace, b.channel, b.version, b.type, {{data}} AS data
    FROM (
        SELECT DISTINCT p.session_id, p.namespace, v.key AS channel, v.value AS version
        FROM page p, {{pairs}}(p.channels) v
    ) v CROSS JOIN {{blob}}
), hashes AS (
    SELECT b.session_id, substr(b.data, position, {HASH_BYTES}) AS hash FROM blobs b, {{positions}}
    WHERE b.type = '{ITEMS}' AND position < length(b.data)
)
SELECT
    0 AS kind, session_id, namespace, checkpoint_id, parent_id, CAST(channels AS text), CAST(metadata AS text), type,
    payload, 0, CAST(NULL AS bytea)
FROM page
UNION ALL
SELECT 1, session_id, namespace, channel, version, NULL, NULL, type, data, 0, NULL FROM blobs
UNION ALL
SELECT 2, w.session_id, w.namespace, w.checkpoint_id, w.task_id, w.task_path, w.channel, w.type, w.data, w.idx, NULL
FROM page p JOIN langgraph_writes w
    ON w.session_id = p.session_id AND w.namespace = p.namespace AND w.checkpoint_id = p.checkpoint_id
UNION ALL
SELECT 3, i.session_id, NULL, NULL, NULL, NULL, NULL, i.type, i.data, 0, i.hash FROM langgraph_items i WHERE {{items}}
"""

#: the blob of a channel's version
VERSION = """b.session_id = v.session_id AND b.namespace = v.namespace AND b.channel = v.channel
        AND b.version = v.version"""

#: what checkpoints are chosen by, in SQL
CONDITIONS = {
    "session_id": "c.session_id = %(session_id)s",
    "namespace": "c.namespace = %(namespace)s",
    "checkpoint_id": "c.checkpoint_id = %(checkpoint_id)s",
    "before": "c.checkpoint_id < %(before)s",
    "after": "(c.checkpoint_id, c.session_id, c.namespace) < (%(after)s, %(after_session)s, %(after_namespace)s)",
    "workspace_id": """EXISTS (
        SELECT 1 FROM sessions s WHERE s.id = c.session_id AND s.workspace_id = %(workspace_id)s
    )""",
}

#: the parents of a checkpoint up to where each of the wanted channels has a value. Kind 0 is a write, 1 a value in a
#: blob, 2 a payload that holds the value
HISTORY = """
WITH RECURSIVE chain (checkpoint_id, parent_id, channels, depth, wanted) AS (
    SELECT p.checkpoint_id, p.parent_id, p.channels, 0, CAST(%(channels)s AS {json})
    FROM langgraph_checkpoints c JOIN langgraph_checkpoints p
        ON p.session_id = c.session_id AND p.namespace = c.namespace AND p.checkpoint_id = c.parent_id
    WHERE c.session_id = %(session_id)s AND c.namespace = %(namespace)s AND c.checkpoint_id = coalesce(
        %(checkpoint_id)s,
        (SELECT max(checkpoint_id) FROM langgraph_checkpoints
        WHERE session_id = %(session_id)s AND namespace = %(namespace)s)
    ) AND (CAST(%(workspace_id)s AS text) IS NULL OR EXISTS (
        SELECT 1 FROM sessions s WHERE s.id = c.session_id AND s.workspace_id = %(workspace_id)s
    ))
    UNION ALL
    SELECT
        p.checkpoint_id, p.parent_id, p.channels, q.depth + 1,
        (SELECT {gather}(w.value) FROM {texts}(q.wanted) w
        WHERE w.value NOT IN (SELECT v.key FROM {pairs}(q.channels) v))
    FROM chain q JOIN langgraph_checkpoints p
        ON p.session_id = %(session_id)s AND p.namespace = %(namespace)s AND p.checkpoint_id = q.parent_id
    WHERE q.depth < 100000 AND EXISTS (
        SELECT 1 FROM {texts}(q.wanted) w WHERE w.value NOT IN (SELECT v.key FROM {pairs}(q.channels) v)
    )
)
SELECT 0 AS kind, chain.depth, w.channel, w.type, w.data, w.task_id, w.task_path, w.idx
FROM chain JOIN langgraph_writes w
    ON w.session_id = %(session_id)s AND w.namespace = %(namespace)s AND w.checkpoint_id = chain.checkpoint_id
WHERE w.channel IN (SELECT value FROM {texts}(chain.wanted))
UNION ALL
SELECT 1, chain.depth, v.key, b.type, b.data, NULL, NULL, 0
FROM chain, {pairs}(chain.channels) v JOIN langgraph_blobs b
    ON b.session_id = %(session_id)s AND b.namespace = %(namespace)s AND b.channel = v.key AND b.version = v.value
WHERE v.key IN (SELECT value FROM {texts}(chain.wanted))
UNION ALL
SELECT 2, chain.depth, v.key, c.type, c.payload, NULL, NULL, 0
FROM chain, {pairs}(chain.channels) v JOIN langgraph_checkpoints c
    ON c.session_id = %(session_id)s AND c.namespace = %(namespace)s
WHERE c.checkpoint_id = chain.checkpoint_id AND v.value IS NULL
    AND v.key IN (SELECT value FROM {texts}(chain.wanted))
"""

ITEMS_OF_THREAD = "SELECT type, data FROM langgraph_items WHERE session_id = %(session_id)s"

# -- for people: no value of more than ``bytes`` is read

PAYLOAD_VIEW = """
SELECT CAST(channels AS text), type, CASE WHEN length(payload) <= 50 * %(bytes)s THEN payload END
FROM langgraph_checkpoints
WHERE session_id = %(session_id)s AND namespace = %(namespace)s AND checkpoint_id = %(checkpoint_id)s
"""

VALUES_VIEW = f"""
SELECT v.key, b.type, length(b.data), CASE WHEN length(b.data) <= %(bytes)s OR b.type = '{ITEMS}' THEN b.data END
FROM langgraph_checkpoints c, {{pairs}}(c.channels) v JOIN langgraph_blobs b
    ON b.session_id = %(session_id)s AND b.namespace = %(namespace)s AND b.channel = v.key AND b.version = v.value
WHERE c.session_id = %(session_id)s AND c.namespace = %(namespace)s AND c.checkpoint_id = %(checkpoint_id)s
ORDER BY v.key LIMIT %(limit)s
"""


def elements_view(count: int) -> str:
    """For the bound, the session and ``count`` hashes."""
    return f"""
SELECT hash, type, length(data), CASE WHEN length(data) <= %s THEN data END
FROM langgraph_items WHERE session_id = %s AND hash IN ({", ".join(["%s"] * count)})
"""
