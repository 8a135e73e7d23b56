"""What a server may send at most: bytes, on the wire and unpacked, seconds, and pages."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from typing import Any

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
    #: from the head of one answer to its end
    max_seconds: float
    #: of one list
    max_pages: int

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not (type(value) in (int, float) and value > 0):
                raise ConfigurationError(f"{name} must be a positive number")


class Body:
    """Gathers an answer that comes in parts. It is unpacked here, not by httpx, which knows no bound.

    `InvalidResponseError` for too many bytes, and for a packing that was not asked for; `httpx.ReadTimeout` for an
    answer that takes too long.
    """

    def __init__(self, response: httpx.Response, limits: Limits) -> None:
        self._response = response
        self._limits = limits
        self._end = time.monotonic() + limits.max_seconds
        self._received = 0
        self._content = bytearray()
        packing = response.headers.get("Content-Encoding", "identity").strip().lower()
        if packing not in ("identity", "gzip", "x-gzip", "deflate"):
            raise InvalidResponseError(f"the answer is packed as {packing[:50]!r}, which was not asked for")
        self._unpacking: Any = None if packing == "identity" else zlib.decompressobj(GZIP_OR_ZLIB)

    def add(self, part: bytes) -> None:
        if time.monotonic() > self._end:
            message = f"the answer has not ended after {self._limits.max_seconds:g} seconds"
            raise httpx.ReadTimeout(message, request=self._response.request)
        most = self._limits.max_bytes
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
