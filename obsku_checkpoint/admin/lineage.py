"""Which sessions were forked from which: found from one of them, upwards and downwards, up to a bound.

A fork's checkpoint has the source ``fork`` and its parent in another session. No index leads from a parent to its
forks, so the table is read once for all forks there are; each one's parent is found by its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connections

from obsku_checkpoint.models import Checkpoint

#: sessions of a tree that are shown
SESSIONS = 60
#: checkpoints of each that are shown, the newest
CHECKPOINTS = 14

_TABLE = Checkpoint._meta.db_table
# UNION drops what was found before, so a ring of forks ends.
_FORKS = f"""
WITH RECURSIVE forks (session_id, id, parent_id, parent_session, created_at) AS MATERIALIZED (
    SELECT c.session_id, c.id, c.parent_id, p.session_id, c.created_at
    FROM {_TABLE} c JOIN {_TABLE} p ON p.id = c.parent_id
    WHERE c.source = 'fork' AND p.session_id <> c.session_id
), above (session_id) AS (
    SELECT CAST(%s AS text)
    UNION SELECT f.parent_session FROM forks f JOIN above ON f.session_id = above.session_id
), tree (session_id) AS (
    SELECT session_id FROM above
    UNION SELECT f.session_id FROM forks f JOIN tree ON f.parent_session = tree.session_id
)
SELECT f.session_id, f.id, f.parent_id, f.parent_session
FROM forks f JOIN tree ON tree.session_id = f.session_id ORDER BY f.created_at, f.id LIMIT {SESSIONS}
"""


class Fork(NamedTuple):
    """One session that began at a checkpoint of another."""

    session_id: str
    checkpoint_id: str
    parent_id: str
    parent_session: str


def forks(database: str, session_id: str) -> list[Fork]:
    """All of the session's tree, the oldest first, at most `SESSIONS`."""
    with connections[database].cursor() as cursor:
        cursor.execute(_FORKS, [session_id])
        return [Fork(*row) for row in cursor.fetchall()]


def in_order(session_id: str, found: Sequence[Fork]) -> list[tuple[str, Fork | None]]:
    """Each session of the tree once, parents before their children, with the fork it began by."""
    children: dict[str, list[Fork]] = {}
    began: dict[str, Fork] = {}
    for fork in found:
        if fork.session_id not in began:
            began[fork.session_id] = fork
            children.setdefault(fork.parent_session, []).append(fork)
    roots = [parent for parent in children if parent not in began] or [session_id]
    listed: dict[str, Fork | None] = {}
    stack: list[tuple[str, Fork | None]] = [(root, None) for root in reversed(roots)]
    while stack:
        id, begin = stack.pop()
        if id not in listed:
            listed[id] = begin
            stack += [(child.session_id, child) for child in reversed(children.get(id, []))]
    return list(listed.items())
