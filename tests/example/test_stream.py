"""The stream behind a real server, as its page follows it; the server is told to stop while somebody listens."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
from pathlib import Path
from typing import IO
from urllib.request import Request, urlopen

from tests.docs.pages import text_of
from tests.example.conftest import Project
from tests.example.server import create_user, server

PAGE = text_of("docs/stream.md")
[CURL] = re.findall(r"^    (curl -N .*)$", PAGE, re.MULTILINE)
[SHOWN] = re.findall(r"^    (data: .*),…}$", PAGE, re.MULTILINE)
HEADERS = {"Authorization": "Basic " + base64.b64encode(b"agent:secret").decode(), "Content-Type": "application/json"}


def event(stream: IO[bytes]) -> dict[str, str]:
    """The next event with data: field -> value."""
    fields: dict[str, str] = {}
    while "data" not in fields:
        line = stream.readline().decode()
        assert line, "the stream has ended"
        name, _, value = line.rstrip("\n").partition(": ")
        fields[name] = value
    return fields


def test_the_pages_stream_is_followed_until_the_server_stops(project: Project, tmp_path: Path) -> None:
    log = tmp_path / "log"
    create_user(project)
    with server(project, log) as (process, port):

        def post(path: str, **body: str) -> None:
            url = f"http://127.0.0.1:{port}/api/sessions/{path}"
            with urlopen(Request(url, json.dumps(body).encode(), HEADERS), timeout=60) as answer:
                assert answer.status == 201

        post("", id="orders", directory="/srv/shop")
        post("orders/messages/", role="user", content="Why is the order page slow?")
        command = f"exec {CURL.replace('127.0.0.1:8000', f'127.0.0.1:{port}')}"
        with subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as following:
            assert following.stdout is not None
            assert following.stdout.readline() == b": listening\n"
            first = event(following.stdout)
            assert first["event"] == "message"
            assert f"data: {first['data']}".startswith(SHOWN)
            post("orders/messages/", role="assistant", content="I look at the queries.")
            assert json.loads(event(following.stdout)["data"])["content"] == "I look at the queries."
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) in (0, -signal.SIGTERM)
            assert following.stdout.read().strip() == b""
    assert "Traceback" not in log.read_text()
