"""A page about one session or one checkpoint, below its address in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

if TYPE_CHECKING:
    from obsku_checkpoint.admin.base import BaseAdmin


class Page:
    """Subclasses say their ``name`` (the last part of the address), ``template`` and ``context``."""

    name: ClassVar[str]
    title: ClassVar[str]
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
        subject = self.admin.get_object(request, unquote(object_id).replace("\x00", ""))
        if not self.admin.has_view_permission(request, subject):
            raise PermissionDenied
        if subject is None:
            raise Http404(f"There is no such {self.admin.opts.verbose_name}.")
        return subject

    def respond(self, request: HttpRequest, subject: Any) -> HttpResponseBase:
        return self.render(request, subject, self.context(request, subject))

    def context(self, request: HttpRequest, subject: Any) -> dict[str, Any]:
        raise NotImplementedError

    def render(self, request: HttpRequest, subject: Any, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin.admin_site.name
        shared = {
            **self.admin.admin_site.each_context(request),
            **self.admin.frame(request, subject, self.name),
            "subtitle": self.title,
            "opts": self.admin.opts,
            "original": subject,  # for a theme's breadcrumbs
        }
        return TemplateResponse(request, self.template, {**shared, **context})
