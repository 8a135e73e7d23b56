"""The action that deletes sessions: those chosen on a page, or those of all pages of the list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from obsku_checkpoint.admin import deletion
from obsku_checkpoint.admin.format import number
from obsku_checkpoint.fields import from_milliseconds, to_milliseconds
from obsku_checkpoint.printable import plain

if TYPE_CHECKING:
    from obsku_checkpoint.admin.session.admin import SessionAdmin

#: sessions that are deleted at once, and that are named
MOST, NAMED = 10_000, 100
TEMPLATE = "admin/obsku_checkpoint/session/delete_selected.html"


def delete_selected(admin: SessionAdmin, request: HttpRequest, chosen: Any) -> HttpResponse | None:
    """The page that asks for a confirmation, or, with ``post``, the deletion of all of them or none.

    ``until`` is the time of the confirmation: sessions that agents began since then are not among those it was for.
    Raises what the store does.
    """
    until = request.POST.get("until", "")
    if until.isascii() and until.isdigit() and len(until) < 15:
        chosen = chosen.filter(created_at__lte=from_milliseconds(int(until)))
    ids = list(chosen.values_list("pk", flat=True)[: MOST + 1])
    if len(ids) > MOST:
        text = _("At most %(count)s sessions are deleted at once: narrow the list by its filters.")
        admin.message_user(request, text % {"count": number(MOST)}, messages.ERROR)
        return None
    trees, numbers, lacking, protected = deletion.of_the_project(admin.database, ids, request, admin.admin_site)
    if not request.POST.get("post") or lacking or protected:
        named = list(chosen[:NAMED])
        context = {
            **admin.admin_site.each_context(request),
            "title": _("Delete sessions"),
            "opts": admin.opts,
            "sessions_address": admin.links.sessions(),
            "counts": list((deletion.counts(admin.database, ids) | numbers).items()),
            "names": [plain(session.title or session.pk, 100) for session in named],
            "left_out": len(ids) - len(named),
            "trees": trees,
            "lacking": sorted(lacking),
            "protected": protected,
            "checkbox": ACTION_CHECKBOX_NAME,
            "across": request.POST.get("select_across") == "1",
            "ids": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "until": to_milliseconds(datetime.now(UTC), "until"),
        }
        request.current_app = admin.admin_site.name
        return TemplateResponse(request, TEMPLATE, context)
    if not admin.has_delete_permission(request):
        raise PermissionDenied
    with transaction.atomic(using=admin.database):
        sessions = list(chosen.filter(pk__in=ids).only("pk", "title"))
        deleted = set(admin.store.delete_sessions([session.pk for session in sessions]))
        gone = [session for session in sessions if session.pk in deleted]
        admin.log_deleted(request, gone)
    text = ngettext("%(count)s session was deleted.", "%(count)s sessions were deleted.", len(gone))
    admin.message_user(request, text % {"count": number(len(gone))}, messages.SUCCESS)
    return None
