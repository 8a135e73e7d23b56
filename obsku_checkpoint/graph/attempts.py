"""One node: its attempts, its time limit, and what it comes to."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from obsku_checkpoint.graph.callers import Caller
from obsku_checkpoint.graph.context import Context
from obsku_checkpoint.graph.definition import Node
from obsku_checkpoint.graph.questions import Answer, Answers, Interrupted, answers
from obsku_checkpoint.graph.results import Outcome, Times, described, now

logger = logging.getLogger("obsku_checkpoint.graph")
#: seconds; the longest pause between two attempts, but for a longer `Node.backoff`
LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a sync node raised. As a value: not every exception can cross from a thread to an event loop."""

    error: BaseException


class NestedFailedError(Exception):
    """A node of a nested graph failed, and so the node that the graph is; ``nested`` is its last checkpoint."""

    def __init__(self, errors: Mapping[str, str], nested: str) -> None:
        super().__init__("; ".join(f"{name}: {error}" for name, error in errors.items()))
        self.nested = nested


async def attempt(
    name: str,
    node: Node,
    call: Callable[[], Awaitable[Any]],
    place: AbstractAsyncContextManager[Any],
    begins: Callable[[], Awaitable[None]],
) -> Outcome:
    """Call until it succeeds, asks a question, or has no retries left.

    Each attempt takes a ``place``, and gives it back before the pause that follows. ``begins`` is called in the first.
    """
    started, failures = 0, list[BaseException]()
    while True:
        if failures:
            await asyncio.sleep(pause_after(node, len(failures)))
        async with place:
            if not failures:
                await begins()
                started = now()
            outcome = await _attempted(node, call, started)
        if isinstance(outcome, Outcome):
            return outcome
        failures.append(outcome.error)
        if not isinstance(outcome.error, NestedFailedError):  # whose nodes are logged already
            _log(name, len(failures), outcome.error)
        if not _may_try_again(node, failures):
            nested = outcome.error.nested if isinstance(outcome.error, NestedFailedError) else None
            return Outcome(error=outcome.text, nested=nested, times=_until_now(started))


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException
    text: str


async def _attempted(node: Node, call: Callable[[], Awaitable[Any]], started: int) -> Outcome | _Failed:
    limit = None
    try:
        if node.timeout is None:
            output = await call()
        else:
            async with asyncio.timeout(node.timeout) as limit:
                output = await call()
        return Outcome(output=output, times=_until_now(started))
    except Interrupted as interrupted:
        return _asks(interrupted, started)
    except NestedFailedError as error:
        return _Failed(error, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a node raises is its result
        late = limit is not None and limit.expired()
        return _Failed(error, f"TimeoutError: not finished after {node.timeout:g} s" if late else described(error))
    except BaseExceptionGroup as error:
        # Of an `asyncio.TaskGroup` with tasks that ask.
        asking, others = error.split(Interrupted)
        if asking and not others:
            return _asks(_first(asking), started)
        if not isinstance(others, ExceptionGroup):
            raise
        return _Failed(others, described(others))
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise
        return _Failed(error, described(error))  # the node's own


def _may_try_again(node: Node, failures: Sequence[BaseException]) -> bool:
    if isinstance(node.retries, int):
        return len(failures) <= node.retries
    for kind, most in node.retries.items():
        if isinstance(failures[-1], kind):
            return sum(isinstance(failure, kind) for failure in failures) <= most
    return False


def pause_after(node: Node, failures: int) -> float:
    """Seconds after so many failures."""
    longest = max(LONGEST_PAUSE, node.backoff)
    return min(node.backoff * 2.0 ** min(failures - 1, 1000), longest)


def _log(name: str, number: int, error: BaseException) -> None:
    # What a node raises may hold what it works on, which is the caller's private data.
    logger.warning("Node %s failed at attempt %d: %s", name, number, type(error).__name__)
    logger.debug("Node %s failed at attempt %d", name, number, exc_info=error)


async def call_node(
    function: Callable[[Context], Any], context: Context, given: Sequence[Answer], caller: Caller, *, alone: bool
) -> Any:
    """Call a node with a copy of its context; ``given`` are its answers so far, ``alone`` as in `Caller.work`."""
    token = answers.set(Answers(given))
    try:
        mine = replace(context, input=copy.deepcopy(context.input), outputs=copy.deepcopy(context.outputs))
        if is_async(function):
            return await function(mine)
        output = await caller.work(partial(_caught, function, mine), alone=alone)
        if isinstance(output, _Raised):
            raise output.error
        return await output if inspect.isawaitable(output) else output
    finally:
        answers.reset(token)


def _asks(interrupted: Interrupted, started: int) -> Outcome:
    return Outcome(
        question=interrupted.question, within=interrupted.within, nested=interrupted.nested, times=_until_now(started)
    )


def _first(group: BaseExceptionGroup[Interrupted]) -> Interrupted:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _until_now(started: int) -> Times:
    return {"startedAt": started, "completedAt": now()}


def is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _caught(function: Callable[[Context], Any], context: Context) -> Any:
    try:
        return function(context)
    except (Exception, Interrupted, asyncio.CancelledError) as error:  # noqa: BLE001 - raised again on the event loop
        return _Raised(error)
