"""The whole of one stored column as plain text: the rest of what a page shows cut."""

from __future__ import annotations

from typing import Any

from django.db.models import F, TextField
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _

from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.models import Checkpoint, Message, Session
from obsku_checkpoint.records import STATE

PART = "part"


class RawMessage(Page):
    """``?id=…&part=content``"""

    name = "message"

    def respond(self, request: HttpRequest, subject: Session) -> HttpResponseBase:
        id = request.GET.get("id", "")
        own = Message.objects.using(self.database).in_session(subject.pk)
        chosen = own.filter(pk=int(id)) if id.isascii() and id.isdigit() and len(id) < 19 else own.none()
        return raw(chosen, request.GET.get(PART, ""), ("content", "tool_calls", "tool_results"))


class RawSession(Page):
    """``?part=metadata``"""

    name = "raw"

    def respond(self, request: HttpRequest, subject: Session) -> HttpResponseBase:
        rows = Session.objects.using(self.database).filter(pk=subject.pk)
        return raw(rows, request.GET.get(PART, ""), ("metadata", "title"))


class RawCheckpoint(Page):
    """``?part=node_results``"""

    name = "raw"

    def respond(self, request: HttpRequest, subject: Checkpoint) -> HttpResponseBase:
        rows = Checkpoint.objects.using(self.database).filter(pk=subject.pk)
        return raw(rows, request.GET.get(PART, ""), STATE)


def raw(rows: Any, part: str, parts: tuple[str, ...]) -> HttpResponse:
    """Plain text, which no browser takes for HTML; 404 for what there is not."""
    text = rows.values_list(Cast(F(part), TextField()), flat=True).first() if part in parts else None
    if text is None:
        raise Http404(_("There is nothing stored."))
    response = HttpResponse(text.encode("utf-8", "replace"), content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
