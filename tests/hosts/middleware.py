"""Middleware of the small projects."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin


def sync_only(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The older form: it knows no async, so that a view below it runs under `async_to_sync`."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return get_response(request)

    return middleware


class TenantOfSession(MiddlewareMixin):
    """Tells the database whose rows the request may see, as projects with row-level security do."""

    def process_request(self, request: HttpRequest) -> None:
        set_tenant(connection, request.get_host().partition(".")[0])


def set_tenant(connection: BaseDatabaseWrapper, tenant: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, false)", [tenant])
