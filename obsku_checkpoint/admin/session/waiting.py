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
from obsku_checkpoint.admin.session.filters import may_stand
from obsku_checkpoint.admin.session.status import statuses
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.printable import plain

if TYPE_CHECKING:
    from obsku_checkpoint.admin.base import BaseAdmin

#: the oldest are shown first: they have waited longest
SHOWN = 100
TEMPLATE = "admin/obsku_checkpoint/session/waiting.html"


def waiting(admin: BaseAdmin, request: HttpRequest) -> HttpResponse:
    if not admin.has_view_permission(request):
        raise PermissionDenied
    sessions = admin.get_queryset(request)
    ids = asking(admin.database, sessions)
    found = {session.pk: session for session in sessions.filter(pk__in=ids[:SHOWN])}
    standing = statuses(admin.database, list(found.values()))
    rows = [row for id in ids[:SHOWN] if id in found for row in _rows(admin, found[id], standing[id])]
    context = {
        **admin.admin_site.each_context(request),
        "title": _("Waiting for a person"),
        "opts": admin.opts,
        "rows": rows,
        "more": len(ids) > SHOWN,
        "sessions_address": admin.links.sessions(),
    }
    request.current_app = admin.admin_site.name
    return TemplateResponse(request, TEMPLATE, context)


def asking(database: str, sessions: QuerySet[Any]) -> list[str]:
    """The ids of sessions that ask, or may; one more than are shown. Reads the table once: no index leads there."""
    rows = may_stand("waiting", Checkpoint.objects.using(database))
    if sessions.query.where:
        rows = rows.filter(session__in=sessions)
    found = rows.order_by("created_at", "id").values_list("session_id", flat=True)[: 2 * SHOWN + 1]
    return list(dict.fromkeys(found))


def _rows(admin: BaseAdmin, session: Any, status: Any) -> list[dict[str, Any]]:
    return [
        {
            "session_id": session.pk,
            "title": plain(session.title or session.pk, 100),
            "workspace": plain(session.workspace_id or "", 60),
            "address": admin.links.session(session.pk),
            "place": plain(run.namespace, 60),
            "questions": [(each.node_name, plain(each.reason, 200)) for each in asked],
            "since": format.ago(run.checkpoint.created_at),
        }
        for run in status.outermost
        if (asked := questions(run.state))
    ]
