"""One node: its attempts, its time limit, and what it comes to."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from obsku_checkpoint.graph.callers import Caller
from obsku_checkpoint.graph.context import Context
from obsku_checkpoint.graph.definition import Node
from obsku_checkpoint.graph.questions import Answer, Answers, Interrupted, answers
from obsku_checkpoint.graph.results import Outcome, Times, described, now

logger = logging.getLogger("obsku_checkpoint.graph")
#: how often the time between two attempts is doubled at most
LONGEST = 30


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a sync node raised. As a value: not every exception can cross from a thread to an event loop."""

    error: BaseException


class NestedFailedError(Exception):
    """A node of a nested graph failed, and so the node that the graph is; ``nested`` is its last checkpoint."""

    def __init__(self, errors: Mapping[str, str], nested: str) -> None:
        super().__init__("; ".join(f"{name}: {error}" for name, error in errors.items()))
        self.nested = nested


async def attempt(name: str, node: Node, call: Callable[[], Awaitable[Any]]) -> Outcome:
    """Call until it succeeds, asks a question, or has no retries left. Each failure is logged with its traceback."""
    started = now()
    error, nested = "", None
    for number in range(node.retries + 1):
        if number:
            await asyncio.sleep(node.backoff * 2 ** min(number - 1, LONGEST))
        failure: BaseException
        try:
            async with asyncio.timeout(node.timeout) as limit:
                output = await call()
            return Outcome(output=output, times=_until_now(started))
        except Interrupted as interrupted:
            return _asks(interrupted, started)
        except NestedFailedError as raised:
            error, nested = str(raised), raised.nested
            continue  # its nodes are logged already
        except Exception as raised:  # noqa: BLE001 - whatever a node raises is its result
            failure = raised
        except BaseExceptionGroup as raised:
            # Of an `asyncio.TaskGroup` with tasks that ask.
            asking, others = raised.split(Interrupted)
            if asking and not others:
                return _asks(_first(asking), started)
            if not isinstance(others, ExceptionGroup):
                raise
            failure = others
        except asyncio.CancelledError as raised:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            failure = raised  # the node's own
        error = f"TimeoutError: not finished after {node.timeout:g} s" if limit.expired() else described(failure)
        logger.warning("Node %s failed at attempt %d of %d", name, number + 1, node.retries + 1, exc_info=failure)
    return Outcome(error=error, nested=nested, times=_until_now(started))


async def call_node(
    function: Callable[[Context], Any], context: Context, given: Sequence[Answer], caller: Caller, *, alone: bool
) -> Any:
    """Call a node with a copy of its context; ``given`` are the answers to its questions, ``alone`` as in `Caller`."""
    token = answers.set(Answers(given))
    try:
        mine = copy.deepcopy(context)
        if _is_async(function):
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


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _caught(function: Callable[[Context], Any], context: Context) -> Any:
    try:
        return function(context)
    except (Exception, Interrupted, asyncio.CancelledError) as error:  # noqa: BLE001 - raised again on the event loop
        return _Raised(error)
