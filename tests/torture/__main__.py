"""``python -m tests.torture``: the server and those who write are killed; what they were told must be true.

Writers by thread, by task and over HTTP, directly and through a pooler, write into sessions of their own and into ones
that they share. At random moments, from a seed, the server and the writers are killed and started again. In the end
the database is compared with what each writer asked for and was told. The exit status is 1 where anything was lost, is
there twice or in half, is out of order, or was written although the error said that it was not.

With ``--failover`` the server dies once and for all, and its replica takes over (`failover.py`).
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from tests import pgbouncer
from tests.postgres_server import crash, postgres_server
from tests.torture.check import Report, check
from tests.torture.failover import failover
from tests.torture.load import CONFIGURATION, prepared, print_report, writers

#: seconds between two of a kind
KILLS = {"server": (5.0, 15.0), "pooler": (5.0, 15.0), "writer": (0.5, 4.0)}


def main() -> int:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="obsku-torture-"))
    if options.failover:
        print(f"--failover --seed {options.seed}", flush=True)
        report = failover(folder, options.seed)
    else:
        print(f"--seed {options.seed} --minutes {options.minutes:g}", flush=True)
        with postgres_server(CONFIGURATION) as url:
            report = torture(url, folder, options.seed, options.minutes * 60)
    if report.faults:
        print(f"what the writers were told: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if report.faults else 0


def torture(url: str, folder: Path, seed: int, seconds: float) -> Report:
    precious = prepared(url, folder)
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
        at_work = running.enter_context(writers(urls, folder, precious, seed))
        kill["writer"] = at_work.kill
        _disturb(kill, killed, random.Random(seed), seconds)
        at_work.finish(lambda *fault: found.append(fault))
    crash(url)  # what nobody waits for any more has an end, and what was acknowledged survives it
    report = check(url, folder.glob("*.journal"), precious)
    for fault in found:
        report.fault(*fault)
    print_report(report)
    print(f"killed: {dict(killed)}; acknowledged writes: {report.acknowledged}; faults: {report.faults}")
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


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the writers are at work (default: 10)")
    parser.add_argument("--failover", action="store_true", help="a replica takes over, once (half a minute)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of an earlier run, to repeat it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
