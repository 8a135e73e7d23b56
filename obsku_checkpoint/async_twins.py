"""How a method of a store is written once, and called sync and async. Knows no Django.

A method is a generator of *steps*: it yields what is to be done (a statement, a request), is sent what came of it, and
returns its result. `method` makes the sync method of it, `twin` the async one; a driver of the store carries the steps
out, over whatever it has: a connection, a thread, an event loop. httpx does the same with its ``Auth.auth_flow``::

    class Store:
        @method
        def get_title(self, id: str) -> Generator[Statement, Rows, str | None]:
            rows = yield "SELECT title FROM sessions WHERE id = %(id)s", {"id": id}
            return rows[0][0] if rows else None

        aget_title = twin(get_title)

        def _run(self, begin):                      # the sync driver; `_run_async` is the same with ``await``
            steps = begin()
            try:
                step = next(steps)
                while True:
                    step = steps.send(self.execute(step))
            except StopIteration as end:
                return end.value

A driver is handed what begins the steps, not the generator, since whoever wants to try again begins anew.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
Steps = Generator[Any, Any, R]


class Driven(Protocol):
    """A store whose methods are steps."""

    def _run(self, begin: Callable[[], Steps[R]], /) -> R: ...

    async def _run_async(self, begin: Callable[[], Steps[R]], /) -> R: ...


D = TypeVar("D", bound=Driven)


def method(steps: Callable[Concatenate[D, P], Steps[R]]) -> Callable[Concatenate[D, P], R]:
    """The sync method of a generator of steps; its twin finds them at ``.steps``."""

    @functools.wraps(steps)
    def call(self: D, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._run(functools.partial(steps, self, *args, **kwargs))

    vars(call)["steps"] = steps
    return call


def steps_of(method: Callable[P, R]) -> Callable[P, Steps[R]]:
    """The steps of a `method`, to be part of another one's: ``yield from steps_of(Sessions.get_session)(self, id)``."""
    return cast("Callable[P, Steps[R]]", vars(method)["steps"])


def twin(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """The async form of ``method``, which is looked up by name on the instance: a subclass overrides that one only.

    A method of steps is given to the store's ``_run_async``. Any other is called whole in a thread: the one that the
    store's ``_in_thread`` chooses, where it has one.
    """
    name = method.__name__

    async def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        bound = getattr(self, name)
        steps = getattr(bound, "steps", None)
        if steps is not None:
            return await cast("Driven", self)._run_async(functools.partial(steps, self, *args, **kwargs))
        in_thread: Callable[[Callable[[], R]], Coroutine[Any, Any, R]] | None = getattr(self, "_in_thread", None)
        if in_thread is None:
            import asyncio  # noqa: PLC0415 - a third of the package's import time; a running loop has imported it

            in_thread = asyncio.to_thread
        return await in_thread(functools.partial(bound, *args, **kwargs))

    call.__name__ = f"a{name}"
    call.__qualname__ = method.__qualname__.removesuffix(name) + call.__name__
    call.__module__ = method.__module__
    call.__doc__ = f"Async twin of `{name}`."
    vars(call)["__signature__"] = inspect.signature(method)
    return call
