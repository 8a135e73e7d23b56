"""The filters of the list of sessions, and the workspaces there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db import connections
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obsku_checkpoint import conf
from obsku_checkpoint.admin.session.status import STATUSES
from obsku_checkpoint.fields import from_milliseconds, to_milliseconds
from obsku_checkpoint.models import Checkpoint, Session, Source
from obsku_checkpoint.printable import plain
from obsku_checkpoint.querysets import SessionQuerySet
from obsku_checkpoint.scope import visible_workspaces

#: a query string cannot say NULL; no workspace of a person's making begins so
NO_WORKSPACE = "\x1fnone"


class WorkspaceFilter(SimpleListFilter):
    title = gettext_lazy("workspace")
    parameter_name = "workspace"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        visible = visible_workspaces(request)
        self.names = workspaces(conf.current().DATABASE) if visible is None else sorted(visible)
        shown = self.names[:WORKSPACES]
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
        return queryset.filter(updated_at__gte=timezone.now() - self.periods[str(value)][1])


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


# The newest sessions across workspaces, by the index on (workspace_id, updated_at); no index is on ``updated_at``
# alone. Where there are few workspaces, the newest N sessions of all of them are found by asking each for its own
# N-th: the latest of these moments is one that N sessions are not older than, so no session that is older can be on
# the page. The index then finds those that are not, in each workspace.

#: so many are offered as filters, and asked one by one
WORKSPACES = 100

_SESSIONS = Session._meta.db_table
_NTH = " AND updated_at <= %s ORDER BY updated_at DESC LIMIT 1 OFFSET %s)"
_DISTINCT = f"""
WITH RECURSIVE workspaces (id) AS (
    SELECT MIN(workspace_id) FROM {_SESSIONS}
    UNION ALL
    SELECT (SELECT MIN(workspace_id) FROM {_SESSIONS} WHERE workspace_id > workspaces.id)
    FROM workspaces WHERE workspaces.id IS NOT NULL
)
SELECT id FROM workspaces WHERE id IS NOT NULL LIMIT {WORKSPACES + 1}
"""


def workspaces(database: str) -> list[str]:
    """The first of them in order: one more than `WORKSPACES` where there are more."""
    with connections[database].cursor() as cursor:
        cursor.execute(_DISTINCT)
        return [id for (id,) in cursor.fetchall()]


def narrowed(sessions: SessionQuerySet, names: Sequence[str], count: int, before: datetime | None) -> SessionQuerySet:
    """Those that can be among the ``count`` newest of all workspaces; the same sessions where one cannot tell.

    ``sessions`` are filtered by nothing but their time, which is not after ``before``.
    """
    if len(names) > WORKSPACES:
        return sessions
    latest = to_milliseconds(before, "before") if before else 2**63 - 1
    each = " UNION ALL ".join(["SELECT CAST(%s AS text) AS id"] * len(names))
    in_one = f"(SELECT updated_at FROM {_SESSIONS} WHERE workspace_id = w.id" + _NTH if names else ""
    sql = f"SELECT updated_at FROM (SELECT {in_one} AS updated_at FROM ({each}) w" if names else ""
    in_none = f"SELECT updated_at FROM (SELECT updated_at FROM {_SESSIONS} WHERE workspace_id IS NULL" + _NTH + " AS n"
    parameters: list[int | str] = [latest, count - 1, *names, latest, count - 1] if names else [latest, count - 1]
    statement = f"SELECT MAX(updated_at) FROM ({sql + ') AS named UNION ALL ' if names else ''}{in_none}) AS moments"
    with connections[sessions.db].cursor() as cursor:
        cursor.execute(statement, parameters)
        ((moment,),) = cursor.fetchall()
    if moment is None:
        return sessions
    return sessions.filter(Q(workspace_id__in=names) | Q(workspace_id=None), updated_at__gte=from_milliseconds(moment))
