"""The newest sessions across workspaces, by the index on (workspace_id, updated_at); none is on ``updated_at`` alone.

Where there are few workspaces, the newest N sessions of all of them are found by asking each for its own N-th: the
latest of these moments is one that N sessions are not older than, so no session that is older can be among them. The
index then finds those that are not, in each workspace.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connections
from django.db.models import Q

from obsku_checkpoint.fields import from_milliseconds, to_milliseconds
from obsku_checkpoint.models import Session
from obsku_checkpoint.querysets import SessionQuerySet

#: so many are offered as filters, and asked one by one
WORKSPACES = 100

_SESSIONS = Session._meta.db_table
_NTH = " AND updated_at <= %s ORDER BY updated_at DESC LIMIT 1 OFFSET %s)"
_DISTINCT = f"""
WITH RECURSIVE workspaces (id) AS (
    SELECT MIN(workspace_id) FROM {_SESSIONS}
    UNION ALL
    SELECT (SELECT MIN(workspace_id) FROM {_SESSIONS} WHERE workspace_id > workspaces.id)
    FROM workspaces WHERE workspaces.id IS NOT NULL
)
SELECT id FROM workspaces WHERE id IS NOT NULL LIMIT {WORKSPACES + 1}
"""


def workspaces(database: str) -> list[str]:
    """The first of them in order: one more than `WORKSPACES` where there are more."""
    with connections[database].cursor() as cursor:
        cursor.execute(_DISTINCT)
        return [id for (id,) in cursor.fetchall()]


def narrowed(sessions: SessionQuerySet, names: Sequence[str], count: int, before: datetime | None) -> SessionQuerySet:
    """Those that can be among the ``count`` newest of all workspaces; the same sessions where one cannot tell.

    ``sessions`` are filtered by nothing but their time, which is not after ``before``.
    """
    if len(names) > WORKSPACES:
        return sessions
    latest = to_milliseconds(before, "before") if before else 2**63 - 1
    each = " UNION ALL ".join(["SELECT CAST(%s AS text) AS id"] * len(names))
    in_one = f"(SELECT updated_at FROM {_SESSIONS} WHERE workspace_id = w.id" + _NTH if names else ""
    sql = f"SELECT updated_at FROM (SELECT {in_one} AS updated_at FROM ({each}) w" if names else ""
    in_none = f"SELECT updated_at FROM (SELECT updated_at FROM {_SESSIONS} WHERE workspace_id IS NULL" + _NTH + " AS n"
    parameters: list[int | str] = [latest, count - 1, *names, latest, count - 1] if names else [latest, count - 1]
    statement = f"SELECT MAX(updated_at) FROM ({sql + ') AS named UNION ALL ' if names else ''}{in_none}) AS moments"
    with connections[sessions.db].cursor() as cursor:
        cursor.execute(statement, parameters)
        ((moment,),) = cursor.fetchall()
    if moment is None:
        return sessions
    return sessions.filter(Q(workspace_id__in=names) | Q(workspace_id=None), updated_at__gte=from_milliseconds(moment))
