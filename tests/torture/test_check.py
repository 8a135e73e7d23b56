"""That the torture test sees what it looks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.torture.check import Report, check
from tests.torture.journal import Journal
from tests.torture.processes import Assignment
from tests.torture.writer import Writer
from tests.workload import Precious, carry_out, create_precious

TURNS = 150
WAY = "program-threads-direct"


class Work:
    """A journal, and the database of which it tells."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.journal = url, folder / f"{WAY}-1.journal"
        with PostgresCheckpointStore(url) as store:
            store.setup()
            self.precious: list[Precious] = create_precious(store, 3)
            assignment = Assignment("program", "threads", url, {}, self.precious, seed=1, pause=0.0)
            writer = Writer("w1", assignment, Journal(self.journal))
            turns = iter(range(TURNS))
            carry_out(writer.work(lambda: next(turns, None) is not None), store)

    def check(self) -> Report:
        return check(self.url, [self.journal], self.precious)

    def change(self, statement: str) -> None:
        with psycopg.connect(self.url) as connection:
            assert connection.execute(statement.encode()).rowcount > 0

    def answer(self, line: str, answer: dict[str, object] | None) -> None:
        """Replaces the answer to the first write of which the journal has that in its line."""
        lines = [json.loads(text) for text in self.journal.read_text().splitlines()]
        token = next(asked["ask"] for asked in lines if line in json.dumps(asked))
        kept = [asked for asked in lines if asked.get("done") != token]
        kept += [{"failed": token, **answer}] if answer else []
        self.journal.write_text("".join(f"{json.dumps(asked)}\n" for asked in kept))


@pytest.fixture
def work(postgres_database: Callable[[], str], tmp_path: Path) -> Work:
    return Work(postgres_database(), tmp_path)


def test_work_that_nobody_has_disturbed_is_without_fault(work: Work) -> None:
    report = work.check()
    assert (report.faults, report.said) == (0, [])
    assert report.figures[WAY, "acknowledged"] == report.figures[WAY, "calls"] > TURNS / 4


SHARED = "session_id LIKE 'shared-%'"
ROW = "session_id, role, content, created_at"
FORKS = "SELECT session_id FROM checkpoints WHERE source = 'fork'"


@pytest.mark.parametrize(
    ("figure", "statement"),
    [
        ("lost", f"DELETE FROM messages WHERE id = (SELECT max(id) FROM messages WHERE {SHARED})"),
        ("lost", "DELETE FROM checkpoints WHERE id = (SELECT max(id) FROM checkpoints WHERE node_id IS NOT NULL)"),
        ("lost", "DELETE FROM sessions WHERE title LIKE 'w1.%'"),
        ("lost", "UPDATE sessions SET directory = 'another' WHERE directory LIKE 'w1.%'"),
        ("twice", f"INSERT INTO messages ({ROW}) SELECT {ROW} FROM messages WHERE {SHARED}"),
        ("half", "DELETE FROM messages WHERE content LIKE '%/1'"),
        ("half", f"DELETE FROM messages WHERE id IN (SELECT min(id) FROM messages WHERE session_id IN ({FORKS}))"),
        ("half", "DELETE FROM checkpoints WHERE source = 'fork'"),
        ("order", f"UPDATE messages SET created_at = -id WHERE {SHARED}"),
        ("gaps", f"DELETE FROM checkpoints WHERE version = 1 AND {SHARED}"),
        ("gaps", f"UPDATE checkpoints SET version = version * 2 + 100 WHERE {SHARED}"),
        ("wrong", "UPDATE checkpoints SET node_results = '{}' WHERE node_id IS NOT NULL"),
        ("wrong", "UPDATE sessions SET title = 'another' WHERE title = 'precious 1'"),
        ("wrong", "DELETE FROM messages WHERE content = '1/a'"),
    ],
)
def test_what_the_database_should_not_hold_is_a_fault(work: Work, figure: str, statement: str) -> None:
    work.change(statement)
    assert sum(count for (_, name), count in work.check().figures.items() if name == figure) > 0


@pytest.mark.parametrize("method", ["add_message", "add_messages", "save_checkpoint", "create_session", "fork"])
@pytest.mark.parametrize(
    ("answer", "figure", "faults"),
    [
        pytest.param({"maybe_written": False}, "not: written", 1, id="an error that denies it"),
        pytest.param({"maybe_written": True}, "maybe: written", 0, id="an error that does not"),
        pytest.param(None, "killed: written", 0, id="no answer"),
    ],
)
def test_a_write_that_was_not_acknowledged_is_counted_and_is_a_fault_where_the_error_denies_it(
    work: Work, method: str, answer: dict[str, object] | None, figure: str, faults: int
) -> None:
    work.answer(f'"{method}"', answer)
    report = work.check()
    assert (report.figures[WAY, figure], report.faults) == (1, faults)


def test_a_deletion_is_checked_in_both_ways(work: Work) -> None:
    work.answer('"delete_session"', {"maybe_written": False})
    assert work.check().figures[WAY, "not: written"] == 1


def test_what_a_client_saw_is_a_fault(work: Work) -> None:
    journal = Journal(work.journal)
    journal.write(wrong="another answer", client="w1")
    journal.write(strange="ValueError: …", client="w1")
    journal.write(read="get_session", maybe_written=True)
    report = work.check()
    assert report.figures[WAY, "wrong"] == 2
    assert report.figures[WAY, "other errors"] == 1
