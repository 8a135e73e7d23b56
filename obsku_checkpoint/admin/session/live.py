"""Has anything happened in a session? Asked by its open pages every few seconds."""

from __future__ import annotations

from django.db import connections
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.fields import to_milliseconds
from obsku_checkpoint.models import Message, Session
from obsku_checkpoint.records import CorruptValue
from obsku_checkpoint.store.sql import NAMESPACES

_WRITTEN = f"""{NAMESPACES}
SELECT coalesce(sum((
    SELECT max(c.version) FROM checkpoints c
    WHERE c.session_id = %(session_id)s AND c.namespace = namespaces.namespace
)), 0)
FROM namespaces WHERE namespaces.namespace IS NOT NULL
"""


class Live(Page):
    """``?after=`` a mark: JSON with ``mark`` and ``changed``."""

    name = "live"

    def respond(self, request: HttpRequest, subject: Session) -> HttpResponseBase:
        now = mark(self.database, subject)
        response = JsonResponse({"mark": now, "changed": now != request.GET.get("after", "")})
        response["Cache-Control"] = "no-store"
        return response


def mark(database: str, session: Session) -> str:
    """Differs after each write: the session's time, its last message, and the versions of its checkpoints."""
    updated = session.updated_at
    moment = updated.text if isinstance(updated, CorruptValue) else to_milliseconds(updated, "updated_at")
    message = Message.objects.using(database).in_session(session.pk).newest_first().values_list("id", flat=True).first()
    # A checkpoint touches its session once a second only.
    return f"{moment}-{message or 0}-{versions(database, session.pk)}"


def versions(database: str, session_id: str) -> int:
    """The sum of the newest versions of all namespaces: it grows with each checkpoint."""
    with connections[database].cursor() as cursor:
        cursor.execute(_WRITTEN, {"session_id": session_id})
        ((total,),) = cursor.fetchall()
    return int(total)
