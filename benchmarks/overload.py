"""``python -m benchmarks.overload``: one tenant at work while another does its worst, in one ASGI process.

The honest tenant's clients append a message and read the newest ones, with a pause between. First they are alone; then
the hostile tenant's clients (`hostile.py`) ask for the largest pages, hold as many streams as they get, and send bodies
that are slow to read, each at once again. Printed are the honest tenant's times, and the greatest memory of the server.
Every message that was acknowledged must be there at the end.
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
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.postgres_server import postgres_server

CONFIGURATION = "max_connections = 300"
HONEST = 20
#: seconds between an honest client's requests, and the most that one is waited for
PAUSE, PATIENCE = 0.25, 300.0


class Honest:
    """The honest tenant's clients."""

    def __init__(self, port: int, session: str) -> None:
        self.path = f"sessions/{session}/messages/"
        self.times: list[float] = []
        self.acknowledged: list[int] = []
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/api/",
            headers={"Host": "localhost", "X-Tenant": "honest"},
            timeout=PATIENCE,
        )

    async def work(self) -> None:
        while True:
            await asyncio.sleep(random.uniform(0, 2 * PAUSE))
            began = time.monotonic()
            written = await self.http.post(self.path, json={"role": "user", "content": "hello"})
            self.times.append(time.monotonic() - began)
            assert written.status_code == 201, written.text
            self.acknowledged.append(written.json()["id"])
            began = time.monotonic()
            read = await self.http.get(self.path, params={"limit": 20})
            self.times.append(time.monotonic() - began)
            assert read.status_code == 200, read.text


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
    honest = Honest(port, sessions["honest"])
    async with honest.http, at_work(*(honest.work() for _ in range(HONEST))):
        await asyncio.sleep(2)  # until it is warm
        honest.times.clear()
        await asyncio.sleep(seconds)
        quiet, honest.times = honest.times, []
        print(f"alone         {figures(quiet)}   {memory(process)}", flush=True)
        hostile = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.hostile", str(port), sessions["hostile"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        await asyncio.sleep(seconds)
        print(f"under attack  {figures(honest.times)}   {memory(process)}", flush=True)
        print(f"the slowest is {max(honest.times) / max(quiet):.1f} times the slowest of before")
        answers, _ = await hostile.communicate(b"")  # its standard input ends
    assert hostile.returncode == 0
    print("hostile answers:", ", ".join(f"{kind}: {count}" for kind, count in sorted(json.loads(answers).items())))
    return honest.acknowledged


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
