"""An open page under a server of ASGI, where the API's event stream tells it what is new."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, expect

from tests.admin.browser.conftest import Window
from tests.admin.browser.site import REPOSITORY, Site, wait_for

pytestmark = pytest.mark.xdist_group("browser")


@contextmanager
def under_asgi(site: Site) -> Iterator[Site]:
    """The same site, served by uvicorn."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--log-level", "error", "--timeout-graceful-shutdown", "1"]
    command = [sys.executable, "-m", "uvicorn", "tests.admin.browser.asgi:application", *options]
    server = subprocess.Popen(command, cwd=REPOSITORY, env=site.environment)
    try:
        wait_for(f"http://127.0.0.1:{port}/")
        yield replace(site, root=f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait()


def test_an_open_page_is_told_by_the_event_stream(browser: Browser, site: Site) -> None:
    with under_asgi(site) as streaming:
        streaming.call("sessions/", {"id": "streamed", "directory": "/", "title": "Streamed"})
        window = Window(browser, streaming, streaming.user)
        page = window.page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        with page.expect_response("**/events/") as opened:
            page.goto(streaming.session("streamed", "transcript"))
        assert opened.value.headers["content-type"] == "text/event-stream"
        page.wait_for_load_state()
        for number in range(3):
            streaming.call("sessions/streamed/messages/", {"role": "user", "content": f"event {number}"})
            expect(page.get_by_text(f"event {number}")).to_be_visible()
        # One look for each event, and one when the stream was opened: nobody asks every few seconds.
        assert len([url for url in asked if "/live/" in url]) <= 4
        window.check()
        window.context.close()
