"""The sessions that wait for a person: their newest checkpoint of a namespace is an interrupt that nothing follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from obsku_checkpoint.admin import units
from obsku_checkpoint.admin.question import asking, questions
from obsku_checkpoint.admin.stored import json_columns, stored_json
from obsku_checkpoint.admin.text import plain
from obsku_checkpoint.models import Checkpoint, Session, Source

if TYPE_CHECKING:
    from obsku_checkpoint.admin.base import BaseAdmin

#: the oldest are shown first: they have waited longest
SHOWN = 100
TEMPLATE = "admin/obsku_checkpoint/session/waiting.html"


def waiting(admin: BaseAdmin, request: HttpRequest) -> HttpResponse:
    if not admin.has_view_permission(request):
        raise PermissionDenied
    rows = interrupts(admin.database)
    shown = [found for row in rows[:SHOWN] if (found := _row(admin, row))]
    sessions = Session.objects.using(admin.database).only("id", "title").in_bulk([row["session_id"] for row in shown])
    for row in shown:
        row["title"] = plain(sessions[row["session_id"]].title or row["session_id"], 100)
    context = {
        **admin.admin_site.each_context(request),
        "title": "Waiting for a person",
        "opts": admin.opts,
        "rows": shown,
        "more": len(rows) > SHOWN,
        "sessions_address": admin.links.sessions(),
    }
    request.current_app = admin.admin_site.name
    return TemplateResponse(request, TEMPLATE, context)


def interrupts(database: str) -> list[Any]:
    """The newest checkpoints that ask, or may; one more than are shown. Reads the table once: no index leads there."""
    checkpoints = Checkpoint.objects.using(database).annotate(_text=Cast("node_results", TextField()))
    asked = Q(source=Source.INTERRUPT) | Q(source=Source.FORK, _text__contains='"interrupt":')
    later = Checkpoint.objects.filter(
        session_id=OuterRef("session_id"), namespace=OuterRef("namespace"), version__gt=OuterRef("version")
    )
    rows = checkpoints.filter(asked, ~Exists(later)).defer("node_results", "cycle_state", "pending_nodes")
    return list(rows.annotate(**json_columns("node_results", 200_000)).order_by("created_at", "id")[: SHOWN + 1])


def _row(admin: BaseAdmin, checkpoint: Any) -> dict[str, Any] | None:
    stored = stored_json(checkpoint, "node_results")
    value = stored.value if stored else None
    if not asking(checkpoint, value):
        return None
    return {
        "session_id": checkpoint.session_id,
        "address": admin.links.session(checkpoint.session_id),
        "namespace": plain(checkpoint.namespace, 60) or "main",
        "step": checkpoint.step,
        "questions": [(plain(each.node, 60), plain(each.reason, 200)) for each in questions(checkpoint, value)],
        "since": units.moment(checkpoint.created_at),
    }
