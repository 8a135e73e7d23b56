"""Sessions as a download: what ``manage.py checkpoints export`` writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from tempfile import TemporaryFile
from typing import IO

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.maintenance.export import export_lines
from obsku_checkpoint.models import Session

#: bytes that are in memory
BLOCK = 2**16


class Export(Page):
    name = "export"

    def respond(self, request: HttpRequest, subject: Session) -> HttpResponseBase:
        return export(request, self.database, [subject.pk])


def export(request: HttpRequest, database: str, session_ids: Sequence[str]) -> StreamingHttpResponse:
    """A download. It is read from the database before it begins, so that a slow reader holds no transaction open."""
    file = TemporaryFile()  # noqa: SIM115 - the response closes it
    file.writelines(export_lines(database, session_ids=session_ids))
    length = file.tell()
    file.seek(0)
    # Under ASGI, Django would read all of a sync iterator before it sends the first byte.
    blocks = _async_blocks(file) if isinstance(request, ASGIRequest) else _blocks(file)
    response = StreamingHttpResponse(blocks, content_type="application/jsonl")
    response["Content-Disposition"] = 'attachment; filename="sessions.jsonl"'
    response["Content-Length"] = length
    return response


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(BLOCK):
            yield block


async def _async_blocks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while block := await asyncio.to_thread(file.read, BLOCK):
            yield block
