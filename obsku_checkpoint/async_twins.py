"""Async twins: each derived from its sync method, typed by it, never written twice. Knows no Django."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


@runtime_checkable
class RunsAsync(Protocol):
    """A store that says itself how its async twins do their work: ``call`` is the sync method with its arguments."""

    async def _run_async(self, call: functools.partial[R]) -> R: ...


def twin(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """The async form of ``method``: awaits it in another thread, whole, so that no transaction spans an await.

    The method is looked up by name on the instance, so a subclass overrides the sync method only.
    """
    name = method.__name__

    async def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        work: functools.partial[R] = functools.partial(getattr(self, name), *args, **kwargs)
        if isinstance(self, RunsAsync):
            return await self._run_async(work)
        import asyncio  # noqa: PLC0415 - a third of the package's import time; a running loop has imported it

        return await asyncio.to_thread(work)

    call.__name__ = f"a{name}"
    call.__qualname__ = method.__qualname__.removesuffix(name) + call.__name__
    call.__module__ = method.__module__
    call.__doc__ = f"Async twin of `{name}`."
    vars(call)["__signature__"] = inspect.signature(method)
    return call
