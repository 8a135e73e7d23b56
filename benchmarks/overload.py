"""``python -m benchmarks.overload``: one tenant at work while another does its worst, in one ASGI process.

The honest tenant's clients append a message and read the newest ones, with a pause between. First they are alone; then
the hostile tenant's clients ask for the largest pages, hold as many streams as they get, and send bodies that are slow
to read, each at once again. Printed are the honest tenant's times, and the greatest memory of the server. Every message
that was acknowledged must be there at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx

from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.postgres_server import postgres_server

CONFIGURATION = "max_connections = 300"
HONEST, PAGES, STREAMS, BODIES = 20, 20, 30, 30
#: seconds between an honest client's requests, and the most that one is waited for
PAUSE, PATIENCE = 0.25, 300.0
#: bytes of a slow body
SIZE = 2_000_000
SLOW: dict[str, bytes] = {
    "lone surrogates": b'{"role": "user", "content": "' + b"\\ud800" * (SIZE // 6) + b'"}',
    "sets in a set": b'{"directory": "/", "metadata": {"a": {"__type": "Set", "value": ['
    + b",".join(b'{"__type":"Set","value":[%d]}' % number for number in range(SIZE // 36))
    + b"]}}}",
    "private use": json.dumps({"role": "user", "content": "\ue000" * (SIZE // 6)}).encode(),
    "unknown names": json.dumps({f"unknown-{number}": 1 for number in range(SIZE // 20)}).encode(),
    "integers": b'{"role": "user", "tool_calls": [' + b",".join([b"12345678901234567890"] * (SIZE // 21)) + b"]}",
}


class Load:
    """The clients of both tenants."""

    def __init__(self, port: int, sessions: dict[str, str]) -> None:
        self.sessions = sessions
        self.times: list[float] = []
        self.acknowledged: list[int] = []
        self.answers: Counter[str] = Counter()
        limits = httpx.Limits(max_connections=None)
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/api/", headers={"Host": "localhost"}, limits=limits, timeout=PATIENCE
        )

    async def honest(self) -> None:
        path, headers = f"sessions/{self.sessions['honest']}/messages/", {"X-Tenant": "honest"}
        while True:
            await asyncio.sleep(random.uniform(0, 2 * PAUSE))
            began = time.monotonic()
            written = await self.http.post(path, json={"role": "user", "content": "hello"}, headers=headers)
            self.times.append(time.monotonic() - began)
            assert written.status_code == 201, written.text
            self.acknowledged.append(written.json()["id"])
            began = time.monotonic()
            read = await self.http.get(path, params={"limit": 20}, headers=headers)
            self.times.append(time.monotonic() - began)
            assert read.status_code == 200, read.text

    async def pages(self) -> None:
        await self._hostile("page", lambda: ("GET", f"sessions/{self.sessions['hostile']}/messages/?limit=500", None))

    async def bodies(self) -> None:
        def slow() -> tuple[str, str, bytes]:
            name = random.choice(list(SLOW))
            session = f"sessions/{self.sessions['hostile']}/messages/"
            return "POST", "sessions/" if name in ("sets in a set", "unknown names") else session, SLOW[name]

        await self._hostile("body", slow)

    async def _hostile(self, kind: str, choose: Callable[[], tuple[str, str, Any]]) -> None:
        headers = {"X-Tenant": "hostile", "Content-Type": "application/json"}
        while True:
            method, path, body = choose()
            answer = await self.http.request(method, path, content=body, headers=headers)
            self.answers[f"{kind} {answer.status_code}"] += 1

    async def streams(self) -> None:
        path = f"sessions/{self.sessions['hostile']}/events/"
        while True:
            async with self.http.stream("GET", path, headers={"X-Tenant": "hostile", "Last-Event-ID": "0"}) as answer:
                self.answers[f"stream {answer.status_code}"] += 1
                async for _ in answer.aiter_raw():
                    pass
            await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def at_work(*clients: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(client) for client in clients]
    try:
        yield
    finally:
        for task in tasks:
            if not task.cancel():  # it has failed
                task.result()
        await asyncio.gather(*tasks, return_exceptions=True)


def figures(times: list[float]) -> str:
    milliseconds = sorted(1000 * one for one in times)
    most = statistics.quantiles(milliseconds, n=100)[98]
    return (
        f"median {statistics.median(milliseconds):6.0f} ms   99 % {most:6.0f} ms   slowest {milliseconds[-1]:6.0f} ms"
    )


def memory(process: subprocess.Popen[bytes]) -> str:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    return f"{int(status['VmHWM'].split()[0]) / 1024:.0f} MB at most"


async def measure(port: int, process: subprocess.Popen[bytes], sessions: dict[str, str], seconds: float) -> list[int]:
    load = Load(port, sessions)
    async with load.http, at_work(*(load.honest() for _ in range(HONEST))):
        await asyncio.sleep(2)  # until it is warm
        load.times.clear()
        await asyncio.sleep(seconds)
        quiet, load.times = load.times, []
        print(f"alone         {figures(quiet)}   {memory(process)}", flush=True)
        hostile = [load.pages] * PAGES + [load.streams] * STREAMS + [load.bodies] * BODIES
        async with at_work(*(client() for client in hostile)):
            await asyncio.sleep(seconds)
        print(f"under attack  {figures(load.times)}   {memory(process)}", flush=True)
        print(f"the slowest is {max(load.times) / max(quiet):.1f} times the slowest of before")
        print("hostile answers:", ", ".join(f"{kind}: {count}" for kind, count in sorted(load.answers.items())))
    return load.acknowledged


def main(seconds: float) -> None:
    with (
        postgres_server(CONFIGURATION) as url,
        socket.create_server(("127.0.0.1", 0), backlog=200) as listening,
        PostgresCheckpointStore(url) as store,
    ):
        store.setup()
        sessions = {name: store.create_session("/", workspace_id=name).id for name in ("honest", "hostile")}
        store.add_messages(sessions["hostile"], [{"role": "user", "content": "x" * 200_000}] * 500)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.stream_server", str(listening.fileno()), "tenants"],
            env={**os.environ, "POSTGRES_URL": url},
            pass_fds=[listening.fileno()],
        )
        try:
            port = listening.getsockname()[1]
            acknowledged = asyncio.run(measure(port, process, sessions, seconds))
        finally:
            process.terminate()
            process.wait()
        stored = {message.id for message in store.get_messages(sessions["honest"])}
        lost = set(acknowledged) - stored
        print(f"{len(acknowledged)} messages were acknowledged, {len(lost)} of them are lost")
        assert not lost


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each part")
    main(parser.parse_args().seconds)
