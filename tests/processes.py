"""Programs and servers in processes of their own, as users run them.

``python -m tests.processes MODULE FUNCTION ARGUMENT…`` sets Django up and calls the function.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import django
import httpx
import psycopg
from psycopg.conninfo import make_conninfo

ROOT = Path(__file__).resolve().parent.parent
#: seconds that a program may take on a busy machine; one that hangs is killed then, and has failed
PATIENCE = 120
#: seconds that a server may take to end, and the database to notice that a client is gone
END = 10


def run(scenario: Callable[..., object], url: str, *arguments: str, settings: str = "tests.hosts.settings") -> str:
    """What a function of a test module prints when it is called in a process of its own.

    It fails where the process fails or hangs, or where a connection is left when it has ended.
    """
    name, environment = _environment(url, settings, {})
    command = [sys.executable, "-m", "tests.processes", scenario.__module__, scenario.__qualname__, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert_nobody_is_connected(url, name)
    return done.stdout


class Server:
    """A server that answers."""

    def __init__(self, client: httpx.Client, name: str, log: Path) -> None:
        """``name`` is the ``application_name`` of its connections."""
        self.client = client
        self.name = name
        self.log = log

    def ask(self, path: str, tenant: str) -> Any:
        """The JSON that the host ``<tenant>.localhost`` answers with."""
        headers = {"Host": f"{tenant}.localhost"}
        answer = self.client.get(path, headers=headers)
        assert answer.status_code == 200, self.log.read_text()
        return answer.json()

    def ask_at_once(self, path: str, tenants: Sequence[str]) -> list[Any]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda tenant: self.ask(path, tenant), tenants))


@contextlib.contextmanager
def server(
    *command: str, url: str, settings: str = "tests.hosts.settings", overrides: dict[str, Any] | None = None
) -> Iterator[Server]:
    """A server of the module and arguments ``command``. It must end when asked to, and leave no connection.

    ``overrides`` replaces settings of `tests.hosts.settings`.
    """
    name, environment = _environment(url, settings, overrides or {})
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=file, stderr=file
            )
        try:
            with httpx.Client(base_url=_address(process, log), timeout=PATIENCE, trust_env=False) as client:
                yield Server(client, name, log)
        finally:
            process.terminate()
            try:
                process.wait(END)
            finally:
                process.kill()
    assert_nobody_is_connected(url, name)


def connected(url: str, name: str) -> int:
    """How many connections the database has from programs of this ``application_name``."""
    with psycopg.connect(url, application_name="observer") as observer:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        ((count,),) = observer.execute(query, [name])
    return int(count)


def terminate(url: str, name: str) -> int:
    """Break the connections of this ``application_name``, as a restart of the server does. How many there were."""
    with psycopg.connect(url, application_name="observer") as observer:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
        count = len(observer.execute(query, [name]).fetchall())
    assert_nobody_is_connected(url, name)
    return count


def assert_nobody_is_connected(url: str, name: str) -> None:
    """The server needs a moment to see that a client is gone."""
    end = time.monotonic() + END
    while (count := connected(url, name)) and time.monotonic() < end:
        time.sleep(0.02)
    assert count == 0


def _environment(url: str, settings: str, overrides: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The ``application_name`` of the process's connections, and its environment."""
    name = uuid.uuid4().hex
    return name, {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": settings,
        "POSTGRES_URL": make_conninfo(url, application_name=name),
        "PGAPPNAME": name,
        "OVERRIDES": json.dumps(overrides),
        "PYTHONPATH": str(ROOT),
    }


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text()):
            return found[0]
        time.sleep(0.02)
    raise AssertionError(log.read_text())


if __name__ == "__main__":
    django.setup()
    getattr(importlib.import_module(sys.argv[1]), sys.argv[2])(*sys.argv[3:])


def assert_database_is_left(url: str) -> None:
    """Nobody but the observer has a connection to the database, or will have one soon."""
    with psycopg.connect(url, autocommit=True) as observer:  # in a transaction it would see the same all the time
        end = time.monotonic() + END
        while others := observer.execute(
            "SELECT pid, state, query FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchall():
            assert time.monotonic() < end, others
            time.sleep(0.1)
