"""``python -m benchmarks``: measure the systems, print a line a figure, write the report."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report
from benchmarks.dataset import SIZES
from benchmarks.measure import Figures, Measurement
from benchmarks.server import server
from benchmarks.systems import SYSTEMS
from benchmarks.workloads import WORKLOADS


def main() -> None:
    options = _options()
    systems = [SYSTEMS[name] for name in options.systems]
    workloads = [WORKLOADS[name] for name in options.workloads]
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log, server() as database:
        database.create(systems, SIZES[options.size])
        with Measurement(database, systems, log) as measurement:
            print(f"PostgreSQL {database.version}, ready after {time.monotonic() - begin:.0f} s", flush=True)
            end = begin + options.minutes * 60
            for number, workload in enumerate(workloads):
                seconds = max(1.0, end - time.monotonic()) / (len(workloads) - number)
                _print(f"{workload.name}: {workload.title}", measurement.run(workload, seconds * 0.85))
        results = measurement.results
        for name, reason in results.left_out.items():
            print(f"left out: {name}: {reason}")
        if results.left_out and options.verbose:
            log.seek(0)
            sys.stderr.write(log.read()[-20_000:])
        size = SIZES[options.size]
        rows = f"{size.sessions:,} sessions, {size.checkpoints:,} checkpoints, {size.messages:,} messages"
        facts = {
            "PostgreSQL": f"{database.version}, fsync on, on a socket",
            **report.machine(),
            "rows_beforehand": rows,
            "minutes": options.minutes,
        }
    report.write(options.out, results, facts)
    kept = list(report.verdicts(results))
    for verdict in kept:
        print(
            f"{'holds' if verdict.holds else 'FAILS'}  {verdict.reached:7.2f} (wanted {verdict.wanted:.2f})"
            f"  {verdict.workload.name}: {verdict.ours} against {verdict.system}"
        )


def _print(title: str, figures: dict[str, Figures]) -> None:
    print(title, flush=True)
    for name, its in figures.items():
        trips = "" if its.round_trips is None else f"{its.round_trips:6.1f} round trips"
        print(
            f"  {name:16} {its.median / 1e6:9.4f} ms   p99 {its.p99 / 1e6:9.4f}   {its.throughput:10,.0f}/s"
            f"   {len(its.times):5} calls {trips}",
            flush=True,
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long it takes, about (default: 5)")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), metavar="SYSTEM")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="WORKLOAD")
    parser.add_argument("--size", choices=SIZES, default="default", help="rows in the tables beforehand")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"), help="folder of the report")
    parser.add_argument("--verbose", action="store_true", help="what the systems wrote to their standard error")
    return parser.parse_args()


if __name__ == "__main__":
    main()
