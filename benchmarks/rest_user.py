"""The users of `rest.py` and `overload.py`: they may do everything, and nobody looks them up."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication

ROOT = User(username="root", is_superuser=True)


class Root(BaseAuthentication):
    def authenticate(self, request: Any) -> tuple[User, None]:
        return ROOT, None


class Tenant(BaseAuthentication):
    """A user for each tenant, who sees the workspace of that name."""

    def authenticate(self, request: Any) -> tuple[User, None]:
        name = request.META["HTTP_X_TENANT"]
        return User(pk=1 + (name == "hostile"), username=name, is_superuser=True), None


def workspaces(request: Any) -> list[str]:
    return [request.user.username]
