"""The filters of the list of sessions, and the workspaces there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obsku_checkpoint import replica
from obsku_checkpoint.admin.session.status import STATUSES
from obsku_checkpoint.maintenance import newest
from obsku_checkpoint.models import Checkpoint, Source
from obsku_checkpoint.printable import plain
from obsku_checkpoint.scope import visible_workspaces

#: a query string cannot say NULL; no workspace of a person's making begins so
NO_WORKSPACE = "\x1fnone"


class WorkspaceFilter(SimpleListFilter):
    title = gettext_lazy("workspace")
    parameter_name = "workspace"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        visible = visible_workspaces(request)
        self.names = newest.workspaces(replica.chosen()) if visible is None else sorted(visible)
        shown = self.names[: newest.WORKSPACES]
        if (chosen := self.value()) not in (None, NO_WORKSPACE) and chosen not in shown:
            shown = [str(chosen), *shown]
        return [(NO_WORKSPACE, _("none")), *((name, plain(name, 40) or "“”") for name in shown)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        return queryset.filter(workspace_id=None if value == NO_WORKSPACE else value.replace("\x00", ""))


class ActivityFilter(SimpleListFilter):
    title = gettext_lazy("last activity")
    parameter_name = "active"
    periods = {
        "hour": (gettext_lazy("within an hour"), timedelta(hours=1)),
        "day": (gettext_lazy("within a day"), timedelta(days=1)),
        "week": (gettext_lazy("within a week"), timedelta(days=7)),
        "month": (gettext_lazy("within a month"), timedelta(days=30)),
    }

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [(name, text) for name, (text, _period) in self.periods.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if (value := self.value()) not in self.periods:
            return queryset
        return queryset.filter(updated_at__gte=datetime.now(UTC) - self.periods[str(value)][1])


class StatusFilter(SimpleListFilter):
    """By how sessions stand. The database finds those that may stand so; `SessionList` leaves the others out."""

    title = gettext_lazy("state")
    parameter_name = "state"
    #: value -> the words of `Status` that it stands for
    words: dict[str, tuple[str, ...]] = {
        "waiting": ("waiting",),
        "failed": ("failed",),
        "unfinished": ("working", "silent"),
        "finished": ("finished",),
        "new": ("new",),
    }

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [(name, STATUSES[words[-1]]) for name, words in self.words.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        own = Checkpoint.objects.filter(session_id=OuterRef("pk"))
        if value == "new":
            return queryset.filter(~Exists(own))
        if value not in self.words or value == "failed":  # see `failures`
            return queryset
        return queryset.filter(Exists(own if value == "finished" else may_stand(value, own)))


def may_stand(value: str, checkpoints: Any) -> Any:
    """Those that nothing follows in their namespace, and that may be waiting or unfinished.

    Told by columns that are as small as they are short: no stored result is read.
    """
    later = Checkpoint.objects.filter(
        session_id=OuterRef("session_id"), namespace=OuterRef("namespace"), version__gt=OuterRef("version")
    )
    newest = checkpoints.filter(~Exists(later)).annotate(_pending=Cast("pending_nodes", TextField()))
    goes_on = Q(_pending__isnull=False) & ~Q(_pending="[]")
    asks = Q(source=Source.INTERRUPT) | Q(source=Source.FORK) & goes_on
    return newest.filter(asks if value == "waiting" else goes_on)
