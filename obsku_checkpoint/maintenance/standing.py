"""How many of the sessions that were written to last wait for a person, or have failed, as far as SQL can tell."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections

from obsku_checkpoint.maintenance.newest import narrowed, workspaces
from obsku_checkpoint.models import Session
from obsku_checkpoint.records import CorruptValue
from obsku_checkpoint.run_state import NOT_A_FAILURE
from obsku_checkpoint.scope import limited

#: the sessions, those written to last, whose runs are looked at
LAST = 1000
#: namespaces of a session that are looked at, and bytes of results that are searched
NAMESPACES, LARGE = 20, 1_000_000

# Walks the unique index from one namespace to the next, so that a session of 100,000 checkpoints costs no more than
# one of ten. Both writers' JSON has no spaces. An output that holds the same words counts too: to tell, the database
# would have to parse every result.
_NEWEST = """
WITH RECURSIVE namespaces (session_id, namespace, number) AS (
    SELECT s.id, (SELECT MIN(c.namespace) FROM checkpoints c WHERE c.session_id = s.id), 1
    FROM sessions s WHERE s.id IN ({ids})
    UNION ALL
    SELECT n.session_id, (SELECT MIN(c.namespace) FROM checkpoints c
                          WHERE c.session_id = n.session_id AND c.namespace > n.namespace), n.number + 1
    FROM namespaces n WHERE n.namespace IS NOT NULL AND n.number < {namespaces}
)
SELECT (SELECT c.id FROM checkpoints c WHERE c.session_id = n.session_id AND c.namespace = n.namespace
        ORDER BY c.version DESC LIMIT 1)
FROM namespaces n WHERE n.namespace IS NOT NULL
"""
# Their ids are known to the planner, which in one statement would read the whole table for them.
_STANDING = """
SELECT count(DISTINCT CASE WHEN asks THEN session_id END), count(DISTINCT CASE WHEN failed THEN session_id END)
FROM (
    SELECT c.session_id, c.source = 'interrupt' OR (c.source = 'fork' AND c.pending_nodes <> '[]') AS asks,
           CASE WHEN {bytes} <= {large} THEN replace(c.node_results, %s, '') LIKE %s END AS failed
    FROM checkpoints c WHERE c.id IN ({ids})
) said
"""
_BYTES = {"postgresql": "octet_length(c.node_results)", "sqlite": "length(CAST(c.node_results AS BLOB))"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Of the sessions written to last, those whose newest checkpoint of a run asks a person, or has a failure."""

    waiting: int
    failed: int
    #: the sessions that were looked at, `LAST` at most
    sessions: int
    #: when the first of them was last written to; None where there is none
    since: datetime | None


def standing(using: str, visible: Collection[str] | None) -> Standing:
    """``visible``: the workspaces that count, None for all."""
    sessions: Any = Session.objects.using(using)
    rows = limited(sessions, visible, "workspace_id").newest_first()
    if visible is None:
        rows = narrowed(rows, workspaces(using), LAST, None)
    found = list(rows.values_list("pk", "updated_at")[:LAST])
    if not found:
        return Standing(waiting=0, failed=0, sessions=0, since=None)
    with connections[using].cursor() as cursor:
        ids = [id for id, _ in found]
        cursor.execute(_NEWEST.format(ids=_places(ids), namespaces=NAMESPACES), ids)
        newest = [id for (id,) in cursor.fetchall()]
        sql = _STANDING.format(ids=_places(newest), large=LARGE, bytes=_BYTES[connections[using].vendor])
        cursor.execute(sql, [NOT_A_FAILURE, '%"status":"failed"%', *newest])
        [(waiting, failed)] = cursor.fetchall()
    times = [updated_at for _, updated_at in found if not isinstance(updated_at, CorruptValue)]
    return Standing(waiting=waiting, failed=failed, sessions=len(found), since=min(times, default=None))


def _places(ids: list[str]) -> str:
    return ", ".join(["%s"] * len(ids)) or "NULL"
