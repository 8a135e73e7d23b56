"""Which workspaces a request may see: what the project's function ``WORKSPACE_SCOPE`` says."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
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
