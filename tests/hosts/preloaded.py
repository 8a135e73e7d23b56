"""Applications of a process that has used the store, sync and async, before it forks: ``gunicorn --preload``."""

from __future__ import annotations

import asyncio
from typing import Any

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application


def wsgi() -> Any:
    application = get_wsgi_application()
    _use_the_store()
    return application


def asgi() -> Any:
    application = get_asgi_application()
    _use_the_store()
    return application


def _use_the_store() -> None:
    # The views' module needs Django to be set up.
    from tests.hosts.views import store  # noqa: PLC0415

    session = store.create_session(".")
    assert asyncio.run(store.aget_session(session.id)) == session
