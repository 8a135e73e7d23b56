"""The npm package's store in a process of its own: `driver.js` makes the calls."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import IO, Any, cast

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.npm import package
from tests.npm.javascript import Form, form, normal


def skip_without_bun() -> None:
    """Skip the module that calls this, as a whole."""
    if not package.is_installed() and not shutil.which("bun"):
        pytest.skip("Bun is not installed: python3 -m tests.npm.package", allow_module_level=True)


class NpmError(Exception):
    """What the npm package threw."""


class Npm:
    """The npm package's store, in a process of its own."""

    def __init__(self, command: Sequence[str], database: str) -> None:
        parameters = conninfo_to_dict(database)
        options = {name: parameters[name] for name in ("host", "port", "user", "password") if parameters.get(name)}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPTIONS": json.dumps({**options, "database": parameters["dbname"]})},
            text=True,
            encoding="utf-8",
        )

    def __call__(self, method: str, *arguments: Any) -> Form:
        """The form of what the method returns for these Python values."""
        return self.given(method, *map(form, arguments))

    def given(self, method: str, *arguments: Form) -> Form:
        """The same for values that only JavaScript has, as forms."""
        return self.at_once((method, arguments))[0]

    def at_once(self, *calls: tuple[str, Sequence[Form]]) -> list[Form]:
        """Make calls (method, forms of the arguments) at the same time."""
        asked = [{"method": method, "arguments": arguments} for method, arguments in calls]
        stdin, stdout = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        stdin.write(json.dumps(asked) + "\n")
        stdin.flush()
        outcomes = json.loads(stdout.readline())
        if errors := [outcome["error"] for outcome in outcomes if "error" in outcome]:
            raise NpmError(errors[0])
        return [normal(outcome["result"]) for outcome in outcomes]

    def close(self) -> None:
        self._process.communicate()
