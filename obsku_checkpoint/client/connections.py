"""How a method's steps are carried out, by threads and by event loops.

A method is a generator of requests and pauses (`obsku_checkpoint.async_twins`): the sync driver carries them out with
an `httpx.Client`, the async one with an `httpx.AsyncClient`, without a thread.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Self, TypeVar

import httpx

from obsku_checkpoint.client.limits import LATE, Body, Deadline, Limits
from obsku_checkpoint.client.request import Request
from obsku_checkpoint.client.retries import Outcome, Pause, Steps
from obsku_checkpoint.errors import ConfigurationError, InvalidResponseError

R = TypeVar("R")

TOKEN = re.compile(r"[!-~]+")
FAILURES = (httpx.RequestError, httpx.InvalidURL, InvalidResponseError)


class Connections:
    """A pool of connections for the threads of a process, and one for each event loop. A forked child opens its own."""

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        timeout: float | httpx.Timeout = 10.0,
        retries: int = 4,
        max_bytes: int = 64 * 2**20,
        max_seconds: float = 60.0,
        max_pages: int = 100_000,
        **client_options: Any,
    ) -> None:
        """``base_url`` is where the project has mounted the API, such as ``https://shop.example/api/``.

        ``token`` is one of Django REST framework's, sent as ``Authorization: Token …``. ``timeout`` is in seconds, of
        connecting and of each wait for bytes; ``retries`` is how many times more a request is tried at most. An answer
        has at most ``max_bytes``, before and after it is unpacked, and ends within ``max_seconds`` of its request's
        beginning; a list has at most ``max_pages``. A user and password in ``base_url`` are sent as ``auth`` and stand
        in no log.
        ``client_options`` are those that `httpx.Client` and `httpx.AsyncClient` both take, such as ``auth``,
        ``headers``, ``verify`` and ``limits``. Raises `ConfigurationError`; connects to nothing yet.
        """
        try:
            url = httpx.URL(base_url)
        except (TypeError, httpx.InvalidURL):
            raise ConfigurationError("base_url is not a URL") from None  # not quoted: it may have a password
        if url.scheme not in ("http", "https") or not url.host:
            raise ConfigurationError("base_url must be an absolute URL of http or https")
        if url.query or url.fragment:
            raise ConfigurationError("base_url must have no query and no fragment")
        if token is not None and not TOKEN.fullmatch(token):
            # Not quoted: it is a secret.
            raise ConfigurationError("token must be visible ASCII characters (is there a line break at its end?)")
        if type(retries) is not int or retries < 0:
            raise ConfigurationError("retries must be an integer, 0 or more")
        if client_options.get("follow_redirects"):
            raise ConfigurationError("follow_redirects is not for a store: headers and cookies would go along")
        if url.userinfo:
            if token is not None or "auth" in client_options:
                raise ConfigurationError("base_url has a user: give that, or a token, or auth")
            client_options["auth"] = httpx.BasicAuth(url.username, url.password)
            url = url.copy_with(userinfo=b"")
        headers = httpx.Headers(client_options.pop("headers", None))
        headers.setdefault("Accept", "application/json")
        headers["Accept-Encoding"] = "gzip"
        headers.setdefault("Cache-Control", "no-cache")  # agents read what was written, not what a replica has of it
        if token is not None:
            headers["Authorization"] = f"Token {token}"
        self._retries = retries
        self._limits = Limits(max_bytes=max_bytes, max_seconds=max_seconds, max_pages=max_pages)
        self._deadline = Deadline()
        self._watched = {"trace": self._deadline.watch}
        self._options = {
            "verify": httpx.create_ssl_context(),  # read once: it takes longer than a request
            **client_options,
            "base_url": url,
            "headers": headers,
            "timeout": timeout,
        }
        self._threads_clients: dict[int, httpx.Client] = {}
        self._loops_clients: dict[asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, AsyncGenerator[None, None]]] = {}

    # -- threads

    def _run(self, begin: Callable[[], Steps[R]]) -> R:
        steps = begin()
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # typeshed does not know whose end it is
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                outcome = None
                continue
            self._deadline.begin(self._limits.max_seconds)
            try:
                with self._threads_client().stream(**_arguments(step), extensions=self._watched) as response:
                    body = Body(response, self._limits)
                    for part in response.iter_raw():
                        body.add(part)
                    outcome = body.response()
            except FAILURES as error:
                outcome = error

    def _threads_client(self) -> httpx.Client:
        process = os.getpid()
        return self._threads_clients.get(process) or self._threads_clients.setdefault(
            process, httpx.Client(**self._options)
        )

    def close(self) -> None:
        """Close the connections of this process's threads. A later call opens new ones."""
        client = self._threads_clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- event loops

    async def _run_async(self, begin: Callable[[], Steps[R]]) -> R:
        steps = begin()
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # as above
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                outcome = None
                continue
            try:
                async with asyncio.timeout(self._limits.max_seconds):
                    outcome = await self._answer(step)
            except TimeoutError:
                outcome = httpx.ReadTimeout(LATE)
            except FAILURES as error:
                outcome = error

    async def _answer(self, step: Request) -> httpx.Response:
        client = await self._loops_client()
        async with client.stream(**_arguments(step)) as response:
            body = Body(response, self._limits)
            async for part in response.aiter_raw():
                body.add(part)
            return body.response()

    async def _loops_client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if loop not in self._loops_clients:
            client = httpx.AsyncClient(**self._options)
            lifetime = self._until_the_loop_ends(loop, client)
            self._loops_clients[loop] = client, lifetime
            await anext(lifetime)
        return self._loops_clients[loop][0]

    async def _until_the_loop_ends(
        self, loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient
    ) -> AsyncGenerator[None, None]:
        """Closes the client with the loop: `asyncio.run` ends the async generators that were begun in it."""
        try:
            yield
        finally:
            del self._loops_clients[loop]
            await client.aclose()

    async def aclose(self) -> None:
        """Close the connections of the running event loop. A later call opens new ones."""
        if found := self._loops_clients.get(asyncio.get_running_loop()):
            await found[1].aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


def _arguments(request: Request) -> dict[str, Any]:
    headers = {} if request.body is None else {"Content-Type": "application/json"}
    return {
        "method": request.method,
        "url": request.path,
        "params": request.params or None,
        "content": request.body,
        "headers": headers,
    }
