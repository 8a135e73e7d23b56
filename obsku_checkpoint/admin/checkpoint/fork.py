"""Fork from here: a form for the new session's title."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect

from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.errors import CheckpointStoreError
from obsku_checkpoint.models import Checkpoint, Message, Session


class ForkForm(forms.Form):
    title = forms.CharField(required=False, max_length=500, help_text="Left empty, it is called “Fork of …”.")


class Fork(Page):
    name = "fork"
    title = "Fork from here"
    template = "admin/obsku_checkpoint/checkpoint/fork.html"

    def respond(self, request: HttpRequest, subject: Checkpoint) -> HttpResponseBase:
        if not self.admin.can_fork(request):
            raise PermissionDenied
        form = ForkForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            try:
                session = self.admin.store.fork(subject.pk, title=form.cleaned_data["title"] or None)
            except CheckpointStoreError as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, f"The new session goes on from step {subject.step}.")
                return HttpResponseRedirect(self.links.session(session.id))
        return self.render(request, subject, self.context(request, subject) | {"form": form})

    def context(self, request: HttpRequest, subject: Checkpoint) -> dict[str, Any]:
        copied = Message.objects.using(self.database).up_to(subject)
        session = Session.objects.using(self.database).only("title").get(pk=subject.session_id)
        return {"copied": copied.count(), "from_title": session.title or session.pk}
