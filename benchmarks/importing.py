"""``python -m benchmarks.importing``: 100,000 messages exported and imported, beside ``COPY`` of the same rows.

``--rows 1000000``: so many messages are exported, imported into an empty database, and exported from there. The two
files must be the same to the byte; the memory of the process is measured at its peak.
"""

from __future__ import annotations

import argparse
import filecmp
import io
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psycopg

from benchmarks.server import Server, server
from obsku_checkpoint.maintenance import export_lines, import_lines
from obsku_checkpoint.postgres import PostgresCheckpointStore

ROUNDS = 3
SESSIONS, MESSAGES = 100, 1000

FILL = """
INSERT INTO sessions (id, directory, created_at, updated_at)
SELECT 's' || n, '/', 1780000000000, 1780000000000 FROM generate_series(1, %s) n;
INSERT INTO messages (session_id, role, content, tool_calls, created_at)
SELECT 's' || s, 'assistant', repeat('text ', 40), '[{"name":"search","toolUseId":"1","input":{"q":"a"}}]',
    1780000000000 + n
FROM generate_series(1, %s) s, generate_series(1, %s) n;
"""


def seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, help="of messages; exported, imported and exported again")
    options = parser.parse_args()
    with server() as database:
        database.create_tables()
        if options.rows:
            return round_trip(database, options.rows)
        url = database.url(database.shared)
        with PostgresCheckpointStore(url) as store, psycopg.connect(url, autocommit=True) as connection:
            compare(store, connection)
    return 0


def round_trip(database: Server, rows: int) -> int:
    other = database.beside("other")
    other.create_tables()
    with psycopg.connect(database.url(database.shared), autocommit=True) as connection:
        sessions = rows // MESSAGES
        connection.execute(psycopg.ClientCursor(connection).mogrify(FILL, [sessions, sessions, MESSAGES]).encode())
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first"), Path(folder, "second")
        begun = _peak()
        with PostgresCheckpointStore(database.url(database.shared)) as store:
            exporting = seconds(lambda: _export(store, first))
        with PostgresCheckpointStore(other.url(other.shared)) as store:
            with first.open("rb") as lines:
                importing = seconds(lambda: import_lines(lines, store.using))
            _export(store, second)
        same = filecmp.cmp(first, second, shallow=False)
        size = first.stat().st_size / 1e6
    print(f"{sessions:,} sessions, {rows:,} messages, {size:,.0f} MB of lines")
    again = "the same" if same else "NOT THE SAME"
    print(f"exported in {exporting:.0f} s, imported in {importing:.0f} s, exported again: {again}")
    print(f"memory of the process: {begun:.0f} MB before, {_peak():.0f} MB at its peak")
    return 0 if same else 1


def _export(store: PostgresCheckpointStore, path: Path) -> None:
    with path.open("wb") as file:
        file.writelines(export_lines(store.using))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(store: PostgresCheckpointStore, connection: psycopg.Connection) -> None:
    connection.execute(psycopg.ClientCursor(connection).mogrify(FILL, [SESSIONS, SESSIONS, MESSAGES]).encode())
    lines: list[bytes] = []
    exporting = seconds(lambda: lines.extend(export_lines(store.using)))
    rows = [io.BytesIO() for _ in range(2)]
    for table, file in zip(("sessions", "messages"), rows, strict=True):
        with connection.cursor().copy(f"COPY {table} TO STDOUT") as copy:
            for piece in copy:
                file.write(piece)

    def copied() -> None:
        for table, file in zip(("sessions", "messages"), rows, strict=True):
            with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                copy.write(file.getvalue())

    def emptied() -> None:
        connection.execute("TRUNCATE sessions CASCADE")
        connection.execute("CHECKPOINT")

    times: dict[str, list[float]] = {"COPY": [], "import": []}
    for _ in range(ROUNDS):
        for name, call in (("COPY", copied), ("import", lambda: import_lines(lines, store.using))):
            emptied()
            times[name].append(seconds(call))
    size = sum(map(len, lines)) / 1e6
    print(f"{SESSIONS * MESSAGES:,} messages, {size:.0f} MB of lines: exported in {exporting:.2f} s")
    for name, measured in times.items():
        print(f"{name}: {median(measured):.2f} s")
    print(f"import / COPY: {median(times['import']) / median(times['COPY']):.2f}")
    again = seconds(lambda: import_lines(lines, store.using))
    print(f"imported once more, which changes nothing: {again:.2f} s")
    print(f"memory at the peak, the lines among it: {_peak():.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
