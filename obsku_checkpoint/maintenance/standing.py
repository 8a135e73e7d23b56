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
from obsku_checkpoint.run_state import A_FAILURE, NOT_A_FAILURE
from obsku_checkpoint.scope import limited
from obsku_checkpoint.store.ends import ends
from obsku_checkpoint.store.sql import octets

#: the sessions, those written to last, whose runs are looked at
LAST = 1000
#: namespaces of a session that are looked at, and bytes of results up to which they are searched
NAMESPACES, LARGE = 20, 1_000_000

# An output that holds the same words counts too: to tell, the database would have to parse every result.
# Their ids are known to the planner, which in one statement would read the whole table for them.
_STANDING = """
SELECT count(DISTINCT CASE WHEN asks THEN session_id END), count(DISTINCT CASE WHEN failed THEN session_id END),
       count(DISTINCT CASE WHEN failed IS NULL THEN session_id END)
FROM (
    SELECT c.session_id, c.source = 'interrupt' OR (c.source = 'fork' AND c.pending_nodes <> '[]') AS asks,
           CASE WHEN {bytes} <= {large} THEN replace(c.node_results, %s, '') LIKE %s END AS failed
    FROM checkpoints c WHERE c.id IN ({ids})
) said
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Of the sessions written to last, those whose newest checkpoint of a run asks a person, or has a failure."""

    waiting: int
    failed: int
    #: those with results of more than `LARGE` bytes, which are not searched for a failure
    unsearched: int
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
        return Standing(waiting=0, failed=0, unsearched=0, sessions=0, since=None)
    newest = [end.id for end in ends(using, [id for id, _ in found], namespaces=NAMESPACES) if end.is_newest]
    places = ", ".join(["%s"] * len(newest)) or "NULL"
    sql = _STANDING.format(ids=places, large=LARGE, bytes=octets(connections[using].vendor, "c.node_results"))
    with connections[using].cursor() as cursor:
        cursor.execute(sql, [NOT_A_FAILURE, f"%{A_FAILURE}%", *newest])
        [(waiting, failed, unsearched)] = cursor.fetchall()
    times = [updated_at for _, updated_at in found if not isinstance(updated_at, CorruptValue)]
    return Standing(
        waiting=waiting,
        failed=failed,
        unsearched=unsearched,
        sessions=len(found),
        since=min(times, default=None),
    )
