"""The hostile tenant of `overload.py`, a process of its own, so that its work delays no clock of the honest tenant's.

The server's port and a session are its arguments. Each client asks at once again, until standard input ends; then the
answers are counted on standard output, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

PAGES, STREAMS, BODIES = 20, 30, 30
#: seconds that an answer is waited for
PATIENCE = 300.0
#: bytes of a slow body
SIZE = 2_000_000
SLOW: dict[str, bytes] = {
    "lone surrogates": b'{"role": "user", "content": "' + b"\\ud800" * (SIZE // 6) + b'"}',
    "sets in a set": b'{"directory": "/", "metadata": {"a": {"__type": "Set", "value": ['
    + b",".join(b'{"__type":"Set","value":[%d]}' % number for number in range(SIZE // 36))
    + b"]}}}",
    "private use": json.dumps({"role": "user", "content": "\ue000" * (SIZE // 6)}).encode(),
    "unknown names": json.dumps({f"unknown-{number}": 1 for number in range(SIZE // 20)}).encode(),
    "integers": b'{"role": "user", "tool_calls": [' + b",".join([b"12345678901234567890"] * (SIZE // 21)) + b"]}",
}


class Hostile:
    def __init__(self, port: int, session: str) -> None:
        self.session = session
        self.answers: Counter[str] = Counter()
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/api/",
            headers={"Host": "localhost", "X-Tenant": "hostile", "Content-Type": "application/json"},
            limits=httpx.Limits(max_connections=None),
            timeout=PATIENCE,
        )

    async def pages(self) -> None:
        await self._ask("page", lambda: ("GET", f"sessions/{self.session}/messages/?limit=500", None))

    async def bodies(self) -> None:
        def slow() -> tuple[str, str, bytes]:
            name = random.choice(list(SLOW))
            session = f"sessions/{self.session}/messages/"
            return "POST", "sessions/" if name in ("sets in a set", "unknown names") else session, SLOW[name]

        await self._ask("body", slow)

    async def _ask(self, kind: str, choose: Callable[[], tuple[str, str, Any]]) -> None:
        while True:
            method, path, body = choose()
            answer = await self.http.request(method, path, content=body)
            self.answers[f"{kind} {answer.status_code}"] += 1

    async def streams(self) -> None:
        while True:
            path = f"sessions/{self.session}/events/"
            async with self.http.stream("GET", path, headers={"Last-Event-ID": "0"}) as answer:
                self.answers[f"stream {answer.status_code}"] += 1
                async for _ in answer.aiter_raw():
                    pass
            await asyncio.sleep(1)


async def main(port: int, session: str) -> None:
    hostile = Hostile(port, session)
    clients = [hostile.pages] * PAGES + [hostile.streams] * STREAMS + [hostile.bodies] * BODIES
    async with hostile.http:
        asking = asyncio.gather(*(client() for client in clients))
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        await asyncio.wait([asking, ended], return_when=asyncio.FIRST_COMPLETED)
        if asking.done():
            asking.result()  # a client has failed
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    print(json.dumps(hostile.answers))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
