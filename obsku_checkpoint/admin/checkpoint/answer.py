"""A person's answer to an interrupt, handed to the hook ``OBSKU_CHECKPOINT["RESUME"]``."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.module_loading import import_string

from obsku_checkpoint import conf, run_state
from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.admin.checkpoint.detail import is_newest
from obsku_checkpoint.errors import CheckpointStoreError
from obsku_checkpoint.models import Checkpoint


class Answer(Page):
    """``POST`` with ``option`` (its number) or ``answer`` (text), for the first question of the checkpoint.

    In the end one is on the session's page again.
    """

    name = "answer"

    def url(self) -> URLPattern:
        """In no transaction: nodes that the hook lets run beside each other would wait for its locks for ever."""
        pattern = super().url()
        pattern.callback = transaction.non_atomic_requests(pattern.callback)
        return pattern

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
        state = run_state.read(record) if record and is_newest(self.database, record) else None
        if state is None or not state.questions or not state.settled:
            messages.warning(request, "The question has been answered already.")
            return
        path, question = next(iter(state.questions.items()))
        answer = _answer(question, request)
        if answer is None:
            messages.error(request, "Choose an option, or write an answer.")
            return
        try:
            import_string(hook)(record, {path: answer})
        except CheckpointStoreError as error:
            messages.error(request, f"The answer was not taken: {error}")
        else:
            messages.success(request, "The answer was handed on.")


def _answer(question: run_state.Question, request: HttpRequest) -> Any:
    """The value of one of the options, or what was written; None where nothing was."""
    options = run_state.options(question)
    if not options:
        return request.POST.get("answer", "").strip() or None
    number = request.POST.get("option", "")
    chosen = int(number) if number.isascii() and number.isdigit() and len(number) < 9 else -1
    return options[chosen].value if 0 <= chosen < len(options) else None
