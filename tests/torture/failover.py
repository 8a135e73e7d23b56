"""The primary dies under load and its replica takes over: what was acknowledged is there, and the writers go on.

The replica is a synchronous one: a commit is acknowledged when it is in the logs of both. Writers have the URL of both
hosts and ask for the one that takes writes, or go through a pooler, which is told of the new primary.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests import pgbouncer
from tests.postgres_server import give_up, postgres_server, promote, replica_of
from tests.torture.check import Report, check
from tests.torture.load import CONFIGURATION, prepared, print_report, writers

SYNCHRONOUS = f"{CONFIGURATION}\nsynchronous_standby_names = '*'"
#: nobody follows the new primary yet, and it waits for nobody
ALONE = "synchronous_standby_names = ''"
#: seconds until the primary dies, until somebody sees it, and after that
BEFORE, UNSEEN, AFTER = 5.0, 2.0, 10.0
#: seconds without service that are a fault
LONG = 30.0


def failover(folder: Path, seed: int) -> Report:
    found: list[tuple[str, str, str]] = []
    with ExitStack() as running:
        primary = running.enter_context(postgres_server(SYNCHRONOUS))
        replica = running.enter_context(replica_of(primary, ALONE))
        hosts = f"{conninfo_to_dict(primary)['host']},{conninfo_to_dict(replica)['host']}"
        both = make_conninfo(primary, host=hosts, target_session_attrs="read-write")
        precious = prepared(both, folder)
        urls = {"direct": both}
        if pgbouncer.pgbouncer() is None:
            print("no pgbouncer here: all writers go directly to the servers", flush=True)
        else:
            urls["pooler"] = running.enter_context(pgbouncer.transaction_pooler(primary))
        at_work = running.enter_context(writers(urls, folder, precious, seed))
        time.sleep(BEFORE)
        death = time.time()
        give_up(primary)
        time.sleep(UNSEEN)
        promote(replica)
        if "pooler" in urls:
            pgbouncer.lead_to(urls["pooler"], replica)
        seconds = time.time() - death
        time.sleep(AFTER)
        at_work.finish(lambda *fault: found.append(fault))
        report = check(replica, folder.glob("*.journal"), precious)
    for fault in found:
        report.fault(*fault)
    print(f"the primary was killed, and the replica promoted, in {seconds:.2f} s; without an acknowledged write:")
    for way, longest in sorted(_without_service(folder.glob("*.journal"), death).items()):
        print(f"  {way}: {longest:.2f} s")
        if longest > LONG:
            report.fault(way, "other errors", f"{longest:.1f} s without service")
    print_report(report)
    print(f"acknowledged writes: {report.acknowledged}; faults: {report.faults}")
    return report


def _without_service(journals: Iterable[Path], death: float) -> dict[str, float]:
    """The longest time from one acknowledged write to the next, of each way, from just before the primary's death."""
    times: dict[str, list[float]] = defaultdict(list)
    for journal in journals:
        way = journal.stem.rpartition("-")[0]
        lines = map(json.loads, journal.read_text().splitlines())
        times[way] += [line["at"] for line in lines if "done" in line and line["at"] > death - 1]
    return {way: max(after - before for before, after in pairwise(sorted(found))) for way, found in times.items()}
