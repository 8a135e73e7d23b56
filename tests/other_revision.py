"""``python -m tests.other_revision [REVISION]``: while one is deployed, processes of two work on the same tables.

The store's tests of the other revision (by default that of the commit before) run on the tables that this revision's
migrations make, and this revision's tests on the tables of the other. Where git does not have it (a package of the
sources, a shallow clone) there is nothing to compare with, and that is said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: what a revision's store is, and what it promises
PARTS = ("obsku_checkpoint", "tests", "example_project", "pyproject.toml", "manage.py", "README.md")
TESTS = ("tests/contract/test_conformance.py", "tests/test_transactions.py")
#: on PostgreSQL, where processes of both write at once
CHOSEN = "TestDjangoStore and postgres or test_transactions"


def main(revision: str) -> int:
    with tempfile.TemporaryDirectory(prefix="obsku-revision-") as folder:
        other = Path(folder, "other")
        other.mkdir()
        archive = subprocess.run(["git", "archive", revision, *PARTS], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode:
            print(f"git has no revision {revision} here, which is left out: {archive.stderr.decode().strip()}")
            return 0
        subprocess.run(["tar", "-x", "-C", other], input=archive.stdout, check=True)
        this = Path(folder, "this")
        this.mkdir()
        for part in PARTS:
            _copy(ROOT / part, this / part)
        with ThreadPoolExecutor() as both:
            theirs = f"the tests of {revision} on the tables of this revision"
            old = both.submit(_tested, theirs, other, this, Path(folder, "old"))
            ours = f"the tests of this revision on the tables of {revision}"
            new = both.submit(_tested, ours, this, other, Path(folder, "new"))
            return max(old.result(), new.result())


def _tested(what: str, code: Path, tables: Path, folder: Path) -> int:
    """``code`` with the migrations of ``tables``, and with modules that only these have, since they may need them."""
    shutil.copytree(code, folder)
    for migrations in [path.relative_to(folder) for path in folder.glob("obsku_checkpoint/**/migrations")]:
        if (tables / migrations).exists():
            shutil.rmtree(folder / migrations)
    for path in (tables / "obsku_checkpoint").rglob("*.py"):
        target = folder / path.relative_to(tables)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("POSTGRES_URL", None)  # both run at once, each on a server of its own
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", CHOSEN, *TESTS]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    print(f"{what}:\n{done.stdout}", flush=True)
    return done.returncode


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "HEAD^"))
