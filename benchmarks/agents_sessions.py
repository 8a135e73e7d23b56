"""``python -m benchmarks.agents_sessions``: `DjangoSession` beside the SDK's own `SQLAlchemySession`, on PostgreSQL.

Both in one process and one event loop, on one server, in rounds that take them in turn; the figures are medians over
all calls. A write waits for the disk at its end, as long for one as for the other: ``--without-disk`` leaves that out
of both (``synchronous_commit=off``).
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from agents.extensions.memory import SQLAlchemySession
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.server import server
from obsku_checkpoint.contrib.openai_agents import DjangoSession
from obsku_checkpoint.postgres import PostgresCheckpointStore

#: how many times as fast as theirs ours must be
WANTED = {"add 1": 2.0, "add 2": 2.0, "get 20": 2.0, "get 1,000": 2.0, "last 50 of 1,000": 3.0, "pop": 1.0}
TEXT = "The order page takes four seconds because orders has no index on customer_id. " * 7
USER = {"role": "user", "content": TEXT}
CALL = {"type": "function_call", "call_id": "c1", "name": "explain", "arguments": '{"page": "/orders"}', "id": "fc_1"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": TEXT}
ANSWER = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}],
}
TURN: Any = [USER, CALL, OUTPUT, ANSWER]

Open = Callable[[str], Any]


async def timed(call: Callable[[], Awaitable[Any]], calls: int) -> list[float]:
    times = []
    for _ in range(calls):
        begin = time.perf_counter()
        await call()
        times.append(time.perf_counter() - begin)
    return times


async def round_of(open_session: Open, name: str, calls: int) -> dict[str, list[float]]:
    short, long, written = open_session(f"{name}-short"), open_session(f"{name}-long"), open_session(f"{name}-written")
    if not await long.get_items(1):
        await short.add_items(TURN * 5)
        for _ in range(25):
            await long.add_items(TURN * 10)
    return {
        "add 1": await timed(lambda: written.add_items([USER]), calls),
        "add 2": await timed(lambda: written.add_items([CALL, OUTPUT]), calls),
        "get 20": await timed(short.get_items, calls),
        "get 1,000": await timed(long.get_items, max(calls // 10, 3)),
        "last 50 of 1,000": await timed(lambda: long.get_items(50), calls),
        "pop": await timed(written.pop_item, calls),
    }


async def measure(url: str, rounds: int, calls: int, settings: dict[str, str]) -> dict[str, tuple[float, float]]:
    parts = conninfo_to_dict(url)
    place = {"username": parts.get("user"), "database": parts["dbname"], "query": {"host": parts["host"]}}
    engine = create_async_engine(
        URL.create("postgresql+asyncpg", **place),  # type: ignore[arg-type]  # texts
        connect_args={"server_settings": settings},
    )
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    async with PostgresCheckpointStore(make_conninfo(url, options=options)) as store:
        await SQLAlchemySession("any", engine=engine, create_tables=True).get_items()
        systems: dict[str, Open] = {
            "ours": lambda id: DjangoSession(id, using=store),
            "theirs": lambda id: SQLAlchemySession(id, engine=engine),
        }
        times: dict[str, dict[str, list[float]]] = {name: {work: [] for work in WANTED} for name in systems}
        for number in range(rounds + 1):
            if number == 1:  # as autovacuum does within a minute
                async with engine.connect() as connection:
                    await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("ANALYZE"))
            for name in sorted(systems, reverse=bool(number % 2)):
                for work, taken in (await round_of(systems[name], name, calls)).items():
                    if number:  # the first is a warm-up
                        times[name][work] += taken
    await engine.dispose()
    return {work: (median(times["ours"][work]), median(times["theirs"][work])) for work in WANTED}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--calls", type=int, default=100, help="of each kind in a round")
    parser.add_argument("--without-disk", action="store_true", help="writes do not wait for the disk")
    arguments = parser.parse_args()
    settings = {"synchronous_commit": "off"} if arguments.without_disk else {}
    with server() as database:
        database.create_tables()
        results = asyncio.run(measure(database.url(database.shared), arguments.rounds, arguments.calls, settings))
    for work, (ours, theirs) in results.items():
        verdict = "holds" if theirs / ours >= WANTED[work] else "FAILS"
        figures = f"{ours * 1e3:7.2f} ms, SQLAlchemySession {theirs * 1e3:7.2f} ms"
        print(f"{work:>18} {figures}   {verdict}  {theirs / ours:.1f} times as fast")


if __name__ == "__main__":
    main()
