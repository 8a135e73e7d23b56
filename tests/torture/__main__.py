"""``python -m tests.torture``: the server and those who write are killed; what they were told must be true.

Writers by thread, by task and over HTTP, directly and through a pooler, write into sessions of their own and into ones
that they share. At random moments, from a seed, the server and the writers are killed and started again. In the end
the database is compared with what each writer asked for and was told. The exit status is 1 where anything was lost, is
there twice or in half, is out of order, or was written although the error said that it was not.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests import pgbouncer
from tests.example.conftest import Project
from tests.example.server import create_user, server, signed_in
from tests.postgres_server import crash, postgres_server
from tests.torture.check import Report, check
from tests.torture.processes import Assignment, Writers
from tests.workload import create_precious

#: otherwise PostgreSQL's own: what is acknowledged is on disk
CONFIGURATION = "max_connections = 500"
PRECIOUS = 50
#: seconds between two of a kind
KILLS = {"server": (5.0, 15.0), "pooler": (5.0, 15.0), "writer": (0.5, 4.0)}
#: of the writers, in seconds, so that they leave some of the machine to each other, and above all to the API
PAUSE = 0.2
STORES: tuple[Literal["project", "program", "http"], ...] = ("project", "program", "http")
FORMS: tuple[Literal["threads", "tasks"], ...] = ("threads", "tasks")

COLUMNS = ("calls", "acknowledged", "lost", "twice", "half", "order", "gaps", "wrong", "other errors")
#: of writes that were not acknowledged: how many of them were carried out all the same
OUTCOMES = {"maybe_written": "maybe", "not written": "not", "killed": "killed"}


def main() -> int:
    options = _options()
    print(f"--seed {options.seed} --minutes {options.minutes:g}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="obsku-torture-"))
    with postgres_server(CONFIGURATION) as url:
        report = torture(url, folder, options.seed, options.minutes * 60)
    if report.faults:
        print(f"what the writers were told: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if report.faults else 0


def torture(url: str, folder: Path, seed: int, seconds: float) -> Report:
    project = _project(url, folder)
    project.run("migrate", "--verbosity", "0")
    create_user(project)
    with PostgresCheckpointStore(url) as store:
        precious = create_precious(store, PRECIOUS)
    found: list[tuple[str, str, str]] = []
    killed: Counter[str] = Counter()
    with ExitStack() as running:
        kill: dict[str, Callable[[random.Random], None]] = {"server": lambda _: crash(url)}
        urls = {"direct": url}
        if pgbouncer.pgbouncer() is None:
            print("no pgbouncer here: all writers go directly to the server", flush=True)
        else:
            pooler = urls["pooler"] = running.enter_context(pgbouncer.transaction_pooler(url))
            kill["pooler"] = lambda _: pgbouncer.crash(pooler)
        ways = {}
        for place, database in urls.items():
            project = _project(database, folder)
            _, port = running.enter_context(server(project, folder / f"{place}.server"))
            address = f"http://127.0.0.1:{port}"
            headers = signed_in(address)
            for kind, form in itertools.product(STORES, FORMS):
                where = f"{address}/api/" if kind == "http" else database
                assignment = Assignment(kind, form, where, headers, precious, seed, PAUSE)
                ways[f"{kind}-{form}-{place}"] = assignment, project.environment
        writers = running.enter_context(Writers(ways, folder))
        kill["writer"] = writers.kill
        _disturb(kill, killed, random.Random(seed), seconds)
        writers.finish(lambda *fault: found.append(fault))
    crash(url)  # what nobody waits for any more has an end, and what was acknowledged survives it
    report = check(url, folder.glob("*.journal"), precious)
    for fault in found:
        report.fault(*fault)
    print_report(report, sorted(ways))
    print(f"killed: {dict(killed)}; faults: {report.faults}")
    return report


def _disturb(
    kill: Mapping[str, Callable[[random.Random], None]], killed: Counter[str], choice: random.Random, seconds: float
) -> None:
    end = time.monotonic() + seconds
    due = {kind: time.monotonic() + choice.uniform(*KILLS[kind]) for kind in kill}
    while (moment := min(due.values())) < end:
        time.sleep(max(0.0, moment - time.monotonic()))
        kind = min(due, key=due.__getitem__)
        kill[kind](choice)
        killed[kind] += 1
        due[kind] = time.monotonic() + choice.uniform(*KILLS[kind])
    time.sleep(max(0.0, end - time.monotonic()))


def _project(url: str, folder: Path) -> Project:
    project = Project(folder / "unused")
    project.environment["POSTGRES_URL"] = url
    return project


def print_report(report: Report, ways: list[str]) -> None:
    for line in report.said:
        print(line)
    rows = [["", *COLUMNS, *OUTCOMES]]
    for way in [*ways, *sorted({way for way, _ in report.figures} - {*ways})]:
        outcomes = [
            f"{report.figures[way, f'{figure}: written']}/{report.figures[way, figure]}" for figure in OUTCOMES.values()
        ]
        rows.append([way, *(str(report.figures[way, column]) for column in COLUMNS), *outcomes])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    print("(the last three: found in the database / writes that failed so, or whose writer was killed)")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the writers are at work (default: 10)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of an earlier run, to repeat it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
