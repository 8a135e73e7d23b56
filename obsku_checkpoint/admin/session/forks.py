"""The tree of sessions and checkpoints that a session belongs to, found from there upwards and downwards.

A fork's checkpoint has the source ``fork`` and its parent in another session. No index leads from a parent to its
forks, so the table is read once for all forks there are; each one's parent is found by its id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from django.db import connections
from django.db.models import Count, F
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.admin.checkpoint.name import checkpoint_name
from obsku_checkpoint.admin.drawings import forks as drawings
from obsku_checkpoint.admin.drawings.forks import Dot, Lane
from obsku_checkpoint.admin.session.counts import last_messages
from obsku_checkpoint.admin.session.status import Status, statuses
from obsku_checkpoint.models import Checkpoint, Message, Session, Source
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
    title = gettext_lazy("Forks")
    template = "admin/obsku_checkpoint/session/forks.html"

    def context(self, request: HttpRequest, subject: Session) -> dict[str, Any]:
        found = forks(self.database, subject.pk)
        tree = in_order(subject.pk, found)
        own = self.admin.get_queryset(request).only("id", "title", "created_at", "updated_at")
        sessions = own.in_bulk([id for id, _fork in tree])
        # An origin that the request may not see is none.
        tree = [(id, fork if fork and fork.parent_session in sessions else None) for id, fork in tree if id in sessions]
        rows = self._checkpoints([id for id, _fork in tree], [fork.parent_id for _id, fork in tree if fork])
        standing = statuses(self.database, list(sessions.values()))
        written = self._written(list(sessions))
        said = last_messages(self.database, list(sessions))
        lanes = [self._lane(sessions[id], fork, rows, standing[id], here=id == subject.pk) for id, fork in tree]
        return {
            "drawing": drawings.forks(lanes),
            "members": [
                self._member(sessions[id], fork, standing[id], written.get(id, 0), here=id == subject.pk)
                | {"line": plain(standing[id].hindrance or said.get(id, ""), 160)}
                for id, fork in tree
            ],
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

    def _written(self, session_ids: Sequence[str]) -> dict[str, int]:
        """Session id -> its messages but for those that a fork took along, which are older than it."""
        own = Message.objects.using(self.database).filter(session_id__in=session_ids)
        rows = own.filter(created_at__gte=F("session__created_at")).order_by().values_list("session_id")
        return dict(rows.annotate(Count("id")))

    def _lane(self, session: Any, fork: Fork | None, rows: Sequence[Any], status: Status, *, here: bool) -> Lane:
        own = [row for row in rows if row.session_id == session.pk]
        dots = [Dot(row.pk, checkpoint_name(row), _status(row), self.links.checkpoint(row.pk)) for row in own]
        return Lane(
            title=plain(session.title or session.pk, 80),
            address=self.links.session(session.pk),
            standing=status.badges[0][1],
            status=status.badges[0][0],
            origin=fork.parent_id if fork else None,
            here=here,
            dots=dots,
            left_out=max((row.total for row in own), default=0) - len(own),
        )

    def _member(self, session: Any, fork: Fork | None, status: Status, written: int, *, here: bool) -> dict[str, Any]:
        newest = status.outermost[0].id if status.outermost else None
        return {
            "title": plain(session.title or session.pk, 80),
            "address": self.links.session(session.pk),
            "badges": [badge for badge in status.badges if badge[0] != "fork"],
            "written": format.number(written),
            "origin": self.links.checkpoint(fork.parent_id) if fork else "",
            "compare": f"{self.links.checkpoint(newest, 'compare')}?with={quote(fork.parent_id, safe='')}"
            if fork and newest
            else "",
            "updated": format.ago(session.updated_at),
            "here": here,
        }


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
