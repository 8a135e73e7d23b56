"""Django's servers: threads, event loops, forked workers."""

from __future__ import annotations

from typing import Any

import pytest

from tests import processes

UVICORN = ["uvicorn", "--port", "0"]
ASGI = ["--factory", "django.core.asgi:get_asgi_application"]
PRELOADED = ["gunicorn", "-b", "127.0.0.1:0", "--workers", "2", "--preload"]


@pytest.mark.parametrize(
    ("command", "overrides"),
    [
        pytest.param([*UVICORN, "--loop", "asyncio", *ASGI], {}, id="uvicorn"),
        pytest.param([*UVICORN, "--loop", "uvloop", *ASGI], {}, id="uvloop"),
        pytest.param(
            [*UVICORN, *ASGI], {"MIDDLEWARE": ["tests.hosts.middleware.sync_only"]}, id="below a sync middleware"
        ),
        pytest.param([*PRELOADED, "--threads", "4", "tests.hosts.preloaded:wsgi()"], {}, id="gunicorn's threads"),
        pytest.param(
            [*PRELOADED, "-k", "uvicorn_worker.UvicornWorker", "tests.hosts.preloaded:asgi()"],
            {},
            id="gunicorn's loops",
        ),
    ],
)
def test_sync_and_async_views_answer_and_the_server_ends(
    tables_url: str, command: list[str], overrides: dict[str, Any]
) -> None:
    asked = [f"tenant-{number}" for number in range(24)]
    with processes.server(*command, url=tables_url, overrides=overrides) as server:
        for view in ("async", "sync"):
            assert [answer["written"] for answer in server.ask_at_once(view, asked)] == [[name] for name in asked]
