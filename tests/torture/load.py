"""What the tests of endurance have in common: the writers of all ways, and the table of what they were told."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.example.conftest import Project
from tests.example.server import create_user, server, signed_in
from tests.torture.check import Report
from tests.torture.processes import Assignment, Writers
from tests.workload import Precious, create_precious

#: otherwise PostgreSQL's own: what is acknowledged is on disk
CONFIGURATION = "max_connections = 500"
PRECIOUS = 50
#: of the writers, in seconds, so that they leave some of the machine to each other, and above all to the API
PAUSE = 0.2
STORES: tuple[Literal["project", "program", "http"], ...] = ("project", "program", "http")
FORMS: tuple[Literal["threads", "tasks"], ...] = ("threads", "tasks")

COLUMNS = ("calls", "acknowledged", "lost", "twice", "half", "order", "gaps", "wrong", "other errors")
#: of writes that were not acknowledged: how many of them were carried out all the same
OUTCOMES = {"maybe_written": "maybe", "not written": "not", "killed": "killed"}


def prepared(url: str, folder: Path) -> list[Precious]:
    """The tables of the example project, its user, and the sessions that nobody writes to."""
    project = _project(url, folder)
    project.run("migrate", "--verbosity", "0")
    create_user(project)
    with PostgresCheckpointStore(url) as store:
        return create_precious(store, PRECIOUS)


@contextmanager
def writers(urls: Mapping[str, str], folder: Path, precious: Sequence[Precious], seed: int) -> Iterator[Writers]:
    """All ways to write are at work, over each of the URLs."""
    with ExitStack() as running:
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
        yield running.enter_context(Writers(ways, folder))


def _project(url: str, folder: Path) -> Project:
    project = Project(folder / "unused")
    project.environment["POSTGRES_URL"] = url
    return project


def print_report(report: Report) -> None:
    for line in report.said:
        print(line)
    rows = [["", *COLUMNS, *OUTCOMES]]
    for way in sorted({way for way, _ in report.figures}):
        outcomes = [
            f"{report.figures[way, f'{figure}: written']}/{report.figures[way, figure]}" for figure in OUTCOMES.values()
        ]
        rows.append([way, *(str(report.figures[way, column]) for column in COLUMNS), *outcomes])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    print("(the last three: found in the database / writes that failed so, or whose writer was killed)")
