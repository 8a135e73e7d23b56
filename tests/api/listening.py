"""A client of the stream: calls the ASGI application as a server does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Coroutine, Mapping
from typing import Any, Self

from django.core.asgi import get_asgi_application


class Listening:
    """One connection. ``status`` and ``headers`` are there once it is entered; leaving it hangs up."""

    def __init__(
        self,
        path: str,
        *,
        last: str | None = None,
        user: str | None = None,
        method: str = "GET",
        encoding: str = "identity",
        cookie: str | None = None,
    ) -> None:
        headers = [(b"host", b"testserver"), (b"accept", b"text/event-stream")]
        headers.append((b"accept-encoding", encoding.encode()))
        if last is not None:
            headers.append((b"last-event-id", last.encode()))
        if cookie is not None:
            headers.append((b"cookie", cookie.encode()))
        if user is not None:
            headers.append((b"authorization", b"Basic " + base64.b64encode(f"{user}:{user}".encode())))
        self._scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
        }
        self.status = 0
        self.headers: dict[str, str] = {}
        #: of the last block
        self.last = ""
        self._received: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._blocks: list[str] = []
        self._rest = ""
        self._gone = asyncio.Event()
        self._started = asyncio.Event()
        self._asked = False

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(get_asgi_application()(self._scope, self._receive, self._send))
        started = asyncio.create_task(self._started.wait())
        await asyncio.wait([self.task, started], return_when=asyncio.FIRST_COMPLETED)
        assert self._started.is_set(), self.task.exception()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._gone.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    async def block(self) -> str | None:
        """The next event or comment; None at the end."""
        while not self._blocks:
            part = await asyncio.wait_for(self._received.get(), 20)
            if part is None:
                return None
            *self._blocks, self._rest = (self._rest + part.decode()).split("\n\n")
        block = self._blocks.pop(0)
        for line in block.splitlines():
            if line.startswith("id: "):
                self.last = line[4:]
        return block

    async def event(self) -> tuple[str, Any]:
        """The next event: its kind, and the ``id`` of its data; ("end", None) at the end."""
        while (block := await self.block()) is not None:
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "event" in fields:
                return fields["event"], json.loads(fields["data"])["id"]
        return "end", None

    async def events(self, count: int) -> list[tuple[str, Any]]:
        return [await self.event() for _ in range(count)]

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            self._started.set()
            return
        if message.get("body"):
            self._received.put_nowait(message["body"])
        if not message.get("more_body"):
            self._received.put_nowait(None)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))
