"""Runs systems over workloads: warms up, sizes the rounds to the time there is, and takes the systems in turn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import IO, Any, Self

from benchmarks.child import Child, SystemFailedError
from benchmarks.dataset import write_sessions
from benchmarks.round_trips import RoundTripCounter
from benchmarks.server import Server
from benchmarks.systems import System
from benchmarks.workloads import Workload
from tests.npm.package import CannotBeInstalledError

ROUNDS = 6
#: calls before those that are counted: drivers prepare a statement when they have seen it a few times
WARM_UP, COUNTED = 12, 10


@dataclass
class Figures:
    """What one system showed in one workload. Times are in nanoseconds."""

    times: list[int] = field(default_factory=list)
    #: calls and duration of each round
    rounds: list[tuple[int, int]] = field(default_factory=list)
    round_trips: float | None = None

    @property
    def median(self) -> float:
        return median(self.times)

    @property
    def p99(self) -> float:
        return sorted(self.times)[math.ceil(len(self.times) * 0.99) - 1]

    @property
    def throughput(self) -> float:
        """Calls a second, the median of the rounds."""
        return median(calls / duration * 1e9 for calls, duration in self.rounds)


@dataclass
class Results:
    #: workload -> system -> figures
    figures: dict[str, dict[str, Figures]] = field(default_factory=dict)
    #: system (and workload) -> why it has no figures
    left_out: dict[str, str] = field(default_factory=dict)


class Measurement:
    def __init__(self, server: Server, systems: Sequence[System], log: IO[str]) -> None:
        self._server = server
        self._log = log
        self._stack = ExitStack()
        self._children: dict[str, Child] = {}
        self._counted: dict[str, Child] = {}
        #: further processes of a system, for the workloads that ask for them
        self._more: dict[str, list[Child]] = {}
        self._counter = RoundTripCounter(server.folder)
        self._systems = systems
        self.results = Results()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._counter)
        for system in self._systems:
            try:
                command = system.command()
            except CannotBeInstalledError as error:
                self.results.left_out[system.name] = f"cannot be installed: {error}"
                continue
            self._children[system.name] = self._started(system, command, self._server.url_of(system))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _started(self, system: System, command: Sequence[str], url: str) -> Child:
        return self._stack.enter_context(Child(command, url, self._log, system.environment))

    def run(self, workload: Workload, seconds: float) -> dict[str, Figures]:
        """All systems that can do it, in turn: A B C, C B A, A B C, … until about ``seconds`` have gone."""
        turns = {}
        eligible = [s.name for s in self._systems if s.name in self._children and workload.suits(s)]
        for name in eligible:
            if (answer := self._ask(self._children, name, workload, 1)) is not None:
                turns[name] = 1 if workload.most_calls < 50 else 5
                warm = self._ask(self._children, name, workload, turns[name]) or answer
                turns[name] = self._turns(workload, warm, seconds / len(eligible))
        figures = {name: Figures() for name in turns}
        for number in range(ROUNDS):
            for name in list(figures)[:: -1 if number % 2 else 1]:
                answer = self._ask(self._children, name, workload, turns[name])
                if answer is None:
                    del figures[name]
                    continue
                figures[name].times += answer["nanoseconds"]
                figures[name].rounds.append((len(answer["nanoseconds"]), answer["wall"]))
                turns[name] = self._turns(workload, answer, seconds / len(figures))
        if workload.alone:
            for name, its in figures.items():
                its.round_trips = self._round_trips(name, workload)
        self.results.figures[workload.name] = figures
        return figures

    def _turns(self, workload: Workload, warm: Mapping[str, Any], seconds: float) -> int:
        per_turn = max(1, warm["wall"]) * workload.clients * workload.processes / len(warm["nanoseconds"])
        fitting = int(seconds / ROUNDS * 1e9 / per_turn)
        return max(1, min(fitting, workload.most_calls // ROUNDS))

    def _round_trips(self, name: str, workload: Workload) -> float | None:
        system = next(system for system in self._systems if system.name == name)
        if system.database in ("sqlite", "none") or workload.group == "codec":
            return None
        if name not in self._counted:
            url = self._server.url_of(system, self._counter.folder)
            self._counted[name] = self._started(system, system.command(), url)
        few = workload.most_calls < 50
        turns = 1 if few else COUNTED
        if self._ask(self._counted, name, workload, 1 if few else WARM_UP, "count") is None:
            return None
        before = self._counter.count
        self._ask(self._counted, name, workload, turns, "count", prepare=False)
        return (self._counter.count - before) / turns

    def _ask(
        self,
        children: Mapping[str, Child],
        name: str,
        workload: Workload,
        turns: int,
        purpose: str = "write",
        *,
        prepare: bool = True,
    ) -> dict[str, Any] | None:
        sessions = write_sessions(purpose, name)
        request = {
            "operation": workload.operation,
            "parameters": {**workload.parameters, "sessions": sessions if workload.own_sessions else sessions[-1:]},
            "clients": workload.clients,
            "turns": turns,
            "prepare": prepare,
        }
        try:
            if workload.processes > 1:
                return self._ask_at_once(name, workload, request)
            return children[name].ask(request)
        except SystemFailedError as error:
            self.results.left_out[f"{name}, {workload.name}"] = str(error)
            return None

    def _ask_at_once(self, name: str, workload: Workload, request: dict[str, Any]) -> dict[str, Any] | None:
        """As many processes as the workload wants, each with a session of its own."""
        system = next(system for system in self._systems if system.name == name)
        children = self._more.setdefault(name, [])
        while len(children) < workload.processes:
            children.append(self._started(system, system.command(), self._server.url_of(system)))
        sessions = request["parameters"]["sessions"]
        requests = [
            {**request, "parameters": {**request["parameters"], "sessions": [session]}}
            for session in sessions[: workload.processes]
        ]
        with ThreadPoolExecutor(workload.processes) as threads:
            answers = list(threads.map(Child.ask, children, requests))
        if None in answers:
            return None
        done = [answer for answer in answers if answer]
        times = [time for answer in done for time in answer["nanoseconds"]]
        return {"nanoseconds": times, "wall": max(answer["wall"] for answer in done)}
