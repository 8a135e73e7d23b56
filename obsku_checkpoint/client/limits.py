"""What a server may send at most: bytes, on the wire and unpacked, seconds, and pages."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from obsku_checkpoint.errors import ConfigurationError, InvalidResponseError

#: what the unpacked body of an answer says no longer
PACKING = ("Content-Encoding", "Content-Length", "Transfer-Encoding")
#: of zlib's window bits: gzip or zlib, as the data say
GZIP_OR_ZLIB = 47


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    #: of one answer, before and after it is unpacked
    max_bytes: int
    #: from the first byte of one request to the last of its answer
    max_seconds: float
    #: of one list
    max_pages: int

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not (type(value) in (int, float) and value > 0):
                raise ConfigurationError(f"{name} must be a positive number")


class Deadline(threading.local):
    """When the request of this thread has to be answered. httpx bounds each wait for bytes, not how many there are."""

    at = float("inf")

    def begin(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds

    def watch(self, event: str, info: dict[str, Any]) -> None:
        """A function for httpx's extension ``trace``: what reads or writes a new connection waits no longer."""
        if event.endswith(OPENED):
            stream = info["return_value"]
            stream.read = self._bounded(stream.read, httpcore.ReadTimeout)
            stream.write = self._bounded(stream.write, httpcore.WriteTimeout)

    def _bounded(self, wait: Callable[..., Any], error: type[Exception]) -> Callable[..., Any]:
        def within(given: Any, timeout: float | None = None) -> Any:
            rest = self.at - time.monotonic()
            if rest <= 0:
                raise error(LATE)
            return wait(given, timeout=rest if timeout is None else min(timeout, rest))

        return within


#: how the events end with which httpcore has a connection
OPENED = ("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete")
LATE = "the answer has not ended in time (max_seconds)"


class Body:
    """Gathers an answer that comes in parts. It is unpacked here, not by httpx, which knows no bound.

    `InvalidResponseError` for too many bytes, and for a packing that was not asked for.
    """

    def __init__(self, response: httpx.Response, limits: Limits) -> None:
        self._response = response
        self._most = limits.max_bytes
        self._received = 0
        self._content = bytearray()
        packing = response.headers.get("Content-Encoding", "identity").strip().lower()
        if packing not in ("identity", "gzip", "x-gzip", "deflate"):
            raise InvalidResponseError(f"the answer is packed as {packing[:50]!r}, which was not asked for")
        self._unpacking: Any = None if packing == "identity" else zlib.decompressobj(GZIP_OR_ZLIB)

    def add(self, part: bytes) -> None:
        most = self._most
        self._received += len(part)
        if self._unpacking is not None:
            try:
                part = self._unpacking.decompress(part, most + 1 - len(self._content))
            except zlib.error:
                raise InvalidResponseError("the answer is not packed as it says") from None
        self._content += part
        if max(self._received, len(self._content)) > most:
            raise InvalidResponseError(f"the answer has more than {most} bytes")

    def response(self) -> httpx.Response:
        """The answer as a whole."""
        headers = [(name, value) for name, value in self._response.headers.multi_items() if name.title() not in PACKING]
        return httpx.Response(
            self._response.status_code,
            headers=headers,
            content=bytes(self._content),
            request=self._response.request,
            extensions={name: value for name, value in self._response.extensions.items() if name == "reason_phrase"},
        )
