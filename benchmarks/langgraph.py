"""``python -m benchmarks.langgraph``: `DjangoSaver` beside LangGraph's own PostgreSQL savers, call by call in one run.

Prints, for states of three sizes, the median of each call of theirs and how many times as long ours takes: with the
state only (``projection="session"``), and with checkpoints and messages for people (``"full"``), both over one
connection that is kept. Then graphs that run at the same time, over eight connections, and the bytes that a
conversation of 250 turns takes. A write waits for the disk at its end, as long for one as for the other:
``--without-disk`` leaves that out of both (``synchronous_commit=off``).
"""

from __future__ import annotations

import argparse
import asyncio
import operator
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Annotated, Any, TypedDict

import psycopg
from django.db import connections
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from benchmarks.server import server
from benchmarks.systems.ours import django_database
from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.postgres import PostgresCheckpointStore

ROUNDS, WARM_UP = 60, 12
#: messages of the state, and characters of another channel
SIZES = {"2 KB": (3, 500), "50 KB": (10, 45_000), "400 messages": (400, 500)}
CALLS = ("put", "put_writes", "get_tuple", "list")
LIST = 10
GRAPHS, STEPS, CONNECTIONS = 16, 8, 8
TURNS = 250
TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
OURS = ("sessions", "messages", "checkpoints", "langgraph_checkpoints", "langgraph_blobs", "langgraph_items",
        "langgraph_writes", "langgraph_messages", "langgraph_threads")  # fmt: skip

Saver = BaseCheckpointSaver[str]


def messages(count: int) -> list[AnyMessage]:
    """Of about 600 characters, in words that no two share."""
    kinds, chance = (HumanMessage, AIMessage), random.Random(1)
    return [
        kinds[number % 2](" ".join(f"{chance.getrandbits(32):x}" for _ in range(67)), id=f"m{number}")
        for number in range(count)
    ]


class Thread:
    """A thread that grows by a message with each put."""

    def __init__(self, saver: Saver, said: list[AnyMessage], characters: int) -> None:
        self.saver = saver
        self.said = said
        self.text = "x" * characters
        self.config: Any = {"configurable": {"thread_id": str(uuid.uuid4()), "checkpoint_ns": ""}}
        self.newest: Any = self.config
        self.versions: dict[str, Any] = {}

    def put(self, turn: int, count: int) -> None:
        channels = {"messages": self.said[:count], "text": f"{self.text}{turn}", "branch:to:tools": None}
        new: dict[str, Any] = {name: self.saver.get_next_version(self.versions.get(name), None) for name in channels}
        self.versions |= new
        checkpoint: Checkpoint = {
            "v": 4,
            "id": str(uuid6()),
            "ts": "2026-11-26T12:00:00+00:00",
            "channel_values": channels,
            "channel_versions": dict(self.versions),
            "versions_seen": {"agent": {"branch:to:agent": self.versions["messages"]}},
            "updated_channels": ["messages"],
        }
        self.newest = self.saver.put(self.newest, checkpoint, {"source": "loop", "step": turn, "parents": {}}, new)

    def put_writes(self, turn: int, count: int) -> None:
        writes = [("messages", [self.said[count]]), ("branch:to:agent", None)]
        self.saver.put_writes(self.newest, writes, f"task-{turn}", "~__pregel_pull, tools")

    def get_tuple(self, turn: int, count: int) -> None:
        assert self.saver.get_tuple(self.config) is not None

    def list(self, turn: int, count: int) -> None:
        assert [*self.saver.list(self.config, limit=LIST)]


def calls(savers: dict[str, Saver]) -> Iterator[tuple[str, str, dict[str, float]]]:
    """(size, call, saver -> median seconds); the savers take turns, each time another one first."""
    names = [*savers]
    for size, (count, characters) in SIZES.items():
        said = messages(count + ROUNDS + 1)
        threads = {name: Thread(saver, said, characters) for name, saver in savers.items()}
        taken: dict[tuple[str, str], list[float]] = defaultdict(list)
        for turn in range(ROUNDS):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                for call in CALLS:
                    made: Callable[[int, int], None] = getattr(threads[name], call)
                    begin = time.perf_counter()
                    made(turn, count + turn)
                    if turn >= WARM_UP:
                        taken[call, name].append(time.perf_counter() - begin)
        for call in CALLS:
            yield size, call, {name: median(taken[call, name]) for name in names}


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    count: Annotated[int, operator.add]


