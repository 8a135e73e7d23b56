"""The sessions that wait for a person: their newest checkpoint of a namespace is an interrupt that nothing follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.large_columns import json_columns, stored_json
from obsku_checkpoint.admin.questions import asking, questions
from obsku_checkpoint.models import Checkpoint, Source
from obsku_checkpoint.printable import plain
from obsku_checkpoint.run_state import nested_namespace

if TYPE_CHECKING:
    from obsku_checkpoint.admin.base import BaseAdmin

#: the oldest are shown first: they have waited longest
SHOWN = 100
TEMPLATE = "admin/obsku_checkpoint/session/waiting.html"


def waiting(admin: BaseAdmin, request: HttpRequest) -> HttpResponse:
    if not admin.has_view_permission(request):
        raise PermissionDenied
    sessions = admin.get_queryset(request)
    rows = interrupts(admin.database, sessions)
    shown = [found for row in rows[:SHOWN] if (found := _row(admin, row))]
    inner = {(row["session_id"], inner) for row in shown for inner in row["inner"]}
    shown = [row for row in shown if (row["session_id"], row["namespace"]) not in inner]
    titles = dict(sessions.filter(pk__in=[row["session_id"] for row in shown]).values_list("pk", "title"))
    for row in shown:
        row["title"] = plain(titles.get(row["session_id"]) or row["session_id"], 100)
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


def interrupts(database: str, sessions: QuerySet[Any]) -> list[Any]:
    """The newest checkpoints that ask, or may; one more than are shown. Reads the table once: no index leads there."""
    checkpoints = Checkpoint.objects.using(database).annotate(_text=Cast("node_results", TextField()))
    # In this order, as the text is the dear part: PostgreSQL asks for the conditions as they stand.
    asked = Q(source=Source.INTERRUPT) | (Q(source=Source.FORK) & Q(_text__contains='"interrupt":'))
    later = Checkpoint.objects.filter(
        session_id=OuterRef("session_id"), namespace=OuterRef("namespace"), version__gt=OuterRef("version")
    )
    rows = checkpoints.filter(asked, ~Exists(later))
    if sessions.query.where:
        rows = rows.filter(session__in=sessions)
    rows = rows.defer("node_results", "cycle_state", "pending_nodes")
    return list(rows.annotate(**json_columns("node_results", 200_000)).order_by("created_at", "id")[: SHOWN + 1])


def _row(admin: BaseAdmin, checkpoint: Any) -> dict[str, Any] | None:
    stored = stored_json(checkpoint, "node_results")
    value = stored.value if stored else None
    if not asking(checkpoint, value):
        return None
    asked = questions(checkpoint, value)
    return {
        "session_id": checkpoint.session_id,
        "address": admin.links.session(checkpoint.session_id),
        "namespace": checkpoint.namespace,
        "inner": [nested_namespace(checkpoint.namespace, each.node) for each in asked],
        "place": plain(checkpoint.namespace, 60),
        "questions": [(plain(each.node, 60), plain(each.reason, 200)) for each in asked],
        "since": format.timestamp(checkpoint.created_at),
    }
