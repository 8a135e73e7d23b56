"""``python -m benchmarks.footprint``: memory and import time, each measured in a process of its own."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from statistics import median

import psycopg

from benchmarks.dataset import BASE
from benchmarks.driver import URL_VARIABLE
from benchmarks.server import server
from obsku_checkpoint.postgres import PostgresCheckpointStore

MIB = 1 << 20
MESSAGES = 1_000_000
BIG = 50 * MIB
IMPORTS = 11

FILL = (
    "INSERT INTO messages (session_id, role, content, created_at)"
    " SELECT 'long', 'user', repeat('text ', 40), %s::bigint + n FROM generate_series(1, %s) n"
)


def iterate(store: PostgresCheckpointStore) -> float:
    """MiB at the peak, the interpreter and Django among them, of reading a million messages."""
    count = sum(1 for _ in store.iter_messages("long"))
    if count != MESSAGES:
        raise RuntimeError(f"{count} messages")
    return _peak()


def pass_through(store: PostgresCheckpointStore) -> float:
    """Peak, as a multiple of the document's size, of saving and reading a checkpoint of 50 MB."""
    document = {"node": {"status": "completed", "output": ["x" * 1000 + str(n) for n in range(BIG // 1000)]}}
    before = _peak()
    checkpoint = store.save_checkpoint("long", step=1, node_results=document)  # type: ignore[arg-type]  # a dict of any shape
    id = checkpoint.id
    del checkpoint
    store.get_checkpoint(id)
    return (_peak() - before) * MIB / BIG


def import_time() -> float:
    """Milliseconds of ``import obsku_checkpoint``, above those of a bare interpreter's start."""
    code = "import time; b = time.perf_counter(); import obsku_checkpoint; print((time.perf_counter() - b) * 1000)"
    return median([float(_output([sys.executable, "-c", code])) for _ in range(IMPORTS + 1)][1:])


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _output(command: list[str], url: str = "") -> str:
    environment = {**os.environ, URL_VARIABLE: url}
    # An installed package has its bytecode; the first import here writes it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


#: what stays below which limit
PROMISES = {
    "import": (60, "milliseconds of `import obsku_checkpoint`"),
    "iterate": (100, f"MiB of a process that iterates over {MESSAGES:,} messages, all included"),
    "pass_through": (5, f"times its size to save and read a checkpoint of {BIG // MIB} MiB"),
}
CHILDREN: dict[str, Callable[[PostgresCheckpointStore], float]] = {"iterate": iterate, "pass_through": pass_through}


def main() -> None:
    _print(import_time(), *PROMISES["import"])
    with server() as database:
        database.create_tables()
        url = database.url(database.shared)
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO sessions VALUES ('long', NULL, NULL, '/srv', %s, %s)", (BASE, BASE))
            connection.execute(FILL, (BASE, MESSAGES))
        for name in CHILDREN:
            reached = float(_output([sys.executable, "-m", "benchmarks.footprint", name], url))
            _print(reached, *PROMISES[name])


def _print(reached: float, limit: float, what: str) -> None:
    print(f"{'holds' if reached < limit else 'FAILS'}  {reached:7.2f} (below {limit:g})  {what}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(CHILDREN[sys.argv[1]](PostgresCheckpointStore(os.environ[URL_VARIABLE])))
    else:
        main()
