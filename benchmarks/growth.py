"""``python -m benchmarks.growth``: what a call costs in an empty table and in one of millions of rows, side by side.

Also which index each question uses, and how much storage a checkpoint takes.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from django.db import connections

from benchmarks import report
from benchmarks.dataset import SIZES
from benchmarks.measure import Measurement
from benchmarks.server import Server, server
from benchmarks.systems import SYSTEMS
from benchmarks.workloads import STATE_2K, STATE_50K, WORKLOADS
from obsku_checkpoint.postgres import PostgresCheckpointStore

CALLS = (
    "create-session", "save-2k", "add", "import-1000", "update-session", "latest", "latest-any", "by-id", "last-50",
    "list-50", "summaries-50", "fork-100",
)  # fmt: skip
#: the promise: no more than this many times an empty table's cost
FLAT = 1.3
ROUNDS = 4
#: calls whose statements are explained
SESSION = "plain-2000"
EXPLAINED: dict[str, Callable[[PostgresCheckpointStore], object]] = {
    "create_session": lambda store: store.create_session("/srv/agent"),
    "save_checkpoint": lambda store: store.save_checkpoint(SESSION, step=1, node_results={}),
    "add_message": lambda store: store.add_message(SESSION, "user", "Go on."),
    "add_messages": lambda store: store.add_messages(SESSION, [{"role": "user"}, {"role": "user"}]),
    "update_session": lambda store: store.update_session(SESSION, title="Explained"),
    "get_latest_checkpoint, a namespace": lambda store: store.get_latest_checkpoint("checkpoints-1000", ""),
    "get_latest_checkpoint": lambda store: store.get_latest_checkpoint("checkpoints-1000"),
    "get_checkpoint": lambda store: store.get_checkpoint("latest-500"),
    "get_messages": lambda store: store.get_messages(SESSION),
    "get_messages, the last 50": lambda store: store.get_messages(SESSION, limit=50),
    "list_sessions of a workspace": lambda store: store.list_sessions("busy", limit=50),
    "list_session_summaries": lambda store: store.list_session_summaries("busy", limit=50),
    "fork": lambda store: store.fork("end-of-plain-2000"),
    "delete_session": lambda store: store.delete_session("last-1000"),
}
#: a way into a table, in the text of a plan
WAY = re.compile(r"((?:Seq|Index|Index Only|Bitmap Index) Scan .*?) +\(cost")


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
            "plans": dict(_plans(large)),
            "bytes_per_checkpoint": _storage(small),
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


def _plans(place: Server) -> Iterator[tuple[str, list[str]]]:
    """The ways into tables of the statements that each call sends."""
    with PostgresCheckpointStore(place.url(place.shared)) as store:
        for call, run in EXPLAINED.items():
            plans = []
            for sql, parameters in _statements(store, run):
                with connections[store.using].cursor() as cursor:
                    cursor.execute(f"EXPLAIN {sql}", parameters)
                    plans += [match[1] for (line,) in cursor.fetchall() if (match := WAY.search(line))]
            ways = list(dict.fromkeys(plans))
            print(f"{call}:", *(ways or ["no search"]), sep="\n    ", flush=True)
            yield call, ways


def _statements(store: PostgresCheckpointStore, run: Callable[[PostgresCheckpointStore], object]) -> list[Any]:
    sent: list[Any] = []

    def note(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        sent.append((sql, parameters))
        return execute(sql, parameters, many, context)

    with connections[store.using].execute_wrapper(note):
        run(store)
    explainable = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
    return [(sql, parameters) for sql, parameters in sent if str(sql).lstrip(" (").startswith(explainable)]


def _storage(place: Server) -> dict[str, dict[str, int]]:
    """Bytes a checkpoint takes in its table and that table's TOAST, by size and by the compressions the server has."""
    sizes: dict[str, dict[str, int]] = {}
    with psycopg.connect(place.url(place.shared), autocommit=True) as connection:
        row = connection.execute("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'").fetchone()
        for title, state in (("2 KB", STATE_2K), ("50 KB", STATE_50K)):
            text = json.dumps(state, separators=(",", ":"))
            sizes[title] = {"uncompressed": _bytes(connection, "STORAGE EXTERNAL", text)}
            for method in row[0] if row else ():
                sizes[title][method] = _bytes(connection, f"COMPRESSION {method}", text)
            print(f"a checkpoint of {title} takes", sizes[title], flush=True)
    return sizes


def _bytes(connection: psycopg.Connection[Any], how: str, text: str) -> int:
    connection.execute("CREATE TEMPORARY TABLE stored (LIKE checkpoints)")
    connection.execute(f"ALTER TABLE stored ALTER node_results SET {how}".encode())
    connection.execute(
        "INSERT INTO stored (id, session_id, namespace, version, step, node_results, source, created_at)"
        " SELECT gen_random_uuid(), gen_random_uuid(), '', 1, n, %s, 'loop', 0 FROM generate_series(1, 1000) n",
        [text],
    )
    row = connection.execute("SELECT pg_table_size('stored') / count(*) FROM stored").fetchone()
    connection.execute("DROP TABLE stored")
    return int(row[0]) if row else 0


if __name__ == "__main__":
    main()
