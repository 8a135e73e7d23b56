"""Has anything happened in a session? Asked by its open pages every few seconds."""

from __future__ import annotations

from django.db import connections
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.fields import to_milliseconds
from obsku_checkpoint.models import Checkpoint, Message, Session
from obsku_checkpoint.records import CorruptValue

_CHECKPOINTS = Checkpoint._meta.db_table
_WRITTEN = f"""
WITH RECURSIVE namespaces (namespace) AS (
    SELECT MIN(namespace) FROM {_CHECKPOINTS} WHERE session_id = %s
    UNION ALL
    SELECT (SELECT MIN(c.namespace) FROM {_CHECKPOINTS} c WHERE c.session_id = %s AND c.namespace > n.namespace)
    FROM namespaces n WHERE n.namespace IS NOT NULL
)
SELECT COALESCE(SUM((SELECT MAX(c.version) FROM {_CHECKPOINTS} c
                     WHERE c.session_id = %s AND c.namespace = n.namespace)), 0)
FROM namespaces n WHERE n.namespace IS NOT NULL
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
        cursor.execute(_WRITTEN, [session_id] * 3)
        ((total,),) = cursor.fetchall()
    return int(total)
