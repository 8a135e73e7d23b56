"""The stream behind a real server, which is told to stop while somebody listens."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.example.conftest import REPOSITORY, Project

HEADERS = {"Authorization": "Basic " + base64.b64encode(b"agent:secret").decode()}


@pytest.fixture
def server(project: Project, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """The example project behind uvicorn: the process, its port, its log."""
    project.environment["DJANGO_SUPERUSER_PASSWORD"] = "secret"
    project.run("createsuperuser", "--noinput", "--username", "agent", "--email", "agent@localhost")
    listening, log = socket.create_server(("127.0.0.1", 0)), tmp_path / "log"
    options = ["--fd", str(listening.fileno()), "--timeout-graceful-shutdown", "1"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "example_project.asgi:application", *options],
            cwd=REPOSITORY,
            env=project.environment,
            stdout=file,
            stderr=file,
            pass_fds=[listening.fileno()],
        )
    port = listening.getsockname()[1]
    listening.close()
    try:
        yield process, port, log
    finally:
        process.kill()
        process.wait()


def test_a_server_that_stops_ends_its_streams_without_an_error(
    server: tuple[subprocess.Popen[bytes], int, Path], project: Project
) -> None:
    process, port, log = server

    def call(method: str, path: str, body: object = None) -> HTTPConnection:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        data = None if body is None else json.dumps(body)
        connection.request(method, f"/api/sessions/{path}", data, {**HEADERS, "Content-Type": "application/json"})
        return connection

    with contextlib.closing(call("POST", "", {"id": "one", "directory": "/"})) as connection:
        assert connection.getresponse().status == 201
    with contextlib.closing(call("GET", "one/events/")) as connection:
        stream = connection.getresponse()
        assert stream.status == 200
        assert stream.readline() == b": listening\n"
        with contextlib.closing(call("POST", "one/messages/", {"role": "user", "content": "hello"})) as writing:
            assert writing.getresponse().status == 201
        lines = [stream.readline() for _ in range(5)]
        assert lines[3] == b"event: message\n"
        assert json.loads(lines[4].removeprefix(b"data: "))["content"] == "hello"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
    assert "Traceback" not in log.read_text()
