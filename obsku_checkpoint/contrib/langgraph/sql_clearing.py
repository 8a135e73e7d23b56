"""The statements that delete and copy: a few in a transaction, in the words of `sql.py` beside this file.

``gone`` is a JSON array of [namespace, checkpoint_id].
"""

from __future__ import annotations

from obsku_checkpoint.contrib.langgraph.blobs import HASH_BYTES, ITEMS

ENTRIES = """
SELECT
    namespace, checkpoint_id, parent_id, CAST(channels AS text), CAST(metadata AS text), run_id, record_id
FROM langgraph_checkpoints WHERE session_id = %(session_id)s
"""

THREADS_OF_RUNS = """
SELECT DISTINCT session_id FROM langgraph_checkpoints WHERE run_id IN (SELECT value FROM {texts}(%(runs)s)) ORDER BY 1
"""

_GONE = "(SELECT e.value ->> 0, e.value ->> 1 FROM {elements}(%(gone)s) e)"

DELETE_WRITES = f"""
DELETE FROM langgraph_writes WHERE session_id = %(session_id)s AND (namespace, checkpoint_id) IN {_GONE} RETURNING idx
"""

DELETE_STATES = f"""
DELETE FROM langgraph_checkpoints
WHERE session_id = %(session_id)s AND (namespace, checkpoint_id) IN {_GONE} RETURNING checkpoint_id
"""

CLEAR_PARENTS = f"""
UPDATE langgraph_checkpoints SET parent_id = NULL
WHERE session_id = %(session_id)s AND (namespace, parent_id) IN {_GONE} RETURNING checkpoint_id
"""

#: with a record that asks, those before it go, which the checkpoint had until its tasks asked
DELETE_RECORDS = """
WITH RECURSIVE gone (id) AS (
    SELECT value FROM {texts}(%(records)s)
    UNION
    SELECT old.id FROM gone JOIN checkpoints k ON k.id = gone.id JOIN checkpoints old
        ON old.id = k.parent_id AND old.session_id = k.session_id AND old.namespace = k.namespace AND old.step = k.step
    WHERE k.source = 'interrupt'
)
DELETE FROM checkpoints WHERE session_id = %(session_id)s AND id IN (SELECT id FROM gone) RETURNING id
"""

DELETE_BLOBS = """
DELETE FROM langgraph_blobs WHERE session_id = %(session_id)s AND (namespace, channel, version) NOT IN (
    SELECT c.namespace, v.key, v.value FROM langgraph_checkpoints c, {pairs}(c.channels) v
    WHERE c.session_id = %(session_id)s AND v.value IS NOT NULL
) RETURNING version
"""

DELETE_ITEMS = f"""
WITH blobs AS (
    SELECT type, data FROM langgraph_blobs WHERE session_id = %(session_id)s AND type = '{ITEMS}'
)
DELETE FROM langgraph_items WHERE session_id = %(session_id)s AND hash NOT IN (
    SELECT substr(b.data, position, {HASH_BYTES}) FROM blobs b, {{positions}} WHERE position < length(b.data)
) RETURNING type
"""

NEW_EPOCH = "UPDATE langgraph_threads SET epoch = %(epoch)s WHERE session_id = %(session_id)s RETURNING epoch"

#: the checkpoint that a record is of. Questions are records after the first one, and the checkpoint has the last.
OF_RECORD = """
WITH RECURSIVE records (id) AS (
    SELECT id FROM checkpoints WHERE id = %(record_id)s
    UNION
    SELECT k.id FROM records r JOIN checkpoints old ON old.id = r.id JOIN checkpoints k
        ON k.session_id = old.session_id AND k.namespace = old.namespace AND k.step = old.step AND k.parent_id = old.id
    WHERE k.source = 'interrupt'
)
SELECT c.session_id, c.namespace, c.checkpoint_id, c.record_id
FROM records r JOIN langgraph_checkpoints c ON c.record_id = r.id
"""

#: the checkpoints whose tasks ask a person
ASKING = """
SELECT DISTINCT namespace, checkpoint_id FROM langgraph_writes
WHERE session_id = %(session_id)s AND channel = '__interrupt__'
"""

# -- retention

#: threads that rest since before a time, in the order of their ids
THREADS = """
SELECT t.session_id FROM langgraph_threads t JOIN sessions s ON s.id = t.session_id
WHERE s.updated_at < %(before)s AND (CAST(%(after)s AS text) IS NULL OR t.session_id > %(after)s)
AND (CAST(%(workspace_id)s AS text) IS NULL OR s.workspace_id = %(workspace_id)s)
AND (
    CAST(%(sessions)s AS text) IS NULL OR s.id IN (SELECT value FROM {texts}(CAST(%(sessions)s AS {json})))
)
ORDER BY t.session_id LIMIT %(limit)s
"""

#: the records of some threads that forks come from, also those that the checkpoint has had since
FORKED = """
WITH RECURSIVE forked (id) AS (
    SELECT k.parent_id FROM checkpoints k WHERE k.source = 'fork' AND k.parent_id IN (
        SELECT o.id FROM checkpoints o WHERE o.session_id IN (SELECT value FROM {texts}(%(threads)s))
    )
    UNION
    SELECT k.id FROM forked JOIN checkpoints old ON old.id = forked.id JOIN checkpoints k
        ON k.session_id = old.session_id AND k.namespace = old.namespace AND k.step = old.step AND k.parent_id = old.id
    WHERE k.source = 'interrupt'
)
SELECT id FROM forked
"""

