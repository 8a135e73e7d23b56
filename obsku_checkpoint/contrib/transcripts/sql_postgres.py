"""Adding messages with their originals is one statement on PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.contrib.transcripts.sql import Sql
from obsku_checkpoint.store.calls import Write
from obsku_checkpoint.store.rows import Row
from obsku_checkpoint.store.sql_postgres import MESSAGE, array

#: A message is the one of its original by its time: the batch's are those of ``count`` milliseconds, one after another,
#: which the session's lock keeps for it.
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
), given AS MATERIALIZED (
    SELECT m.*, session.id AS session_id, session.updated_at - %(count)s::bigint + m.position AS created_at
    FROM session, unnest(
        %(role)s::text[], %(content)s::text[], %(tool_calls)s::text[], %(tool_results)s::text[],
        %(tokens_in)s::integer[], %(tokens_out)s::integer[], %(data)s::text[]
    ) WITH ORDINALITY AS m (role, content, tool_calls, tool_results, tokens_in, tokens_out, data, position)
), added AS (
    INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
    SELECT session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at
    FROM given ORDER BY position
    RETURNING id, created_at
), beside AS (
    INSERT INTO originals (row_id, format, data)
    SELECT added.id, %(format)s::text, given.data FROM added JOIN given USING (created_at) ORDER BY added.id
)
SELECT id, created_at FROM added ORDER BY created_at
"""


class PostgresSql(Sql):
    words = {
        "array": "array_agg",
        "one_of_ids": "= ANY((SELECT ids FROM read)::integer[])",
        "json_of_ids": "array_to_json(ids)::text",
    }

    def add(
        self, session_id: str, rows: Sequence[Row], format: str, originals: Sequence[str], clock: Mapping[str, int]
    ) -> Steps[list[tuple[int, int]]]:
        columns = dict(zip(MESSAGE, map(array, zip(*rows, strict=True)), strict=True))
        given = {"session_id": session_id, "count": len(rows), "format": format, "data": array(originals)}
        added: list[tuple[int, int]] = yield Write(ADD, {**clock, **columns, **given})
        return added
