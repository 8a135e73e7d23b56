"""The oldest and the newest checkpoint of each namespace of some sessions: how pages and figures see how runs stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connections

#: namespaces of a session that are looked at
NAMESPACES = 60

# Walks the unique index from one namespace to the next, so that a session of 100,000 checkpoints costs no more than
# one of ten. The oldest of a namespace is read as well: where it is a fork's, the session is one.
SQL = """
WITH RECURSIVE namespaces (session_id, namespace, number) AS (
    SELECT s.id, (SELECT MIN(c.namespace) FROM checkpoints c WHERE c.session_id = s.id), 1
    FROM sessions s WHERE s.id IN ({sessions})
    UNION ALL
    SELECT n.session_id, (SELECT MIN(c.namespace) FROM checkpoints c
                          WHERE c.session_id = n.session_id AND c.namespace > n.namespace), n.number + 1
    FROM namespaces n WHERE n.namespace IS NOT NULL AND n.number < {namespaces:d}
), ends (session_id, namespace, oldest, newest) AS (
    SELECT n.session_id, n.namespace,
           (SELECT MIN(version) FROM checkpoints c WHERE c.session_id = n.session_id AND c.namespace = n.namespace),
           (SELECT MAX(version) FROM checkpoints c WHERE c.session_id = n.session_id AND c.namespace = n.namespace)
    FROM namespaces n WHERE n.namespace IS NOT NULL
)
SELECT c.id, c.session_id, c.parent_id, c.source, c.version = e.newest
FROM ends e {rows}
ORDER BY c.created_at DESC, c.id DESC
"""
_OF_END = "c.session_id = e.session_id AND c.namespace = e.namespace AND c.version IN (e.oldest, e.newest)"
# PostgreSQL does not know how few the walk finds: of a join it would make a scan of the whole table.
ROWS = {
    "postgresql": f"CROSS JOIN LATERAL (SELECT * FROM checkpoints c WHERE {_OF_END} OFFSET 0) c",
    "sqlite": f"JOIN checkpoints c ON {_OF_END}",
}


class End(NamedTuple):
    """The oldest or the newest checkpoint of a namespace."""

    id: str
    session_id: str
    parent_id: str | None
    source: str
    is_newest: bool


def ends(database: str, session_ids: Sequence[str], *, namespaces: int = NAMESPACES) -> list[End]:
    """Those of the first ``namespaces`` namespaces of each session, the newest first, by one statement."""
    if not session_ids:
        return []
    places, rows = ", ".join(["%s"] * len(session_ids)), ROWS[connections[database].vendor]
    sql = SQL.format(sessions=places, namespaces=namespaces, rows=rows)
    with connections[database].cursor() as cursor:
        cursor.execute(sql, list(session_ids))
        return [End(*row) for row in cursor.fetchall()]
