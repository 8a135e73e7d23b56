"""The processes of writers: one for each way to write, replaced when it is killed."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from tests.workload import Precious

#: after the writers' time is over, in seconds; a call may wait for the server, and for a connection to it
PATIENCE = 120


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a process of writers is told."""

    #: the example project's alias, a connection string, or the API
    store: Literal["project", "program", "http"]
    form: Literal["threads", "tasks"]
    url: str
    headers: Mapping[str, str]
    precious: Sequence[Precious]
    seed: int
    #: seconds at most between two turns of a client
    pause: float
    #: each process's own
    name: str = ""
    journal: Path = Path()


class Writers:
    """A context manager, which begins when all are at work.

    ``ways`` are the assignment of each way to write and the environment of its processes.
    """

    def __init__(self, ways: Mapping[str, tuple[Assignment, Mapping[str, str]]], folder: Path) -> None:
        self._ways, self._folder = ways, folder
        self._started = 0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        for way in self._ways:
            self._start(way)
        while len([*self._folder.glob("*.journal")]) < len(self._ways):
            if ended := [way for way, process in self._processes.items() if process.poll() is not None]:
                raise RuntimeError(f"They have not started: {ended}. See {self._folder}.")
            time.sleep(0.05)
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._processes.values():
            process.kill()
            process.communicate()

    def _start(self, way: str) -> None:
        self._started += 1
        assignment, environment = self._ways[way]
        path = self._folder / f"{way}-{self._started}"
        with path.with_suffix(".stderr").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.torture.writer"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(environment),
            )
        self._processes[way] = process
        assert process.stdin is not None
        pickle.dump(replace(assignment, name=f"w{self._started}", journal=path.with_suffix(".journal")), process.stdin)
        process.stdin.flush()

    def kill(self, choice: random.Random) -> None:
        """One of them, in the midst of its work; another takes its place."""
        way = choice.choice(sorted(self._ways))
        if self._processes[way].poll() is None:  # one that has ended by itself is a fault, which `finish` tells
            self._processes[way].kill()
            self._processes[way].communicate()
            self._start(way)

    def finish(self, fault: Callable[[str, str, str], None]) -> None:
        """Tells all to end, and waits. One that hangs, or that has ended otherwise than well, is a fault."""
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.close()
        for way, process in self._processes.items():
            try:
                status = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                fault(way, "other errors", f"it hangs {PATIENCE} s after the end")
            else:
                if status:
                    fault(way, "other errors", f"it ended with status {status}")
