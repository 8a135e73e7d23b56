"""``python -m benchmarks.importing``: 100,000 messages exported and imported, beside ``COPY`` of the same rows."""

from __future__ import annotations

import io
import resource
import time
from collections.abc import Callable
from statistics import median

import psycopg

from benchmarks.server import server
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


def main() -> None:
    with server() as database:
        database.create_tables()
        url = database.url(database.shared)
        with PostgresCheckpointStore(url) as store, psycopg.connect(url, autocommit=True) as connection:
            compare(store, connection)


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
    print(f"memory at the peak, the lines among it: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
