"""The example project under a Content-Security-Policy that forbids inline code, as `csp_middleware` sends it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from example_project.settings import *  # noqa: F403 - all of it
from example_project.settings import MIDDLEWARE

#: no inline script, style or event handler; data: is for the checkmarks and arrows of the admin's own style sheets
POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'"

MIDDLEWARE = [f"{__name__}.csp_middleware", *MIDDLEWARE]


def csp_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """What Django's own middleware does from Django 6.0 on."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return respond
