"""Tool calls without a result and results without a call: which they are, and the form that repairs them."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, Q, Sum, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.admin.large_columns import BytesIn
from obsku_checkpoint.errors import CheckpointStoreError
from obsku_checkpoint.models import Message, Session
from obsku_checkpoint.printable import plain
from obsku_checkpoint.records import Dangling
from obsku_checkpoint.store import DjangoCheckpointStore

#: a page looks for what dangles in transcripts of no more messages and bytes with calls and results
MESSAGES, BYTES = 5000, 4_000_000


def dangling(store: DjangoCheckpointStore, session_id: str) -> list[Dangling] | None:
    """What dangles in the session; None where it is too long to be looked through for a page."""
    with_tools = Q(tool_calls__isnull=False) | Q(tool_results__isnull=False)
    rows = Message.objects.using(store.using).in_session(session_id).filter(with_tools)
    sizes = [Coalesce(BytesIn(F(column)), Value(0)) for column in ("tool_calls", "tool_results")]
    size = rows.annotate(_bytes=sizes[0] + sizes[1])[: MESSAGES + 1].aggregate(number=Count("pk"), bytes=Sum("_bytes"))
    if size["number"] > MESSAGES or (size["bytes"] or 0) > BYTES:
        return None
    return store.find_dangling(session_id, on_corrupt="keep")


class Repair(Page):
    """``POST`` with ``how``: ``error`` or ``drop``. In the end one is on the transcript again."""

    name = "repair"
    title = gettext_lazy("Repair")

    def respond(self, request: HttpRequest, subject: Session) -> HttpResponseBase:
        if not self.admin.has_change_permission(request, subject):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            number = self.admin.store.repair(subject.pk, "drop" if request.POST.get("how") == "drop" else "error")
        except CheckpointStoreError as error:
            messages.error(
                request, _("The transcript was not repaired: %(reason)s") % {"reason": plain(str(error), 500)}
            )
        else:
            if number:
                self.admin.log_change(request, subject, [{"changed": {"fields": [_("transcript")]}}])
            done = ngettext(
                "%(number)d call or result was repaired.", "%(number)d calls or results were repaired.", number
            )
            messages.success(request, done % {"number": number})
        return HttpResponseRedirect(self.links.session(subject.pk, "transcript"))
