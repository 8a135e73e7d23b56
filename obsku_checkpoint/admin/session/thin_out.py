"""The action that removes old checkpoints of chosen sessions, with the states that adapters keep of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from obsku_checkpoint.admin import format
from obsku_checkpoint.maintenance import prune
from obsku_checkpoint.printable import plain

if TYPE_CHECKING:
    from obsku_checkpoint.admin.session.admin import SessionAdmin

#: sessions that a request has the time for; for more there is ``manage.py checkpoints prune``
MOST = 200
TEMPLATE = "admin/obsku_checkpoint/session/thin_out.html"


def thin_out(admin: SessionAdmin, request: HttpRequest, chosen: Any) -> HttpResponse | None:
    """The page that says what would go and asks for a confirmation, or, with ``post``, the removal.

    Raises what the store does.
    """
    sessions = list(chosen[: MOST + 1])
    if len(sessions) > MOST:
        text = _("Old checkpoints of at most %(count)s sessions are removed at once; for more there is %(command)s.")
        says = {"count": format.number(MOST), "command": "manage.py checkpoints prune"}
        admin.message_user(request, text % says, messages.ERROR)
        return None
    ids = [session.pk for session in sessions]
    confirmed = bool(request.POST.get("post"))
    figures = prune(admin.database, keep_last=1, session_ids=ids, dry_run=not confirmed)
    count = figures["checkpoints"]
    if confirmed or not count:
        if count:
            for session in sessions:
                admin.log_change(request, session, [{"changed": {"fields": [_("old checkpoints")]}}])
        text = ngettext("%(count)s old checkpoint was removed.", "%(count)s old checkpoints were removed.", count)
        admin.message_user(request, text % {"count": format.number(count)}, messages.SUCCESS)
        return None
    context = {
        **admin.admin_site.each_context(request),
        "title": _("Remove old checkpoints"),
        "opts": admin.opts,
        "sessions_address": admin.links.sessions(),
        "count": format.number(count),
        "size": format.size(figures["bytes"]),
        "names": [plain(session.title or session.pk, 100) for session in sessions],
        "checkbox": ACTION_CHECKBOX_NAME,
        "ids": ids,
    }
    request.current_app = admin.admin_site.name
    return TemplateResponse(request, TEMPLATE, context)