def graph(saver: Saver) -> Any:
    async def work(state: State) -> dict[str, Any]:
        return {"messages": [AIMessage("done " * 100)], "count": 1}

    builder = StateGraph(State)
    builder.add_node("work", work)
    builder.add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: END if state["count"] >= STEPS else "work", ["work", END])
    return builder.compile(checkpointer=saver)


async def graphs_at_once(saver: Saver) -> float:
    """Seconds that the graphs take together."""
    compiled = graph(saver)

    async def run() -> None:
        config = {"configurable": {"thread_id": str(uuid.uuid4())}}
        await compiled.ainvoke({"messages": [HumanMessage("go")], "count": 0}, config)

    begin = time.perf_counter()
    await asyncio.gather(*(run() for _ in range(GRAPHS)))
    return time.perf_counter() - begin


async def concurrency(url: str, ours: dict[str, Saver]) -> dict[str, float]:
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(url, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=options) as pool:
        savers: dict[str, Saver] = {"theirs": AsyncPostgresSaver(pool), **ours}  # type: ignore[arg-type]  # of dicts
        taken: dict[str, list[float]] = defaultdict(list)
        for turn in range(9):
            for name, saver in savers.items():
                seconds = await graphs_at_once(saver)
                if turn:
                    taken[name].append(seconds)
        return {name: median(seconds) for name, seconds in taken.items()}


def bytes_of(url: str, saver: Saver, tables: tuple[str, ...]) -> int:
    """What the tables have grown by after a conversation."""
    with psycopg.connect(url, autocommit=True) as connection:
        size = "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) AS name"

        def stored() -> int:
            for table in tables:
                connection.execute(f"VACUUM FULL {table}".encode())
            ((found,),) = connection.execute(size, [[*tables]]).fetchall()
            return int(found)

        before = stored()
        thread = Thread(saver, messages(2 * TURNS + 1), 0)
        for turn in range(2 * TURNS):
            thread.put(turn, turn + 1)
        return stored() - before


@contextmanager
def databases(*, disk: bool) -> Iterator[tuple[str, str]]:
    """The addresses of two databases on one server, the first with our tables."""
    with server() as database:
        database.create_tables()
        url = database.url(database.shared)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE theirs")
            for name in ("theirs", database.shared):
                connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = {'on' if disk else 'off'}".encode())
        yield url, database.url("theirs")


def ours(using: str | PostgresCheckpointStore) -> dict[str, Saver]:
    return {"state": DjangoSaver(using, projection="session"), "full": DjangoSaver(using)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without-disk", action="store_true", help="writes do not wait for the disk")
    with (
        databases(disk=not parser.parse_args().without_disk) as (url, theirs_url),
        psycopg.connect(theirs_url, autocommit=True, prepare_threshold=0, row_factory=dict_row) as connection,
        PostgresCheckpointStore(url, max_size=CONNECTIONS) as store,
    ):
        theirs = PostgresSaver(connection)
        theirs.setup()
        database = connections.settings["kept"] = django_database(url)
        connections.configure_settings({"default": {}, "kept": database})  # which completes it
        kept = ours("kept")
        print(f"{'':28}{'theirs':>10}{'state':>8}{'full':>8}")
        for size, call, taken in calls({"theirs": theirs, **kept}):
            print(line(f"{size}, {call}", taken))
        print(line(f"{GRAPHS} async graphs, {STEPS} steps", asyncio.run(concurrency(theirs_url, ours(store)))))
        grown = {"theirs": bytes_of(theirs_url, theirs, TABLES), "full": bytes_of(url, kept["full"], OURS)}
        print(f"\n{TURNS} turns: theirs {grown['theirs']:,} bytes, ours {grown['full']:,}", end="")
        print(f", {grown['full'] / grown['theirs']:.1%}")


def line(what: str, taken: dict[str, float]) -> str:
    ratios = "".join(f"{taken[name] / taken['theirs']:8.2f}" for name in ("state", "full"))
    return f"{what:28}{taken['theirs'] * 1000:7.2f} ms{ratios}"


if __name__ == "__main__":
    main()
