"""A session's checkpoints, the newest first."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.admin.runs import Run, runs
from obsku_checkpoint.admin.session.status import STATUSES
from obsku_checkpoint.models import Checkpoint, Session
from obsku_checkpoint.printable import plain
from obsku_checkpoint.run_state import RunStatus

CHECKPOINTS = 100
#: nodes of a large checkpoint that are looked at
ENTRIES = 20

#: how a run stood -> what a person reads, and the class of its badge
STANDING: dict[RunStatus, tuple[Any, str]] = {
    "working": (gettext_lazy("at work"), "working"),
    "failed": (gettext_lazy("failed"), "failed"),
    "interrupted": (gettext_lazy("asks"), "waiting"),
    "pending": (gettext_lazy("to go on"), "silent"),
    "complete": (gettext_lazy("complete"), "finished"),
}


class CheckpointList(Page):
    name = "checkpoints"
    title = gettext_lazy("Checkpoints")
    template = "admin/obsku_checkpoint/session/checkpoints.html"

    def context(self, request: HttpRequest, subject: Session) -> dict[str, Any]:
        own = Checkpoint.objects.using(self.database).in_session(subject.pk)
        before = request.GET.get("before", "").replace("\x00", "")
        # The order is found by ids alone: a database that sorts whole rows takes three times as long.
        ids = list(
            (own.below(before) if before else own.newest_first()).values_list("pk", flat=True)[: CHECKPOINTS + 1]
        )
        found = runs(self.database, ids[:CHECKPOINTS], entries=ENTRIES)
        shown = [found[id] for id in ids[:CHECKPOINTS] if id in found]
        newest = {} if before else {run.namespace: run.id for run in reversed(shown)}
        return {
            "rows": [self._row(run, is_newest=newest.get(run.namespace) == run.id) for run in shown],
            "earlier": ids[CHECKPOINTS - 1] if len(ids) > CHECKPOINTS else None,
        }

    def _row(self, run: Run, *, is_newest: bool) -> dict[str, Any]:
        state = run.state
        unknown = STATUSES["unknown"] if run.was_read else _("not read here")
        standing, badge = STANDING[state.status] if state else (unknown, "unknown")
        if badge == "working" and not is_newest:
            standing, badge = _("went on"), "new"
        return {
            "checkpoint": run.checkpoint,
            "address": self.links.checkpoint(run.id),
            "namespace": plain(run.namespace, 40) or "main",
            "node": plain(run.node_id or "", 40),
            "standing": standing,
            "badge": badge,
            "pending": plain(", ".join(state.pending), 80) if state else "",
            "source": plain(run.source, 40),
            "saved": format.timestamp(run.checkpoint.created_at),
            "size": format.size(run.bytes),
        }
