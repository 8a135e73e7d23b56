"""The example project behind an ASGI server."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.example.conftest import REPOSITORY, Project

USER = {
    "DJANGO_SUPERUSER_USERNAME": "agent",
    "DJANGO_SUPERUSER_PASSWORD": "secret",
    "DJANGO_SUPERUSER_EMAIL": "agent@localhost",
}
#: seconds that the server may take to start, on a busy machine
PATIENCE = 60


def create_user(project: Project) -> None:
    """``agent`` with the password ``secret`` may do everything."""
    project.environment.update(USER)
    project.run("createsuperuser", "--noinput")


def signed_in(address: str) -> dict[str, str]:
    """The headers of a browser's session: the store asks often, and a password takes long to check, by intention."""
    with httpx.Client(base_url=address, timeout=60) as browser:
        browser.get("/admin/login/")
        form = {"username": USER["DJANGO_SUPERUSER_USERNAME"], "password": USER["DJANGO_SUPERUSER_PASSWORD"]}
        form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        assert browser.post("/admin/login/?next=/api/sessions/", data=form).status_code == 302
        cookies = dict(browser.cookies)
    return {"Cookie": "; ".join(map("=".join, cookies.items())), "X-CSRFToken": cookies["csrftoken"]}


@contextlib.contextmanager
def server(project: Project, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """uvicorn and its port."""
    options = ["--port", "0", "--timeout-graceful-shutdown", "1", "--no-access-log", "--no-use-colors"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "example_project.asgi:application", *options],
            cwd=REPOSITORY,
            env=project.environment,
            stdout=file,
            stderr=file,
        )
    try:
        yield process, _port(process, log)
    finally:
        process.kill()
        process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.02)
    raise AssertionError(log.read_text())
