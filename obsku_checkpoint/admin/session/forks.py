"""The tree of sessions and checkpoints that a session belongs to, found from there upwards and downwards.

A fork's checkpoint has the source ``fork`` and its parent in another session. No index leads from a parent to its
forks, so the table is read once for all forks there are; each one's parent is found by its id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connections
from django.http import HttpRequest

from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.admin.drawings.forks import Dot, Lane, family
from obsku_checkpoint.models import Checkpoint, Session, Source
from obsku_checkpoint.printable import plain

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
FROM forks f JOIN tree ON tree.session_id = f.session_id ORDER BY f.created_at, f.id LIMIT %s
"""


class Fork(NamedTuple):
    """One session that began at a checkpoint of another."""

    session_id: str
    checkpoint_id: str
    parent_id: str
    parent_session: str


class Forks(Page):
    name = "forks"
    title = "Forks"
    template = "admin/obsku_checkpoint/session/forks.html"

    def context(self, request: HttpRequest, subject: Session) -> dict[str, Any]:
        found = forks(self.database, subject.pk)
        tree = in_order(subject.pk, found)
        sessions = self.admin.get_queryset(request).only("id", "title", "updated_at").in_bulk([id for id, _ in tree])
        tree = [(id, fork) for id, fork in tree if id in sessions]
        rows = self._checkpoints([id for id, _ in tree], [fork.parent_id for _, fork in tree if fork])
        lanes = [self._lane(sessions[id], fork, rows, here=id == subject.pk) for id, fork in tree]
        order = [row.pk for row in rows]
        return {
            "drawing": family(lanes, order),
            "members": [self._member(sessions[id], fork, order, here=id == subject.pk) for id, fork in tree],
            "bounded": len(found) == SESSIONS,
            "sessions": SESSIONS,
        }

    def _checkpoints(self, session_ids: Sequence[str], origins: Sequence[str]) -> list[Any]:
        """The newest of each session, and those that forks began at, oldest first."""
        own: Any = Checkpoint.objects.using(self.database).filter(session_id__in=session_ids)
        wanted: list[str] = []
        totals = Counter[str]()
        for id, session_id in own.newest_first().values_list("id", "session_id"):
            totals[session_id] += 1
            if totals[session_id] <= CHECKPOINTS or id in origins:
                wanted.append(id)
        columns = ("id", "session_id", "namespace", "version", "step", "node_id", "source", "created_at")
        rows = own.only(*columns).in_bulk(wanted)
        for row in rows.values():
            row.total = totals[row.session_id]
        return [rows[id] for id in reversed(wanted) if id in rows]

    def _lane(self, session: Any, fork: Fork | None, rows: Sequence[Any], *, here: bool) -> Lane:
        own = [row for row in rows if row.session_id == session.pk]
        dots = [Dot(row.pk, _name(row), _status(row), self.links.checkpoint(row.pk)) for row in own]
        left_out = max((row.total for row in own), default=0) - len(own)
        address = self.links.session(session.pk)
        return Lane(
            plain(session.title or session.pk, 80), address, fork.parent_id if fork else None, here, dots, left_out
        )

    def _member(self, session: Any, fork: Fork | None, order: Sequence[str], *, here: bool) -> dict[str, Any]:
        return {
            "title": plain(session.title or session.pk, 80),
            "address": self.links.session(session.pk),
            "origin": self.links.checkpoint(fork.parent_id) if fork and fork.parent_id in order else "",
            "updated": format.timestamp(session.updated_at),
            "here": here,
        }


def _name(row: Any) -> str:
    return f"Checkpoint {plain(row.namespace, 40) or 'main'} v{row.version}, step {row.step}" + (
        f", {plain(row.node_id, 40)}" if row.node_id else ""
    )


def _status(row: Any) -> str:
    return {Source.INTERRUPT: "waiting", Source.FORK: "running", Source.INPUT: "pending"}.get(row.source, "completed")


def forks(database: str, session_id: str) -> list[Fork]:
    """All of the session's tree, the oldest first, at most `SESSIONS`."""
    with connections[database].cursor() as cursor:
        cursor.execute(_FORKS, [session_id, SESSIONS])
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
