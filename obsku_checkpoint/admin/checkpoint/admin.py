"""Checkpoints in the admin: the page of one, and what can be done from it. Lists of them are on sessions' pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern

from obsku_checkpoint.admin.base import CHECKPOINT_WORKSPACE, BaseAdmin
from obsku_checkpoint.admin.checkpoint.answer import Answer
from obsku_checkpoint.admin.checkpoint.compare import Compare
from obsku_checkpoint.admin.checkpoint.detail import checkpoint_page
from obsku_checkpoint.admin.checkpoint.fork import Fork
from obsku_checkpoint.admin.raw import RawCheckpoint
from obsku_checkpoint.models import Checkpoint, Session
from obsku_checkpoint.printable import plain

PAGES = (Compare, Fork, Answer, RawCheckpoint)


@admin.register(Checkpoint)
class CheckpointAdmin(BaseAdmin):
    workspace = CHECKPOINT_WORKSPACE
    change_form_template = "admin/obsku_checkpoint/checkpoint/change_form.html"
    fields = ()

    def get_urls(self) -> list[URLPattern]:
        return [page(self).url() for page in PAGES] + super().get_urls()

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        return {}  # the index page leads to sessions

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return HttpResponseRedirect(self.links.sessions())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("node_results", "pending_nodes", "cycle_state")

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        checkpoint = self.get_object(request, object_id) if object_id is not None else None
        context = dict(extra_context or {})
        if checkpoint is not None and self.has_view_permission(request, checkpoint):
            page = checkpoint_page(self.get_queryset(request), checkpoint, self.links)
            context |= self.frame(request, checkpoint, "change") | page | {"subtitle": None}
        return super().changeform_view(request, object_id, form_url, context)

    def frame(self, request: HttpRequest, checkpoint: Checkpoint, page: str) -> dict[str, Any]:
        """What stands around each page of a checkpoint."""
        session = Session.objects.using(self.database).only("id", "title").get(pk=checkpoint.session_id)
        return {
            "checkpoint": checkpoint,
            "title": f"Checkpoint {plain(checkpoint.namespace, 60) or 'main'} v{checkpoint.version}",
            "session_title": plain(session.title or session.pk, 160),
            "session_address": self.links.session(session.pk),
            "checkpoints_address": self.links.session(session.pk, "checkpoints"),
            "sessions_address": self.links.sessions(),
            "checkpoint_address": self.links.checkpoint(checkpoint.pk),
            "compare_address": self.links.checkpoint(checkpoint.pk, "compare"),
            "fork_address": self.links.checkpoint(checkpoint.pk, "fork") if self.can_fork(request) else "",
            "answer_address": self.links.checkpoint(checkpoint.pk, "answer"),
            "can_answer": self.can_answer(request),
        }

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a checkpoint is what happened

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it goes with its session
