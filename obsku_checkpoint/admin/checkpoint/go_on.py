"""Go on: a failed or unfinished run is resumed where it stands."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obsku_checkpoint import run_state
from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.checkpoint.name import checkpoint_name
from obsku_checkpoint.admin.checkpoint.run import RunPage, WholeRun
from obsku_checkpoint.admin.runs import is_within_adapters
from obsku_checkpoint.admin.values import text_of
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.printable import plain

#: nodes that are named
NAMED = 40


class GoOn(RunPage):
    """``GET`` asks for a confirmation, ``POST`` is one."""

    name = "go-on"
    title = gettext_lazy("Go on")
    template = "admin/obsku_checkpoint/checkpoint/go_on.html"

    def respond(self, request: HttpRequest, subject: Checkpoint) -> HttpResponseBase:
        if refusal := self.admin.may_not_resume(request):
            return self.refuse(request, subject, refusal)
        run = self.newest_run(subject)
        if reason := self._reason_against(subject, run):
            messages.warning(request, reason)
        elif run and request.method == "POST":
            self.note(request, subject, "resumption", checkpoint_name(subject))
            self.resume(request, run.record, {}, _("The run went on."))
        elif run:
            return self.render(request, subject, _context(subject, run))
        return HttpResponseRedirect(self.links.session(subject.session_id))

    def _reason_against(self, subject: Checkpoint, run: WholeRun | None) -> str:
        if run is None:
            return _("The run has gone on meanwhile.")
        if run.state.status == "interrupted":
            return _("The run waits for an answer.")
        if not run.can_go_on:
            return _("The run is complete.")
        if is_within_adapters(run.state, subject.namespace) or self._is_nested(subject):
            return _("This is a part of an outer run, which goes on as a whole.")
        return ""

    def _is_nested(self, subject: Checkpoint) -> bool:
        """Whether a node of another of the session's runs is the graph of this one."""
        outer, separator, node = subject.namespace.rpartition(run_state.SEPARATOR)
        if not (separator or subject.namespace):
            return False
        around = self.admin.store.get_latest_checkpoint(subject.session_id, outer, on_corrupt="keep")
        run = self.run_of(around.id) if around else None
        return run is not None and (node in run.state.results or node in run.state.pending)


def _context(subject: Checkpoint, run: WholeRun) -> dict[str, Any]:
    state = run.state
    return {
        "failures": [(plain(node, 80), text_of(error, 400)) for node, error in list(state.failures.items())[:NAMED]],
        "pending": [plain(node, 80) for node in state.pending[:NAMED]],
        "pending_left_out": len(state.pending[NAMED:]),
        "working": [plain(node, 80) for node in state.working[:NAMED]],
        "last_sign": format.ago(subject.created_at),
    }
