"""The filters of the list of sessions, and the workspaces there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db import connections
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Replace
from django.http import HttpRequest
from django.utils import timezone

from obsku_checkpoint import conf
from obsku_checkpoint.fields import from_milliseconds, to_milliseconds
from obsku_checkpoint.models import Checkpoint, Session, Source
from obsku_checkpoint.printable import plain
from obsku_checkpoint.querysets import SessionQuerySet
from obsku_checkpoint.run_state import NOT_A_FAILURE
from obsku_checkpoint.scope import visible_workspaces

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
        text = Replace(Cast("node_results", TextField()), Value(NOT_A_FAILURE, TextField()), Value("", TextField()))
        results = Checkpoint.objects.annotate(_text=text)
        failed = Exists(results.filter(session_id=OuterRef("pk"), _text__contains='"status":"failed"'))
        return queryset.filter(failed) if self.value() == "yes" else queryset


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
