"""A session's timeline: when its nodes ran."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from obsku_checkpoint.admin.drawings.waterfall import waterfall
from obsku_checkpoint.admin.pages import Page
from obsku_checkpoint.admin.runs import runs
from obsku_checkpoint.models import Session


class Timeline(Page):
    name = "timeline"
    title = "Timeline"
    template = "admin/obsku_checkpoint/session/timeline.html"

    def context(self, request: HttpRequest, subject: Session) -> dict[str, Any]:
        bars, earlier = runs(self.database, subject.pk, self.links, request.GET.get("before", "").replace("\x00", ""))
        return {"drawing": waterfall(bars), "bars": bars, "earlier": earlier}
