"""Checkpoints in the admin: the page of one, and what can be done from it. Lists of them are on sessions' pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.translation import gettext as _

from obsku_checkpoint.admin.base import CHECKPOINT_WORKSPACE, BaseAdmin
from obsku_checkpoint.admin.checkpoint.answer import Answer
from obsku_checkpoint.admin.checkpoint.change_form import checkpoint_page
from obsku_checkpoint.admin.checkpoint.compare import Compare
from obsku_checkpoint.admin.checkpoint.edit import Edit
from obsku_checkpoint.admin.checkpoint.fork import Fork
from obsku_checkpoint.admin.checkpoint.go_on import GoOn
from obsku_checkpoint.admin.checkpoint.name import checkpoint_name
from obsku_checkpoint.admin.raw import RawCheckpoint
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.records import STATE

PAGES = (Compare, Fork, Edit, GoOn, Answer, RawCheckpoint)


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
        return super().get_queryset(request).defer(*STATE)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        checkpoint = self.get_object(request, object_id) if object_id is not None else None
        context = dict(extra_context or {})
        if checkpoint is not None and self.has_view_permission(request, checkpoint):
            page = checkpoint_page(self.get_queryset(request), self.sessions(request), checkpoint, self.links)
            context |= self.frame(request, checkpoint, "change") | page | {"subtitle": None}
        return super().changeform_view(request, object_id, form_url, context)

    def frame(self, request: HttpRequest, checkpoint: Checkpoint, page: str) -> dict[str, Any]:
        """What stands around each page of a checkpoint."""
        titles = self.session_titles(request, [checkpoint.session_id])
        may_not = [self.may_not_fork(request), self.may_not_resume(request)]
        return {
            "checkpoint": checkpoint,
            "title": _("Checkpoint %(name)s") % {"name": checkpoint_name(checkpoint)},
            "checkpoint_name": checkpoint_name(checkpoint),
            "session_title": titles.get(checkpoint.session_id, ""),
            "session_address": self.links.session(checkpoint.session_id),
            "checkpoints_address": self.links.session(checkpoint.session_id, "checkpoints"),
            "sessions_address": self.links.sessions(),
            "checkpoint_address": self.links.checkpoint(checkpoint.pk),
            "compare_address": self.links.checkpoint(checkpoint.pk, "compare"),
            "fork_address": "" if may_not[0] else self.links.checkpoint(checkpoint.pk, "fork"),
            "edit_address": "" if may_not[0] else self.links.checkpoint(checkpoint.pk, "edit"),
            "go_on_address": "" if may_not[1] else self.links.checkpoint(checkpoint.pk, "go-on"),
            "may_not": [sentence for sentence in may_not if sentence],
        }

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a checkpoint is what happened

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it goes with its session
