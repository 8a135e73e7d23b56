"""Who reads: what one may have of something is counted by that."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle


def reader_of(request: Request) -> str | None:
    """The user, or the address of one who is not signed in; None behind a socket that has no addresses."""
    if request.user is not None and request.user.is_authenticated:
        return f"user {request.user.pk}"
    address = BaseThrottle().get_ident(request)
    return address and f"address {address}"
