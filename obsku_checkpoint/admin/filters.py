"""The filters of the list of sessions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import Exists, OuterRef, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils import timezone

from obsku_checkpoint import conf
from obsku_checkpoint.admin.workspaces import WORKSPACES, workspaces
from obsku_checkpoint.models import Checkpoint, Source
from obsku_checkpoint.plain_text import plain
from obsku_checkpoint.workspace_scope import visible_workspaces

#: a query string cannot say NULL; no workspace of a person's making begins so
NO_WORKSPACE = "\x1fnone"


class WorkspaceFilter(SimpleListFilter):
    title = "workspace"
    parameter_name = "workspace"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        visible = visible_workspaces(request)
        self.names = workspaces(conf.current().DATABASE) if visible is None else sorted(visible)
        shown = self.names[:WORKSPACES]
        if (chosen := self.value()) not in (None, NO_WORKSPACE) and chosen not in shown:
            shown = [str(chosen), *shown]
        return [(NO_WORKSPACE, "none"), *((name, plain(name, 40) or "“”") for name in shown)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        return queryset.filter(workspace_id=None if value == NO_WORKSPACE else value.replace("\x00", ""))


class ActivityFilter(SimpleListFilter):
    title = "last activity"
    parameter_name = "active"
    periods = {
        "hour": timedelta(hours=1),
        "day": timedelta(days=1),
        "week": timedelta(days=7),
        "month": timedelta(days=30),
    }

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(name, f"within {'an' if name == 'hour' else 'a'} {name}") for name in self.periods]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        period = self.periods.get(self.value() or "")
        return queryset.filter(updated_at__gte=timezone.now() - period) if period else queryset


class SourceFilter(SimpleListFilter):
    title = "source of a checkpoint"
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [(value, value) for value in Source.values]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in Source.values:
            return queryset
        return queryset.filter(Exists(Checkpoint.objects.filter(session_id=OuterRef("pk"), source=self.value())))


class FailureFilter(SimpleListFilter):
    title = "failures"
    parameter_name = "failures"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("yes", "a node has failed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # Both writers' JSON has no spaces. A node's output that holds the same words counts too: to tell, the
        # database would have to parse every result.
        results = Checkpoint.objects.annotate(_text=Cast("node_results", TextField()))
        failed = Exists(results.filter(session_id=OuterRef("pk"), _text__contains='"status":"failed"'))
        return queryset.filter(failed) if self.value() == "yes" else queryset
