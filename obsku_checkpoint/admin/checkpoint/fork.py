"""Fork from here, and go on there if one likes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obsku_checkpoint.admin.checkpoint.name import checkpoint_name
from obsku_checkpoint.admin.checkpoint.run import RunPage, WholeRun
from obsku_checkpoint.errors import CheckpointStoreError
from obsku_checkpoint.models import Checkpoint, Message
from obsku_checkpoint.printable import plain
from obsku_checkpoint.records import SessionRecord


class ForkForm(forms.Form):
    title = forms.CharField(
        label=gettext_lazy("Title of the new session"),
        required=False,
        max_length=500,
        help_text=gettext_lazy("Left empty, it is called “Fork of …”."),
        widget=forms.TextInput(attrs={"class": "vTextField", "dir": "auto"}),
    )


class Fork(RunPage):
    """``POST`` with ``title``; where ``go_on`` is among it, the run goes on in the fork."""

    name = "fork"
    title = gettext_lazy("Fork from here")
    template = "admin/obsku_checkpoint/checkpoint/fork.html"

    def respond(self, request: HttpRequest, subject: Checkpoint) -> HttpResponseBase:
        if refusal := self.admin.may_not_fork(request):
            return self.refuse(request, subject, refusal)
        form = ForkForm(request.POST if request.method == "POST" else None)
        run = self.run_of(subject.pk)
        if request.method == "POST" and form.is_valid():
            try:
                session = self.admin.store.fork(subject.pk, title=form.cleaned_data["title"] or None)
            except CheckpointStoreError as error:
                form.add_error(None, plain(str(error), 500))
            else:
                self.note_fork(request, subject, session)
                return self.forked(request, session)
        context = self.fork_context(request, subject) | {
            "form": form,
            "can_go_on": run is not None and run.can_go_on and not self.admin.may_not_resume(request),
        }
        return self.render(request, subject, context)

    def fork_context(self, request: HttpRequest, subject: Checkpoint) -> dict[str, Any]:
        copied = Message.objects.using(self.database).up_to(subject)
        return {"copied": copied.count(), "may_not_go_on": self.admin.may_not_resume(request)}

    def note_fork(self, request: HttpRequest, subject: Checkpoint, session: SessionRecord) -> None:
        """In the history of both sessions."""
        self.note(request, subject, "fork", session.title or session.id)
        origin = self.admin.session_titles(request, [subject.session_id]).get(subject.session_id, subject.session_id)
        what = f"{origin}, {checkpoint_name(subject)}"
        self.note(request, subject, "fork", what, session_id=session.id)

    def forked(self, request: HttpRequest, session: SessionRecord) -> HttpResponseBase:
        """To the new session's page, and on with its run if that is what was asked for."""
        run = self._run_in(session)
        if run and run.can_go_on and "go_on" in request.POST and not self.admin.may_not_resume(request):
            self.note(request, run.record, "resumption", checkpoint_name(run.record))
            self.resume(request, run.record, {}, _("The run goes on in this fork."))
        elif run and run.can_go_on:
            text = _("The new session goes on from step %(step)s. Nothing runs in it before somebody lets it go on.")
            messages.success(request, text % {"step": run.record.step})
        else:
            messages.success(request, _("This is the new session."))
        return HttpResponseRedirect(self.links.session(session.id))

    def _run_in(self, session: SessionRecord) -> WholeRun | None:
        newest = self.admin.store.get_latest_checkpoint(session.id, on_corrupt="keep")
        return self.run_of(newest.id) if newest else None
