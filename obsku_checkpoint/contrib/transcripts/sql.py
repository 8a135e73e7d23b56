"""The statements: as SQLite takes them, and as PostgreSQL does where it can say more in one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache

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

#: The originals alone, in no order; and in a row without an id the ids of the messages, in the order asked for, as
#: JSON. An id is null where a repair has taken away or added what the columns say. There is no original where another
#: program wrote the message, or in a form that not every reader of JSON reads exactly. All ids are given to the
#: originals' index at once: PostgreSQL goes through it once then (since 17), not once for each message, whatever the
#: planner knows. A limit that is a parameter looks cheap to it, so that it does not plan each call anew.
READ_ORIGINALS = """
WITH read AS (
    SELECT {array}(whole) AS ids FROM (
        SELECT CASE
            WHEN (tool_calls IS NULL OR tool_results IS NULL)
            AND (content IS NOT NULL OR tool_calls IS NOT NULL OR tool_results IS NOT NULL) THEN id
        END AS whole
        FROM messages WHERE session_id = %(session_id)s ORDER BY {order} LIMIT %(limit)s
    ) m
)
SELECT row_id, data FROM originals WHERE row_id {one_of_ids} AND format = %(format)s AND substr(data, 1, 1) <> ' '
UNION ALL SELECT NULL, {json_of_ids} FROM read
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
    words = {
        "array": "json_group_array",
        "one_of_ids": "IN (SELECT value FROM json_each((SELECT ids FROM read)))",
        "json_of_ids": "ids",
    }

    @classmethod
    @cache
    def read_originals(cls, order: str) -> str:
        return READ_ORIGINALS.format(order=order, **cls.words)

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
