"""What our two model admins share: read-only tables, in the database that ``OBSKU_CHECKPOINT`` names."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar

from django.apps import apps
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from obsku_checkpoint import conf, replica
from obsku_checkpoint.admin.links import Links, from_path
from obsku_checkpoint.models import Session
from obsku_checkpoint.printable import plain
from obsku_checkpoint.scope import limited, visible_workspaces
from obsku_checkpoint.store import DjangoCheckpointStore

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
elif apps.is_installed("unfold"):
    # A project's theme: its forms and buttons come from its own base class.
    from unfold.admin import ModelAdmin
else:
    ModelAdmin = admin.ModelAdmin


CHECKPOINT_WORKSPACE = "session__workspace_id"


class BaseAdmin(ModelAdmin):
    list_per_page = 50

    @property
    def links(self) -> Links:
        return Links(self.admin_site.name)

    @property
    def database(self) -> str:
        """The alias that the request reads from; to one that writes, that of the setting ``DATABASE``."""
        return replica.chosen()

    @property
    def store(self) -> DjangoCheckpointStore:
        return DjangoCheckpointStore(self.database)

    #: leads from a row to its workspace
    workspace: ClassVar[str]

    @property
    def urls(self) -> list[URLPattern]:
        """With all that subclasses add in ``get_urls``."""
        patterns: list[URLPattern] = super().urls
        for pattern in patterns:
            pattern.callback = replica.reads(pattern.callback)
        return patterns

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """What the request may see; every page begins here."""
        return self.visible(request, super().get_queryset(request).using(self.database), self.workspace)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """The row whose id stands in the address, which Django has unquoted once, and only what it quotes itself."""
        segment = request.resolver_match.kwargs["object_id"] if request.resolver_match else object_id
        return super().get_object(request, from_path(segment), from_field)

    def visible(self, request: HttpRequest, rows: QuerySet[Any], workspace: str) -> QuerySet[Any]:
        """Those of the rows whose workspace the request may see."""
        return limited(rows, visible_workspaces(request), workspace)

    def sessions(self, request: HttpRequest) -> Any:
        """Those that the request may see."""
        return self.visible(request, Session.objects.using(self.database), "workspace_id")

    def session_titles(self, request: HttpRequest, ids: Collection[str]) -> dict[str, str]:
        """What to call the sessions that the request may see of these."""
        titles = self.sessions(request).filter(pk__in=ids).values_list("pk", "title")
        return {id: plain(title or id, 160) for id, title in titles}

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The pages show all that belongs to a session, so they need the permission to view all of it."""
        return all(self._may_view(request, model) for model in ("session", "message", "checkpoint"))

    def _may_view(self, request: HttpRequest, model: str) -> bool:
        # As everywhere in the admin, who may change may also view.
        return any(request.user.has_perm(f"obsku_checkpoint.{right}_{model}") for right in ("view", "change"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self.has_view_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self.has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # agents begin sessions and save checkpoints

    def frame(self, request: HttpRequest, subject: Any, page: str) -> dict[str, Any]:
        """What stands around each page of a session, or of a checkpoint: the context of its templates."""
        raise NotImplementedError

    def may_not_fork(self, request: HttpRequest) -> str:
        """In words, why this person may not fork; empty where he or she may."""
        if request.user.has_perm("obsku_checkpoint.add_session"):
            return ""
        return _("To fork, you need the permission to add sessions.")

    def may_not_resume(self, request: HttpRequest) -> str:
        """The same of answering and of letting a run go on."""
        if not request.user.has_perm("obsku_checkpoint.change_session"):
            return _("To answer, or to let a run go on, you need the permission to change sessions.")
        if not conf.takes_answers():
            return _("Nobody can answer here, or let a run go on: the project has not set OBSKU_CHECKPOINT['RESUME'].")
        return ""


class Page:
    """Subclasses say their ``name`` (the last part of the address), ``template`` and ``context``."""

    name: ClassVar[str]
    #: may be lazy
    title: ClassVar[Any]
    template: ClassVar[str]

    def __init__(self, admin: BaseAdmin) -> None:
        self.admin = admin
        self.links = admin.links

    @property
    def database(self) -> str:
        return self.admin.database

    def url(self) -> URLPattern:
        """For `ModelAdmin.get_urls`."""
        model = self.admin.opts.model_name
        name = f"obsku_checkpoint_{model}_{self.name}"
        return path(f"<path:object_id>/{self.name}/", self.admin.admin_site.admin_view(self.view), name=name)

    def view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """404 where there is no such object, 403 without the permission to view it."""
        subject = self.subject(request, object_id)
        return self.respond(request, subject)

    def subject(self, request: HttpRequest, object_id: str) -> Any:
        subject = self.admin.get_object(request, object_id)
        if not self.admin.has_view_permission(request, subject):
            raise PermissionDenied
        if subject is None:
            raise Http404(_("There is no such %(name)s.") % {"name": self.admin.opts.verbose_name})
        return subject

    def respond(self, request: HttpRequest, subject: Any) -> HttpResponseBase:
        return self.render(request, subject, self.context(request, subject))

    def context(self, request: HttpRequest, subject: Any) -> dict[str, Any]:
        raise NotImplementedError

    def render(
        self, request: HttpRequest, subject: Any, context: dict[str, Any], template: str | None = None
    ) -> HttpResponse:
        request.current_app = self.admin.admin_site.name
        shared = {
            **self.admin.admin_site.each_context(request),
            **self.admin.frame(request, subject, self.name),
            "subtitle": self.title,
            "opts": self.admin.opts,
            "original": subject,  # for a theme's breadcrumbs
        }
        return TemplateResponse(request, template or self.template, {**shared, **context})