BYTES = """
SELECT
    (SELECT coalesce(sum(length(data)), 0) FROM langgraph_blobs WHERE session_id = %(session_id)s)
    + (SELECT coalesce(sum(length(data)), 0) FROM langgraph_items WHERE session_id = %(session_id)s)
    + (SELECT coalesce(sum(length(data)), 0) FROM langgraph_writes WHERE session_id = %(session_id)s)
    + (SELECT coalesce(sum(length(payload)), 0) FROM langgraph_checkpoints WHERE session_id = %(session_id)s)
"""

_EXPIRED = """FROM langgraph_store WHERE expires_at <= %(now)s
AND (CAST(%(workspace_id)s AS text) IS NULL OR workspace_id = %(workspace_id)s)"""
EXPIRED = f"SELECT count(*) {_EXPIRED}"
DELETE_EXPIRED = f"DELETE {_EXPIRED} RETURNING id"

# -- copies: ``keys`` and ``points`` as ``gone``, ``records`` is a JSON array of [old id, new id]

_KEYS = "(SELECT e.value ->> 0, e.value ->> 1 FROM {elements}(%(keys)s) e)"
_POINTS = "(SELECT e.value ->> 0, e.value ->> 1 FROM {elements}(%(points)s) e)"

COPY_SESSION = """
INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at, metadata)
SELECT
    %(target)s, workspace_id, %(prefix)s || coalesce(nullif(title, ''), id), directory, %(now)s, updated_at, metadata
FROM sessions WHERE id = %(source)s
ON CONFLICT DO NOTHING RETURNING id
"""

HAS_STATES = "SELECT 1 FROM langgraph_checkpoints WHERE session_id = %(target)s LIMIT 1"

COPY_MESSAGES = """
INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
SELECT %(target)s, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at
FROM messages WHERE session_id = %(source)s ORDER BY created_at, id
RETURNING id
"""

#: the copies stand in the order of their originals
COPY_TRANSCRIBED = """
INSERT INTO langgraph_messages (session_id, message_id, row_id)
SELECT %(target)s, l.message_id, new.id
FROM (
    SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM messages WHERE session_id = %(target)s
) new JOIN (
    SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM messages WHERE session_id = %(source)s
) old ON old.place = new.place JOIN langgraph_messages l ON l.row_id = old.id
RETURNING row_id
"""

COPY_RECORDS = """
INSERT INTO checkpoints (
    id, session_id, namespace, parent_id, version, step, node_id, node_results, pending_nodes, cycle_state, source,
    created_at
)
SELECT
    e.value ->> 1, %(target)s, k.namespace,
    coalesce((SELECT p.value ->> 1 FROM {elements}(%(records)s) p WHERE p.value ->> 0 = k.parent_id), k.parent_id),
    k.version, k.step, k.node_id, k.node_results, k.pending_nodes, k.cycle_state, k.source, k.created_at
FROM {elements}(%(records)s) e JOIN checkpoints k ON k.id = e.value ->> 0
RETURNING id
"""

COPY_STATES = f"""
INSERT INTO langgraph_checkpoints (
    session_id, namespace, checkpoint_id, parent_id, record_id, run_id, type, payload, channels, metadata, created_at
)
SELECT
    %(target)s, c.namespace, c.checkpoint_id, c.parent_id,
    (SELECT p.value ->> 1 FROM {{elements}}(%(records)s) p WHERE p.value ->> 0 = c.record_id),
    c.run_id, c.type, c.payload, c.channels, c.metadata, c.created_at
FROM langgraph_checkpoints c WHERE c.session_id = %(source)s AND (c.namespace, c.checkpoint_id) IN {_KEYS}
RETURNING checkpoint_id
"""

COPY_BLOBS = """
INSERT INTO langgraph_blobs (session_id, namespace, channel, version, type, data)
SELECT %(target)s, b.namespace, b.channel, b.version, b.type, b.data
FROM langgraph_blobs b WHERE b.session_id = %(source)s AND (b.namespace, b.channel, b.version) IN (
    SELECT c.namespace, v.key, v.value FROM langgraph_checkpoints c, {pairs}(c.channels) v
    WHERE c.session_id = %(target)s
)
RETURNING version
"""

COPY_ITEMS = f"""
WITH blobs AS (
    SELECT type, data FROM langgraph_blobs WHERE session_id = %(target)s AND type = '{ITEMS}'
)
INSERT INTO langgraph_items (session_id, hash, type, data)
SELECT %(target)s, hash, type, data FROM langgraph_items WHERE session_id = %(source)s AND hash IN (
    SELECT substr(b.data, position, {HASH_BYTES}) FROM blobs b, {{positions}} WHERE position < length(b.data)
)
RETURNING type
"""

#: of the tasks of ``points``, only what they ask
COPY_WRITES = f"""
INSERT INTO langgraph_writes
    (session_id, namespace, checkpoint_id, task_id, idx, channel, type, data, task_path)
SELECT %(target)s, namespace, checkpoint_id, task_id, idx, channel, type, data, task_path
FROM langgraph_writes WHERE session_id = %(source)s AND (namespace, checkpoint_id) IN {_KEYS}
AND (channel = '__interrupt__' OR (namespace, checkpoint_id) NOT IN {_POINTS})
RETURNING idx
"""
