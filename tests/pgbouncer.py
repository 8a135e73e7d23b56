"""PgBouncer in transaction mode, in front of a PostgreSQL server of the tests: Debian's."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.postgres_server import ACCOUNT

#: of the server's connections, for each database; fewer than the clients, so that these meet on them
POOL_SIZE = 4
#: seconds that it may take to start, on a busy machine
PATIENCE = 30

CONFIGURATION = """
[databases]
{database} = {server}
* = {server}

[pgbouncer]
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 500
ignore_startup_parameters = extra_float_digits,options
server_login_retry = 1
query_wait_timeout = {patience}
logfile = {folder}/log
pidfile = {folder}/pid
"""


def pgbouncer() -> str | None:
    """Its path; None where there is none."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


@contextlib.contextmanager
def transaction_pooler(url: str, *, patience: int = 60) -> Iterator[str]:
    """Starts a pooler in front of the server of ``url``, gives the URL of the same database through it, and stops it.

    Every database of the server can be reached through it. ``patience``: seconds that a statement waits for a server.
    """
    server = {name: value for name, value in conninfo_to_dict(url).items() if value}
    database = server.pop("dbname", "postgres")
    folder = Path(tempfile.mkdtemp(prefix="obsku-pgbouncer-"))
    pooler = make_conninfo("", host=str(folder), port=6432, user=server.get("user"), dbname=database)
    try:
        text = CONFIGURATION.format(
            database=database,
            server=make_conninfo("", **server),
            folder=folder,
            pool_size=POOL_SIZE,
            patience=patience,
        )
        (folder / "pgbouncer.ini").write_text(text)
        os.chown(folder, ACCOUNT.pw_uid, ACCOUNT.pw_gid)
        _start(pooler)
        try:
            yield pooler
        finally:
            _kill(folder)
    finally:
        shutil.rmtree(folder)


def crash(pooler: str) -> None:
    """It is killed in the midst of its work, and starts again at once."""
    _kill(_folder(pooler))
    _start(pooler)


def lead_to(pooler: str, url: str) -> None:
    """From now on it leads to this server, which took over from the other."""
    file = _folder(pooler) / "pgbouncer.ini"
    before, after = (re.search(r"host=\S+", text) for text in (file.read_text(), make_conninfo(url)))
    assert before is not None
    assert after is not None
    file.write_text(file.read_text().replace(before[0], after[0]))
    os.kill(int((_folder(pooler) / "pid").read_text()), signal.SIGHUP)


def _start(pooler: str) -> None:
    program = pgbouncer()
    if program is None:
        raise RuntimeError("There is no pgbouncer here: on Debian, apt-get install pgbouncer.")
    folder, root = _folder(pooler), os.geteuid() == 0  # as which it refuses to run
    subprocess.run(
        [program, "-d", "-q", folder / "pgbouncer.ini"],
        check=True,
        user=ACCOUNT.pw_uid if root else None,
        group=ACCOUNT.pw_gid if root else None,
        extra_groups=[] if root else None,
    )
    end = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(pooler).close()
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def _kill(folder: Path) -> None:
    file = folder / "pid"
    os.kill(int(file.read_text()), signal.SIGKILL)
    file.unlink()  # it would refuse to start


def _folder(pooler: str) -> Path:
    return Path(str(conninfo_to_dict(pooler)["host"]))
