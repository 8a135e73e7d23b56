"""The tree of sessions and checkpoints that a session belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest

from obsku_checkpoint.admin import units
from obsku_checkpoint.admin.drawings.family import Dot, Lane, family
from obsku_checkpoint.admin.lineage import CHECKPOINTS, SESSIONS, Fork, forks, in_order
from obsku_checkpoint.admin.pages import Page
from obsku_checkpoint.admin.text import plain
from obsku_checkpoint.models import Checkpoint, Session, Source


class Forks(Page):
    name = "forks"
    title = "Forks"
    template = "admin/obsku_checkpoint/session/forks.html"

    def context(self, request: HttpRequest, subject: Session) -> dict[str, Any]:
        found = forks(self.database, subject.pk)
        tree = in_order(subject.pk, found)
        sessions = (
            Session.objects.using(self.database).only("id", "title", "updated_at").in_bulk([id for id, _ in tree])
        )
        tree = [(id, fork) for id, fork in tree if id in sessions]
        rows = self._checkpoints([id for id, _ in tree], [fork.parent_id for _, fork in tree if fork])
        lanes = [self._lane(sessions[id], fork, rows, here=id == subject.pk) for id, fork in tree]
        order = [row.pk for row in rows]
        return {
            "drawing": family(lanes, order),
            "members": [self._member(sessions[id], fork, here=id == subject.pk) for id, fork in tree],
            "bounded": len(found) == SESSIONS,
            "sessions": SESSIONS,
        }

    def _checkpoints(self, session_ids: Sequence[str], origins: Sequence[str]) -> list[Any]:
        """The newest of each session, and those that forks began at, oldest first."""
        own: Any = Checkpoint.objects.using(self.database).filter(session_id__in=session_ids)
        own = own.only("id", "session_id", "namespace", "version", "step", "node_id", "source", "created_at")
        each, newest = [F("session_id")], [F("created_at").desc(), F("id").desc()]
        ranked = own.annotate(
            rank=Window(RowNumber(), partition_by=each, order_by=newest), total=Window(Count("id"), partition_by=each)
        )
        rows = {row.pk: row for row in ranked.filter(rank__lte=CHECKPOINTS)}
        missing = [id for id in origins if id not in rows]
        rows |= own.in_bulk(missing)
        return sorted(rows.values(), key=lambda row: (str(row.created_at), row.pk))

    def _lane(self, session: Any, fork: Fork | None, rows: Sequence[Any], *, here: bool) -> Lane:
        own = [row for row in rows if row.session_id == session.pk]
        dots = [Dot(row.pk, _name(row), _status(row), self.links.checkpoint(row.pk)) for row in own]
        left_out = max((getattr(row, "total", 0) for row in own), default=0) - len(own)
        address = self.links.session(session.pk)
        return Lane(
            plain(session.title or session.pk, 80), address, fork.parent_id if fork else None, here, dots, left_out
        )

    def _member(self, session: Any, fork: Fork | None, *, here: bool) -> dict[str, Any]:
        return {
            "title": plain(session.title or session.pk, 80),
            "address": self.links.session(session.pk),
            "origin": self.links.checkpoint(fork.parent_id) if fork else "",
            "updated": units.moment(session.updated_at),
            "here": here,
        }


def _name(row: Any) -> str:
    return f"Checkpoint {plain(row.namespace, 40) or 'main'} v{row.version}, step {row.step}" + (
        f", {plain(row.node_id, 40)}" if row.node_id else ""
    )


def _status(row: Any) -> str:
    return {Source.INTERRUPT: "waiting", Source.FORK: "running", Source.INPUT: "pending"}.get(row.source, "completed")
