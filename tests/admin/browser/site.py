"""The example project, served on this machine with runs in it, as `make serve` does."""

from __future__ import annotations

import atexit
import base64
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

REPOSITORY = Path(__file__).resolve().parents[3]
LOGIN = re.compile(r"user (\S+), password (\S+)")
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Site:
    """A server, and what its users need."""

    root: str
    user: str
    password: str
    #: of the server's processes
    environment: dict[str, str] = field(hash=False)

    def session(self, id: str, page: str = "change") -> str:
        return f"{self.root}/admin/obsku_checkpoint/session/{quote(id)}/{page}/"

    def call(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """The REST API, as an agent calls it."""
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.root}/api/{path}", data, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def run(self, code: str) -> None:
        """Python in the project."""
        command = [sys.executable, str(REPOSITORY / "manage.py"), "shell", "-v", "0", "-c", code]
        subprocess.run(command, cwd=REPOSITORY, env=self.environment, check=True, capture_output=True)


@contextmanager
def served(settings: str, delay: float = 0.0) -> Iterator[Site]:
    """`manage.py serve` on a free port, with a SQLite file of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        database, example = Path(folder, "db.sqlite3"), _example(delay)
        if example.exists():
            shutil.copy(example, database)
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": settings,
            "EXAMPLE_DATABASE": str(database),
            "PYTHONUNBUFFERED": "1",
        }
        environment.pop("POSTGRES_URL", None)
        log = Path(folder, "log")
        with log.open("w") as errors:
            server = subprocess.Popen(
                [sys.executable, str(REPOSITORY / "manage.py"), "serve", address, "--delay", str(delay)],
                cwd=REPOSITORY,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            assert server.stdout is not None
            login = next((found for line in server.stdout if (found := LOGIN.search(line))), None)
            if login is None:
                raise RuntimeError(log.read_text())
            if not example.exists():
                with closing(sqlite3.connect(database)) as made, closing(sqlite3.connect(example)) as kept:
                    made.backup(kept)
            wait_for(f"http://{address}/")
            yield Site(f"http://{address}", login[1], login[2], environment)
        finally:
            server.terminate()
            server.communicate()


@cache
def _example(delay: float) -> Path:
    """Where the first server's database is kept, with the runs that it has made: the others begin with a copy."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder, f"example-{delay}.sqlite3")


def wait_for(address: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            urllib.request.urlopen(address)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
