"""Which workspaces a request may see: what the project's function ``WORKSPACE_SCOPE`` says."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from obsku_checkpoint import conf

Q = TypeVar("Q", bound=QuerySet[Any, Any])


def visible_workspaces(request: Any) -> Collection[str] | None:
    """Their ids; None for all of them. ``request`` is Django's, or Django REST framework's."""
    path = conf.current().WORKSPACE_SCOPE
    workspaces: Collection[str] | None = import_string(path)(request) if path else None
    if isinstance(workspaces, str):  # whose letters would be taken for workspaces
        raise ImproperlyConfigured(f"{path} must give a collection of workspace ids or None, not a text")
    return workspaces


def limited(rows: Q, workspaces: Collection[str] | None, column: str) -> Q:
    """Those of the rows that are in `visible_workspaces`; ``column`` leads from a row to its workspace."""
    return rows if workspaces is None else rows.filter(**{f"{column}__in": workspaces})


class Scope:
    """The workspaces of one request, as the setting ``WORKSPACE_SCOPE`` gives them."""

    def __init__(self, request: Any) -> None:
        self.workspaces = visible_workspaces(request)

    @property
    def everything(self) -> bool:
        return self.workspaces is None

    def limit(self, rows: Q, column: str = "session__workspace_id") -> Q:
        """Those of the rows that the request may see."""
        return limited(rows, self.workspaces, column)

    def sees(self, workspace_id: str | None) -> bool:
        return self.workspaces is None or workspace_id in self.workspaces

    def pinned(self) -> Callable[[str | None], bool]:
        """What `sees` says, for other threads: a project's setting may be a query that has not been made yet."""
        workspaces = None if self.workspaces is None else frozenset(self.workspaces)
        return lambda workspace_id: workspaces is None or workspace_id in workspaces

    def check(self, workspace_id: Any) -> None:
        """Raise 403 where a session is not to be put into the workspace; none is a workspace, too."""
        if not self.everything and not (isinstance(workspace_id, str) and self.sees(workspace_id)):
            raise PermissionDenied("This workspace is not among yours.")
