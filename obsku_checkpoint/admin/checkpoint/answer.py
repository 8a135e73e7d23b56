"""A person's answer to a question of a run."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obsku_checkpoint import run_state
from obsku_checkpoint.admin.checkpoint.run import RunPage
from obsku_checkpoint.admin.values import text_of
from obsku_checkpoint.models import Checkpoint


class Answer(RunPage):
    """``POST`` with ``question`` (its path; the first where it is missing), and ``option`` (its number) or ``answer``
    (text). The form is the confirmation. In the end one is on the session's page again.
    """

    name = "answer"
    title = gettext_lazy("Answer")

    def respond(self, request: HttpRequest, subject: Checkpoint) -> HttpResponseBase:
        if refusal := self.admin.may_not_resume(request):
            return self.refuse(request, subject, refusal)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self._answer(request, subject)
        return HttpResponseRedirect(self.links.session(subject.session_id))

    def _answer(self, request: HttpRequest, subject: Checkpoint) -> None:
        run = self.newest_run(subject)
        asked = run.state.questions if run else {}
        path = request.POST.get("question") or next(iter(asked), "")
        if run is None or path not in asked:
            messages.warning(request, _("The question has been answered already."))
            return
        if not run.state.settled:
            messages.warning(request, _("Nodes are still at work. The question can be answered when they have ended."))
            return
        chosen = _chosen(asked[path], request)
        if chosen is None:
            messages.error(request, _("Choose an option, or write an answer."))
            return
        what = f"{text_of(asked[path].get('reason') or path, 200)} {text_of(chosen.label, 200)}"
        self.note(request, subject, "answer", what, question=path)
        self.resume(request, run.record, {path: chosen.value}, _("The answer was handed on."))


def _chosen(question: run_state.Question, request: HttpRequest) -> run_state.Option | None:
    """One of the options, or what was written; None where nothing was."""
    options = run_state.options(question)
    if not options:
        text = request.POST.get("answer", "").strip()
        return run_state.Option(label=text, value=text) if text else None
    number = request.POST.get("option", "")
    chosen = int(number) if number.isascii() and number.isdigit() and len(number) < 9 else -1
    return options[chosen] if 0 <= chosen < len(options) else None
