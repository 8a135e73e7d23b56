"""The statements: as SQLite takes them, and as PostgreSQL does where it can say more in one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.store import sql
from obsku_checkpoint.store.calls import Write, atomic
from obsku_checkpoint.store.rows import Row

INSERT_ORIGINALS = """
INSERT INTO originals (row_id, format, data)
SELECT value ->> 0, %(format)s, value ->> 1 FROM json_each(%(originals)s) WHERE true
RETURNING row_id
"""

#: What is read of messages that have an original; it says the rest. ``beside``: results beside calls, which a repair
#: has put there. ``silent``: the message has no call and no result, which a repair may have removed. A look-up for each
#: message costs as much however many originals there are, where a join depends on what the planner knows of them.
_ORIGINAL = """
    CASE WHEN m.tool_calls IS NOT NULL THEN m.tool_results END AS beside,
    m.tool_calls IS NULL AND m.tool_results IS NULL AS silent,
    (SELECT o.data FROM originals o WHERE o.row_id = m.id AND o.format = %(format)s) AS data
"""
_COLUMNS = """
    m.id, m.session_id, m.role, m.content, m.tool_calls, m.tool_results, m.tokens_in, m.tokens_out, m.created_at,"""

#: The originals alone; null for a message whose original does not say all: it has none, or one in a form that not every
#: reader of JSON reads exactly, or a repair has taken away or added what the columns say. They come as rows, which are
#: read while the server looks for the next ones: one text of them all is made too slowly. What is sorted is narrow.
READ_ORIGINALS = """
SELECT CASE WHEN m.is_unchanged THEN (
    SELECT o.data FROM originals o
    WHERE o.row_id = m.id AND o.format = %(format)s AND substr(o.data, 1, 1) <> ' '
) END
FROM (
    SELECT
        id, created_at, (tool_calls IS NULL OR tool_results IS NULL)
        AND (content IS NOT NULL OR tool_calls IS NOT NULL OR tool_results IS NOT NULL) AS is_unchanged
    FROM messages WHERE session_id = %(session_id)s
    ORDER BY created_at DESC, id DESC LIMIT %(limit)s
) m
ORDER BY m.created_at DESC, m.id DESC
"""
READ = f"""SELECT{_COLUMNS}{_ORIGINAL}FROM messages m WHERE m.session_id = %(session_id)s
ORDER BY m.created_at DESC, m.id DESC LIMIT %(limit)s
"""
#: the limit where all are asked for
ALL = 2**63 - 1

#: the messages up to one of them
READ_UP_TO = f"""SELECT{_COLUMNS}{_ORIGINAL}FROM messages last JOIN messages m
    ON m.session_id = last.session_id AND (m.created_at, m.id) <= (last.created_at, last.id)
WHERE last.id = %(last_id)s
ORDER BY m.created_at DESC, m.id DESC LIMIT %(limit)s
"""

CLEAR = "DELETE FROM messages WHERE session_id = %(session_id)s RETURNING id"


class Sql:
    def add(
        self, session_id: str, rows: Sequence[Row], format: str, originals: Sequence[str], clock: Mapping[str, int]
    ) -> Steps[list[tuple[int, int]]]:
        """(id, created_at) of each new message; nothing where the session does not exist.

        A row has the columns from ``role`` to ``tokens_out``; there are as many originals.
        """
        parameters = {"session_id": session_id, "count": len(rows), "rows": json.dumps(rows), **clock}

        def steps() -> Steps[list[tuple[int, int]]]:
            touched = yield Write(sql.TOUCH_FOR_MESSAGES, parameters)
            if not touched:
                return []
            added = sorted((yield Write(sql.INSERT_MESSAGES, {**parameters, "last": touched[0][0]})))
            pairs = [[id, data] for (id, _), data in zip(added, originals, strict=True)]
            yield Write(INSERT_ORIGINALS, {"format": format, "originals": json.dumps(pairs)})
            return added

        return (yield from atomic(steps))
