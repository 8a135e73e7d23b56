"""The stream behind a real server, which is told to stop while somebody listens."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import subprocess
from http.client import HTTPConnection
from pathlib import Path

from tests.example.conftest import Project
from tests.example.server import server

HEADERS = {"Authorization": "Basic " + base64.b64encode(b"agent:secret").decode()}


def test_a_server_that_stops_ends_its_streams_without_an_error(project: Project, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with server(project, log) as (process, port):
        listen_to_its_end(process, port)
    assert "Traceback" not in log.read_text()


def listen_to_its_end(process: subprocess.Popen[bytes], port: int) -> None:
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
