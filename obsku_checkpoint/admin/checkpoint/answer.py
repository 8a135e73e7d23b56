"""A person's answer to an interrupt, handed to the hook ``OBSKU_CHECKPOINT["RESUME"]``."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils.module_loading import import_string

from obsku_checkpoint import conf
from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.admin.checkpoint.detail import is_newest
from obsku_checkpoint.admin.questions import Question, asking, questions
from obsku_checkpoint.errors import CheckpointStoreError
from obsku_checkpoint.models import Checkpoint


class Answer(Page):
    """``POST`` with ``option`` (its number) or ``answer`` (text), for the first question of the checkpoint.

    In the end one is on the session's page again.
    """

    name = "answer"

    def respond(self, request: HttpRequest, subject: Checkpoint) -> HttpResponseBase:
        hook = conf.current().RESUME
        if hook is None:
            raise Http404('OBSKU_CHECKPOINT["RESUME"] is not set.')
        if not self.admin.can_answer(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self._resume(request, subject, hook)
        return HttpResponseRedirect(self.links.session(subject.session_id))

    def _resume(self, request: HttpRequest, subject: Checkpoint, hook: str) -> None:
        record = self.admin.store.get_checkpoint(subject.pk, on_corrupt="keep")
        if record is None or not is_newest(self.database, record) or not asking(record, record.node_results):
            messages.warning(request, "The question has been answered already.")
            return
        answer = _answer(questions(record, record.node_results)[0], request)
        if answer is None:
            messages.error(request, "Choose an option, or write an answer.")
            return
        try:
            import_string(hook)(record, answer)
        except CheckpointStoreError as error:
            messages.error(request, f"The answer was not taken: {error}")
        else:
            messages.success(request, "The answer was handed on.")


def _answer(question: Question, request: HttpRequest) -> Any:
    """One of the options as the agent gave it, or what was written; None where nothing was."""
    if not question.options:
        return request.POST.get("answer", "").strip() or None
    number = request.POST.get("option", "")
    chosen = int(number) if number.isascii() and number.isdigit() and len(number) < 9 else -1
    return question.options[chosen] if 0 <= chosen < len(question.options) else None
