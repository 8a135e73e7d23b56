"""Counts round trips: a socket between a system and the server that looks at the direction in which bytes flow.

A round trip is one turn of the conversation: the client speaks after the server has spoken. Statements sent together
(a pipeline) count once; what a driver sends in two parts without waiting counts once, too. It costs time, so no
timing is taken through it.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from pathlib import Path
from typing import Self

SOCKET = ".s.PGSQL.5432"


class RoundTripCounter:
    """Listens on a socket in `folder` for the server whose socket is in ``server_folder``."""

    def __init__(self, server_folder: str) -> None:
        self.count = 0
        self._server = f"{server_folder}/{SOCKET}"
        self._directory = tempfile.TemporaryDirectory(prefix="round-trips-")
        self.folder = self._directory.name
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_unix_server(self._connected, Path(self.folder, SOCKET))
        asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._directory.cleanup()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._server)
        conversation = _Conversation(self)
        await asyncio.gather(
            conversation.pass_on(reader, server_writer, from_client=True),
            conversation.pass_on(server_reader, writer, from_client=False),
            return_exceptions=True,
        )


class _Conversation:
    def __init__(self, counter: RoundTripCounter) -> None:
        self._counter = counter
        self._client_spoke = False

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool) -> None:
        while data := await reader.read(1 << 16):
            if from_client and not self._client_spoke:
                self._counter.count += 1
            self._client_spoke = from_client
            writer.write(data)
            await writer.drain()
        writer.close()
