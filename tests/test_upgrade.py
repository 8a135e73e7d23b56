"""Tables are upgraded while agents write into them: nobody waits for long, whatever the tables hold."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError

from obsku_checkpoint import table_locks
from obsku_checkpoint.errors import StoreUnavailableError
from obsku_checkpoint.postgres import PostgresCheckpointStore

#: of messages and of checkpoints, each
ROWS = int(os.environ.get("UPGRADE_ROWS", "20000"))
SESSIONS, WRITERS = 100, 4
#: seconds that a writer may wait on a busy machine; rewriting a table of a million rows takes longer
LONG = 2.0
LABELS = ("obsku_checkpoint", "obsku_langgraph", "obsku_transcripts")

FILL = f"""
INSERT INTO sessions (id, directory, created_at, updated_at)
SELECT 's' || n, '/', 1780000000000, 1780000000000 FROM generate_series(0, {SESSIONS - 1}) n;
INSERT INTO messages (session_id, role, content, created_at)
SELECT 's' || n % {SESSIONS}, 'user', 'text', 1780000000000 + n FROM generate_series(1, {ROWS}) n;
INSERT INTO checkpoints (id, session_id, namespace, version, step, node_results, source, created_at)
SELECT 'c' || n, 's' || n % {SESSIONS}, '', n / {SESSIONS} + 1, n, '{{}}', 'loop', 1780000000000 + n
FROM generate_series(1, {ROWS}) n;
"""


@pytest.fixture
def url(postgres_database: Callable[[], str]) -> str:
    """Tables as the first migration made them, with rows."""
    url = postgres_database()
    with PostgresCheckpointStore(url) as store:
        call_command("migrate", "obsku_checkpoint", "0001", database=store.using, verbosity=0)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL.encode())
    return url


class Writing:
    """Writers at work."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.took: list[float] = []
        self.failures: list[Exception] = []

    @property
    def longest(self) -> float:
        return max(self.took)

    def write(self, store: PostgresCheckpointStore, number: int) -> None:
        count = 0
        while not self.ended.is_set():
            count += 1
            begin = time.monotonic()
            try:
                if count % 2:
                    store.add_message(f"s{(number * 31 + count) % SESSIONS}", "user", "text")
                else:
                    store.save_checkpoint(f"s{(number * 37 + count) % SESSIONS}", step=1, node_results={})
            except Exception as error:  # noqa: BLE001 - the test looks at it
                self.failures.append(error)
            self.took.append(time.monotonic() - begin)


@contextmanager
def writing(url: str) -> Iterator[Writing]:
    work = Writing()
    with PostgresCheckpointStore(url) as store:
        threads = [threading.Thread(target=work.write, args=[store, number]) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        try:
            time.sleep(0.3)
            yield work
            time.sleep(0.3)
        finally:
            work.ended.set()
            for thread in threads:
                thread.join()


@pytest.mark.parametrize("way", ["migrate", "setup"])
def test_nobody_waits_for_long_for_the_newest_tables(url: str, way: str) -> None:
    with PostgresCheckpointStore(url) as store, writing(url) as work:
        begin = time.monotonic()
        if way == "setup":
            store.setup()
        else:
            call_command("migrate", database=store.using, verbosity=0)
        seconds = time.monotonic() - begin
    print(f"\n{ROWS:,} rows, {way}: {seconds:.2f} s, {len(work.took):,} writes, the longest {work.longest:.2f} s")
    assert work.failures == []
    assert work.longest < LONG
    with psycopg.connect(url) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM django_migrations WHERE app = ANY(%s)", [list(LABELS)])
    assert count == 5


@pytest.mark.parametrize("way", ["migrate", "setup"])
def test_an_upgrade_behind_a_transaction_that_stays_open_lets_others_go_on(
    url: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives up in the end, and can be repeated."""
    monkeypatch.setattr(table_locks, "PATIENCE", 1.0)

    with PostgresCheckpointStore(url) as store:

        def upgrade() -> None:
            if way == "setup":
                store.setup()
            else:
                call_command("migrate", database=store.using, verbosity=0)

        with psycopg.connect(url) as slow, writing(url) as work:
            slow.execute("INSERT INTO facts (id, content, created_at) VALUES ('slow', 'It takes long', 1780000000000)")
            with pytest.raises((OperationalError, StoreUnavailableError), match="lock timeout"):
                upgrade()
        assert work.failures == []
        assert work.longest < LONG
        upgrade()
