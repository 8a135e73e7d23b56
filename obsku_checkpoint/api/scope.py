"""Which workspaces a request may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from obsku_checkpoint.workspace_scope import Q, limited, visible_workspaces


class Scope:
    """The workspaces of one request, as the setting ``WORKSPACE_SCOPE`` gives them."""

    def __init__(self, request: Request) -> None:
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
