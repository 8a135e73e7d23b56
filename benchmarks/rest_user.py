"""The user of `rest.py`: may do everything, and nobody looks them up."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication

ROOT = User(username="root", is_superuser=True)


class Root(BaseAuthentication):
    def authenticate(self, request: Any) -> tuple[User, None]:
        return ROOT, None
