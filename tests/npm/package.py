"""The npm package and Bun, its runtime, installed into ``.cache/npm`` on first use.

``python -m tests.npm.package`` installs them; otherwise the tests take what is there already.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent.parent / ".cache"
NPM_PACKAGE = "@obsku/checkpoint-postgres@0.2.3"

_FOLDER = CACHE / "npm"
_BUN, _ENTRY = _FOLDER / "node_modules" / ".bin" / "bun", _FOLDER / "package" / "dist" / "index.js"


class CannotBeInstalledError(Exception):
    """What other people publish is not to be had here."""


def is_installed() -> bool:
    return _BUN.exists() and _ENTRY.exists()


def command(script: Path) -> list[str]:
    """What runs a script that is given the package's entry point; installs what is missing.

    Raises `CannotBeInstalledError`.
    """
    if not is_installed():
        if not shutil.which("npm"):
            raise CannotBeInstalledError("there is no npm")
        _FOLDER.mkdir(parents=True, exist_ok=True)
        (_FOLDER / "package.json").write_text('{"private": true}\n')
        install(["npm", "install", "--silent", "bun"], _FOLDER)
        install(["npm", "pack", "--silent", NPM_PACKAGE], _FOLDER)  # all that it needs is bundled in its one file
        archive = next(_FOLDER.glob("*.tgz"))
        shutil.unpack_archive(archive, _FOLDER, filter="data")
    return [str(_BUN), "run", str(script), str(_ENTRY)]


def install(command: list[str], folder: Path | None = None) -> None:
    """Run a command that installs. Raises `CannotBeInstalledError`."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBeInstalledError(str(error)) from error
    if done.returncode:
        raise CannotBeInstalledError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else command[0])


if __name__ == "__main__":
    command(Path())
