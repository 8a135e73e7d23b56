"""``python -m benchmarks.stream``: many listeners on one session in one ASGI process.

Writers add messages and checkpoints, most through the store, some in transactions that stay open for a while, so that
they commit in another order than that of their ids. Every listener must get every event once, and each writer's in the
order in which it wrote them. One listener in ten hangs up now and then, and comes back with ``Last-Event-ID``. Printed
are the memory, threads and database connections of the server, and the time from the end of a write to its arrival.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg

from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.postgres_server import postgres_server

CONFIGURATION = "max_connections = 300"
WRITERS = 4
#: seconds that a transaction of a slow writer stays open
OPEN = 0.3

Key = tuple[str, Any]


class Writer(threading.Thread):
    """Writes until ``stop``; ``written`` has what, and when it was committed."""

    def __init__(self, number: int, url: str, session_id: str, rate: float, stop: threading.Event) -> None:
        super().__init__()
        self.number, self.url, self.session_id, self.rate, self.stop = number, url, session_id, rate, stop
        self.written: list[tuple[Key, float]] = []

    def run(self) -> None:
        write = self._slowly if self.number == 0 else self._with_store
        write()

    def _with_store(self) -> None:
        with PostgresCheckpointStore(self.url) as store:
            step = 0
            while not self.stop.wait(1 / self.rate):
                message = store.add_message(self.session_id, "assistant", f"step {step} " * 20)
                self._add("message", message.id)
                saved = store.save_checkpoint(
                    self.session_id, step=step, node_results={}, namespace=f"writer-{self.number}"
                )
                self._add("checkpoint", saved.id)
                step += 1

    def _slowly(self) -> None:
        """As another program: several messages and savepoints in a transaction that stays open."""
        sql = (
            "INSERT INTO messages (session_id, role, content, created_at) VALUES (%s, 'tool', 'late', %s) RETURNING id"
        )
        with psycopg.connect(self.url) as connection:
            while not self.stop.wait(1 / self.rate):
                ids = []
                for _ in range(3):
                    with connection.transaction():
                        row = connection.execute(sql, [self.session_id, time.time_ns() // 1_000_000]).fetchone()
                        assert row is not None
                        ids.append(row[0])
                        time.sleep(random.uniform(0, OPEN / 3))
                connection.commit()
                for id in ids:
                    self._add("message", id)

    def _add(self, kind: str, id: Any) -> None:
        self.written.append(((kind, id), time.monotonic()))


class Listener:
    def __init__(self, port: int, path: str, *, leaves: bool) -> None:
        self.port, self.path, self.leaves = port, path, leaves
        self.received: list[tuple[Key, float]] = []
        self.ready = asyncio.Event()
        self.returns = 0
        self._last = ""

    async def run(self) -> None:
        while True:
            seconds = random.uniform(1, 3) if self.leaves else None
            try:
                await asyncio.wait_for(self._connection(), seconds)
            except TimeoutError:
                self.returns += 1

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        last = f"Last-Event-ID: {self._last}\r\n" if self._last else ""
        writer.write(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\n{last}\r\n".encode())
        try:
            assert b" 200 " in await reader.readline()
            id = kind = ""
            while line := (await reader.readline()).decode():
                name, _, value = line.rstrip("\r\n").partition(": ")
                match name:
                    case "id":
                        id = value
                    case "event":
                        kind = value
                    case "data":
                        self.received.append(((kind, json.loads(value)["id"]), time.monotonic()))
                        self._last = id
                    case "" if id and not kind:
                        self._last = self._last or id
                        self.ready.set()
            raise AssertionError("the server has ended the stream")
        finally:
            writer.close()


def footprint(process: subprocess.Popen[bytes], url: str) -> str:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stream'").fetchone()
    assert row is not None
    memory = int(status["VmRSS"].split()[0]) / 1024
    return f"{memory:8.1f} MB   {status['Threads'].strip():>4} threads   {row[0]:>4} connections"


def check(listener: Listener, writers: list[Writer]) -> None:
    received = [key for key, _ in listener.received]
    assert len(set(received)) == len(received), "an event came twice"
    assert set(received) == {key for writer in writers for key, _ in writer.written}, "an event is missing"
    places = {key: place for place, key in enumerate(received)}
    for writer in writers:
        order = [places[key] for key, _ in writer.written]
        assert order == sorted(order), "events came in another order than they were written"


async def measure(port: int, url: str, process: subprocess.Popen[bytes], count: int, seconds: float) -> None:
    async with PostgresCheckpointStore(url) as store:
        session = await store.acreate_session("/srv/shop")
    path = f"/api/sessions/{session.id}/events/"
    first = Listener(port, path, leaves=False)
    listeners = [first, *(Listener(port, path, leaves=number % 10 == 0) for number in range(1, count))]
    tasks = [asyncio.create_task(first.run())]
    await first.ready.wait()
    await asyncio.sleep(1)
    print(f"{'1 listener':<24}{footprint(process, url)}", flush=True)
    tasks += [asyncio.create_task(listener.run()) for listener in listeners[1:]]
    await asyncio.gather(*(listener.ready.wait() for listener in listeners))
    await asyncio.sleep(1)
    print(f"{f'{count} listeners':<24}{footprint(process, url)}", flush=True)
    stop = threading.Event()
    writers = [Writer(number, url, session.id, 5, stop) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    await asyncio.sleep(seconds)
    print(f"{'… while written to':<24}{footprint(process, url)}", flush=True)
    stop.set()
    for writer in writers:
        await asyncio.to_thread(writer.join)
    total = sum(len(writer.written) for writer in writers)
    for _ in range(100):
        if all(len(listener.received) >= total for listener in listeners):
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)  # for what might come twice
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended
    for listener in listeners:
        check(listener, writers)
    committed = {key: moment for writer in writers for key, moment in writer.written}
    late = [(moment - committed[key]) * 1000 for one in listeners if not one.leaves for key, moment in one.received]
    returns = sum(listener.returns for listener in listeners)
    print(f"{total} events, each once and in order to {count} listeners, which came back {returns} times")
    most = statistics.quantiles(late, n=100)[98]
    print(f"from commit to arrival: median {statistics.median(late):.0f} ms, 99 % within {most:.0f} ms")


def main(count: int, seconds: float) -> None:
    with postgres_server(CONFIGURATION) as url, socket.create_server(("127.0.0.1", 0), backlog=count) as listening:
        with PostgresCheckpointStore(url) as store:
            store.setup()
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.stream_server", str(listening.fileno())],
            env={**os.environ, "POSTGRES_URL": url, "PGAPPNAME": "stream"},
            pass_fds=[listening.fileno()],
        )
        try:
            asyncio.run(measure(listening.getsockname()[1], url, process, count, seconds))
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0, help="for which the session is written to")
    arguments = parser.parse_args()
    main(arguments.listeners, arguments.seconds)
