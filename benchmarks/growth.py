"""``python -m benchmarks.growth``: what a call costs in an empty table and in one of millions of rows, side by side.

Also which index each question uses, and how much storage a checkpoint takes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from benchmarks import report
from benchmarks.dataset import SIZES
from benchmarks.measure import Measurement
from benchmarks.server import Server, server
from benchmarks.systems import SYSTEMS
from benchmarks.workloads import WORKLOADS

CALLS = ("create-session", "save-2k", "add", "update-session", "latest", "latest-any", "by-id", "last-50", "list-50")
#: the promise: no more than this many times an empty table's cost
FLAT = 1.3
ROUNDS = 4
#: the questions as a server sees them, by the limit's statements
QUESTIONS = {
    "latest": (
        "SELECT * FROM checkpoints WHERE session_id = 'background-7' AND namespace = '' ORDER BY version DESC LIMIT 1"
    ),
    "by-id": "SELECT * FROM checkpoints WHERE id = 'background-7'",
    "transcript": "SELECT * FROM messages WHERE session_id = 'background-7' ORDER BY created_at, id",
    "last-50": "SELECT * FROM messages WHERE session_id = 'background-7' ORDER BY created_at DESC, id DESC LIMIT 50",
    "list-50": "SELECT * FROM sessions WHERE workspace_id = 'busy' ORDER BY updated_at DESC, id DESC LIMIT 50",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="of measuring, after the tables are filled")
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    options = parser.parse_args()
    with server() as small, ExitStack() as stack:
        large = small.beside("large")
        ours = SYSTEMS["ours"]
        small.create([ours], SIZES["empty"])
        large.create([ours], SIZES[options.size])
        log = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
        measurements = [stack.enter_context(Measurement(place, [ours], log)) for place in (small, large)]
        seconds = options.minutes * 60 / len(CALLS) / ROUNDS / len(measurements)
        ratios = dict(_ratios(measurements, seconds))
        document: dict[str, Any] = {
            "size": options.size,
            "times_an_empty_table": ratios,
            "plans": _plans(large),
            "bytes_per_checkpoint_of_2_kb": _storage(small),
            **report.machine(),
        }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "growth.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _ratios(measurements: list[Measurement], seconds: float) -> Iterator[tuple[str, float]]:
    for call in CALLS:
        times: list[list[int]] = [[], []]
        for number in range(ROUNDS):
            for place in (0, 1) if number % 2 else (1, 0):
                figures = measurements[place].run(WORKLOADS[call], seconds)
                times[place] += figures["ours"].times
        ratio = median(times[1]) / median(times[0])
        print(f"{'flat ' if ratio <= FLAT else 'GROWS'}  {ratio:5.2f} times  {call}", flush=True)
        yield call, round(ratio, 3)


def _plans(place: Server) -> dict[str, list[str]]:
    """The lines of each plan that name a way into a table."""
    with psycopg.connect(place.url(place.shared)) as connection:
        return {
            name: [line.strip() for (line,) in connection.execute(f"EXPLAIN {sql}".encode()) if "Scan" in line]
            for name, sql in QUESTIONS.items()
        }


def _storage(place: Server) -> dict[str, float]:
    """Of the table that holds only checkpoints of 2 KB, with each way to compress that the server was built with."""
    sizes = {}
    with psycopg.connect(place.url(place.shared), autocommit=True) as connection:
        known = connection.execute(
            "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'"
        ).fetchone()
        for method in known[0] if known else ():
            connection.execute("CREATE TEMPORARY TABLE stored (LIKE checkpoints INCLUDING ALL)")
            connection.execute(f"ALTER TABLE stored ALTER node_results SET COMPRESSION {method}".encode())
            connection.execute(
                "INSERT INTO stored (id, session_id, namespace, version, step, node_results, source, created_at)"
                " SELECT id, session_id, namespace, version, step, node_results || '', source, created_at"
                " FROM checkpoints WHERE session_id = 'checkpoints-1000'"
            )
            row = connection.execute(
                "SELECT pg_total_relation_size('stored')::float8 / count(*) FROM stored"
            ).fetchone()
            sizes[method] = round(row[0]) if row else 0.0
            connection.execute("DROP TABLE stored")
    return sizes


if __name__ == "__main__":
    main()
