"""The sessions that wait for a person: their newest checkpoint of a run asks, and nothing follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.questions import questions
from obsku_checkpoint.admin.runs import Run
from obsku_checkpoint.admin.session.filters import may_stand
from obsku_checkpoint.admin.session.status import Status, statuses
from obsku_checkpoint.models import Checkpoint, Source
from obsku_checkpoint.printable import plain

if TYPE_CHECKING:
    from obsku_checkpoint.admin.base import BaseAdmin

#: the oldest are shown first: they have waited longest
SHOWN = 100
#: checkpoints that may ask which are looked at for the page, and sessions at once
LOOKED_AT, STEP = 2000, 100
TEMPLATE = "admin/obsku_checkpoint/session/waiting.html"


def waiting(admin: BaseAdmin, request: HttpRequest) -> HttpResponse:
    if not admin.has_view_permission(request):
        raise PermissionDenied
    rows, more = asking(admin, admin.get_queryset(request))
    context = {
        **admin.admin_site.each_context(request),
        "title": _("Waiting for a person"),
        "opts": admin.opts,
        "rows": rows,
        "more": more,
        "sessions_address": admin.links.sessions(),
    }
    request.current_app = admin.admin_site.name
    return TemplateResponse(request, TEMPLATE, context)


def asking(admin: BaseAdmin, sessions: QuerySet[Any]) -> tuple[list[dict[str, Any]], bool]:
    """A row for each run that asks, and whether there may be more. No index leads there: the table is read once."""
    candidates = may_stand("waiting", Checkpoint.objects.using(admin.database))
    if sessions.query.where:
        candidates = candidates.filter(session__in=sessions)
    found = list(candidates.order_by("created_at", "id").values_list("session_id", flat=True)[: LOOKED_AT + 1])
    ids = list(dict.fromkeys(found[:LOOKED_AT]))
    rows: list[dict[str, Any]] = []
    for start in range(0, len(ids), STEP):
        own = {session.pk: session for session in sessions.filter(pk__in=ids[start : start + STEP])}
        standing = statuses(admin.database, list(own.values()))
        rows += [row for id in ids[start : start + STEP] if id in own for row in _rows(admin, own[id], standing[id])]
        if len(rows) > SHOWN:
            return rows[:SHOWN], True
    return rows, len(found) > LOOKED_AT


def _rows(admin: BaseAdmin, session: Any, status: Status) -> list[dict[str, Any]]:
    return [
        {
            "session_id": session.pk,
            "title": plain(session.title or session.pk, 100),
            "workspace": plain(session.workspace_id or "", 60),
            "address": admin.links.session(session.pk),
            "place": plain(run.namespace, 60),
            "questions": asked,
            "since": format.ago(run.checkpoint.created_at),
        }
        for run in status.outermost
        if (asked := _asked(run))
    ]


def _asked(run: Run) -> list[tuple[str, str]]:
    """(node, reason) of each question; a checkpoint that asks and cannot be read here is not left out."""
    if run.state is None:
        return [(plain(run.node_id or "", 80), "")] if run.source == Source.INTERRUPT else []
    return [(each.node_name, plain(each.reason, 200)) for each in questions(run.state)]
