"""Adding messages with their originals is one statement on PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.contrib.transcripts.sql import Sql
from obsku_checkpoint.store.calls import Write
from obsku_checkpoint.store.rows import Row
from obsku_checkpoint.store.sql_postgres import MESSAGE, array

#: the ids are taken under the session's lock, so that batches of several writers do not interleave
ADD = """
WITH session AS (
    UPDATE sessions SET updated_at = GREATEST(
        %(now)s::bigint,
        CASE WHEN updated_at < %(horizon)s::bigint THEN updated_at + %(count)s::bigint END,
        (SELECT max(created_at) + %(count)s::bigint FROM messages
        WHERE session_id = %(session_id)s::text AND created_at < %(horizon)s::bigint)
    )
    WHERE id = %(session_id)s::text
    RETURNING id, updated_at
), fresh AS MATERIALIZED (
    SELECT
        nextval(pg_get_serial_sequence('messages', 'id'))::integer AS id, session.id AS session_id, m.*,
        session.updated_at - %(count)s::bigint + m.position AS created_at
    FROM session, unnest(
        %(role)s::text[], %(content)s::text[], %(tool_calls)s::text[], %(tool_results)s::text[],
        %(tokens_in)s::integer[], %(tokens_out)s::integer[], %(data)s::text[]
    ) WITH ORDINALITY AS m (role, content, tool_calls, tool_results, tokens_in, tokens_out, data, position)
    ORDER BY m.position
), added AS (
    INSERT INTO messages (id, session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
    SELECT id, session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at
    FROM fresh ORDER BY position
), beside AS (
    INSERT INTO originals (row_id, format, data) SELECT id, %(format)s::text, data FROM fresh ORDER BY position
)
SELECT id, created_at FROM fresh ORDER BY position
"""


class PostgresSql(Sql):
    def add(
        self, session_id: str, rows: Sequence[Row], format: str, originals: Sequence[str], clock: Mapping[str, int]
    ) -> Steps[list[tuple[int, int]]]:
        columns = dict(zip(MESSAGE, map(array, zip(*rows, strict=True)), strict=True))
        given = {"session_id": session_id, "count": len(rows), "format": format, "data": array(originals)}
        added: list[tuple[int, int]] = yield Write(ADD, {**clock, **columns, **given})
        return added
