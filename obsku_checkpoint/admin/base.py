"""What our two model admins share: read-only tables, in the database that ``OBSKU_CHECKPOINT`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from obsku_checkpoint import conf
from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.store import DjangoCheckpointStore

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
elif apps.is_installed("unfold"):
    # A project's theme: its forms and buttons come from its own base class.
    from unfold.admin import ModelAdmin
else:
    ModelAdmin = admin.ModelAdmin


class BaseAdmin(ModelAdmin):
    list_per_page = 50

    @property
    def links(self) -> Links:
        return Links(self.admin_site.name)

    @property
    def database(self) -> str:
        return conf.current().DATABASE

    @property
    def store(self) -> DjangoCheckpointStore:
        return DjangoCheckpointStore(self.database)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).using(self.database)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # agents begin sessions and save checkpoints

    def frame(self, request: HttpRequest, subject: Any, page: str) -> dict[str, Any]:
        """What stands around each page of a session, or of a checkpoint: the context of its templates."""
        raise NotImplementedError

    def can_fork(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("obsku_checkpoint.add_session"))

    def can_answer(self, request: HttpRequest) -> bool:
        """With the right to change sessions, and a hook that takes the answer."""
        return conf.current().RESUME is not None and bool(request.user.has_perm("obsku_checkpoint.change_session"))
