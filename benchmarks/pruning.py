"""``python -m benchmarks.pruning``: 2,000,000 checkpoints are pruned while 8 processes go on writing.

What is pruned are 99 of 100 checkpoints of each of 20,000 sessions. The writers work in the same sessions as hard as
they can, first alone, then beside `prune`, then alone again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import time
from datetime import timedelta
from multiprocessing.synchronize import Event
from statistics import median
from typing import Any

import psycopg

from benchmarks.server import server
from obsku_checkpoint.maintenance import prune
from obsku_checkpoint.postgres import PostgresCheckpointStore

WRITERS = 8
#: of each session
CHECKPOINTS = 100
#: seconds of writing alone, before and after
QUIET = 15.0

FILL = """
INSERT INTO sessions (id, directory, created_at, updated_at)
SELECT 's' || lpad(n::text, 7, '0'), '/', 1780000000000, 1780000000000 FROM generate_series(1, {sessions}) n;
INSERT INTO checkpoints (id, session_id, namespace, version, step, node_results, pending_nodes, source, created_at)
SELECT 'c' || lpad(s::text, 7, '0') || '-' || v, 's' || lpad(s::text, 7, '0'), '', v, v,
    '{{"work":{{"status":"completed","output":"' || repeat('text ', 60) || v || '"}}}}', '[]', 'loop', 1780000000000 + v
FROM generate_series(1, {sessions}) s, generate_series(1, {checkpoints}) v;
"""


def write(url: str, sessions: int, number: int, stop: Event, ready: Any, found: Any) -> None:
    """One writer: sends (when it ended, seconds) of each write."""
    choice = random.Random(number)
    calls = []
    with PostgresCheckpointStore(url) as store:
        store.get_session("x")
        ready.wait()
        while not stop.is_set():
            id = f"s{choice.randint(1, sessions):07}"
            begin = time.time()
            if choice.random() < 0.5:
                store.add_message(id, "user", "text " * 20)
            else:
                store.save_checkpoint(
                    id, step=1, node_results={"work": {"status": "completed", "output": "text " * 60}}
                )
            end = time.time()
            calls.append((end, end - begin))
    found.put(calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=2_000_000)
    parser.add_argument("--writers", type=int, default=WRITERS)
    options = parser.parse_args()
    sessions = options.checkpoints // CHECKPOINTS
    with server() as database:
        database.create_tables()
        url = database.url(database.shared)
        begin = time.perf_counter()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = off")
            connection.execute(FILL.format(sessions=sessions, checkpoints=CHECKPOINTS).encode())
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")
            ((size,),) = connection.execute("SELECT pg_total_relation_size('checkpoints')").fetchall()
        seconds = time.perf_counter() - begin
        print(f"{sessions * CHECKPOINTS:,} checkpoints, {size / 1e6:,.0f} MB, made in {seconds:.0f} s", flush=True)
        with PostgresCheckpointStore(url) as store:
            compare(store, url, sessions, options.writers)


def compare(store: PostgresCheckpointStore, url: str, sessions: int, count: int) -> None:
    context = multiprocessing.get_context("spawn")
    stop, ready, found = context.Event(), context.Barrier(count + 1), context.Queue()
    arguments = [(url, sessions, number, stop, ready, found) for number in range(count)]
    processes = [context.Process(target=write, args=each) for each in arguments]
    for process in processes:
        process.start()
    ready.wait()
    times = [time.time()]
    time.sleep(QUIET)
    times.append(time.time())
    used = time.process_time()
    figures = prune(store.using, older_than=timedelta(days=0), keep_last=1)
    used = time.process_time() - used
    times.append(time.time())
    time.sleep(QUIET)
    times.append(time.time())
    stop.set()
    calls = [call for _ in processes for call in found.get()]
    for process in processes:
        process.join()
    seconds = times[2] - times[1]
    print(f"pruned {figures['checkpoints']:,} of them, {figures['bytes'] / 1e6:.0f} MB: {seconds:.1f} s,")
    print(f"{figures['batches']} batches, {figures['checkpoints'] / seconds:,.0f} a second, {used:.1f} s of Python")
    rates = []
    for name, begin, end in zip(("alone", "beside prune", "alone again"), times, times[1:], strict=False):
        took = sorted(length for moment, length in calls if begin <= moment < end)
        rates.append(len(took) / (end - begin))
        print(
            f"{count} writers {name}: {rates[-1]:,.0f} writes a second, median {median(took) * 1000:.1f} ms,"
            f" 99 % within {took[int(len(took) * 0.99)] * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms"
        )
    print(f"beside prune / alone: {rates[1] / ((rates[0] + rates[2]) / 2):.2f}")


if __name__ == "__main__":
    main()
