"""The child's side: a system reads requests, a JSON line each, does them, and answers with its own timings.

Only the standard library is imported here, because peers run it in environments of their own. An adapter is an
object whose methods are operations ``(parameters, client, turn)``, plain or ``async``; an operation that it has not, or
that raises NotImplementedError, is one it cannot do. An optional ``prepare_<operation>`` is called before the timing.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter_ns
from typing import Any

#: the database that the harness hands to every system
URL_VARIABLE = "BENCHMARK_URL"
CLIENTS = 32

Parameters = dict[str, Any]
Operation = Callable[[Parameters, int, int], Any]


def serve(make_adapter: Callable[[str], object]) -> None:
    # What a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    runner = Runner(make_adapter(os.environ.get(URL_VARIABLE, "")))
    for line in sys.stdin:
        try:
            answer = runner.answer(json.loads(line))
        except NotImplementedError:
            answer = {"unsupported": True}
        except Exception as error:  # noqa: BLE001 - a system that fails is reported, and the others go on
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Runner:
    def __init__(self, adapter: object) -> None:
        self.adapter = adapter
        self.threads = ThreadPoolExecutor(CLIENTS)
        self.loop = asyncio.new_event_loop()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        name, parameters = request["operation"], request["parameters"]
        clients, turns = request["clients"], request["turns"]
        operation = getattr(self.adapter, name, None)
        if operation is None or (clients > 1 and not getattr(self.adapter, "concurrent", True)):
            return {"unsupported": True}
        prepare = getattr(self.adapter, f"prepare_{name}", None)
        if prepare and request.get("prepare", True):
            self._done(prepare(parameters))
        begin = perf_counter_ns()
        if inspect.iscoroutinefunction(operation):
            times = self.loop.run_until_complete(_tasks(operation, parameters, clients, turns))
        elif clients == 1:
            times = _calls(operation, parameters, 0, turns)
        else:
            times = self._threads(operation, parameters, clients, turns)
        return {"nanoseconds": times, "wall": perf_counter_ns() - begin}

    def _threads(self, operation: Operation, parameters: Parameters, clients: int, turns: int) -> list[int]:
        futures = [self.threads.submit(_calls, operation, parameters, client, turns) for client in range(clients)]
        return [time for future in futures for time in future.result()]

    def _done(self, prepared: Any) -> None:
        if inspect.isawaitable(prepared):
            self.loop.run_until_complete(prepared)


def _calls(operation: Operation, parameters: Parameters, client: int, turns: int) -> list[int]:
    times = []
    for turn in range(turns):
        begin = perf_counter_ns()
        operation(parameters, client, turn)
        times.append(perf_counter_ns() - begin)
    return times


async def _tasks(operation: Operation, parameters: Parameters, clients: int, turns: int) -> list[int]:
    async def client_calls(client: int) -> list[int]:
        times = []
        for turn in range(turns):
            begin = perf_counter_ns()
            await operation(parameters, client, turn)
            times.append(perf_counter_ns() - begin)
        return times

    lists = await asyncio.gather(*(client_calls(client) for client in range(clients)))
    return [time for times in lists for time in times]


def session_of(parameters: Parameters, client: int) -> str:
    """Each client's own session, or the one they share."""
    sessions: list[str] = parameters["sessions"]
    return sessions[client % len(sessions)]
