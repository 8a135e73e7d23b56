"""The stream: what is new in a session as server-sent events (the HTML standard, section 9.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from asgiref.sync import SyncToAsync, sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import StreamingHttpResponse
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from obsku_checkpoint.api import serializers
from obsku_checkpoint.api.errors import StreamNeedsASGI
from obsku_checkpoint.api.json_plus import JsonPlusRenderer
from obsku_checkpoint.api.openapi import operations
from obsku_checkpoint.api.stream.feed import Event
from obsku_checkpoint.api.stream.poller import Listener, poller
from obsku_checkpoint.api.views import StoreView
from obsku_checkpoint.models import Session
from obsku_checkpoint.records import MessageRecord

#: seconds of silence after which a comment shows that the connection lives
HEARTBEAT = 15.0
#: nginx, and others, are not to hold events back, nor is Django's GZipMiddleware, which passes over what is encoded
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", "Content-Encoding": "identity"}


class Events(StoreView):
    queryset = Session.objects.all()
    operations = operations.EVENTS
    serializer_class = serializers.Message

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """Whatever a client accepts, it gets events; an error is JSON."""
        return JsonPlusRenderer(), JsonPlusRenderer.media_type

    def stream(self, request: Request, id: str) -> StreamingHttpResponse:
        self.check_session(id)
        feed = poller(self.store.using).feed
        last = request.headers.get("Last-Event-ID")
        try:
            place = feed.place(last) if last else None
        except ValueError:
            raise ValidationError({"Last-Event-ID": ["is none that this stream gave"]}) from None
        if not isinstance(request._request, ASGIRequest):
            raise StreamNeedsASGI
        if place is None:
            place = feed.read([(id, None)])[0].place
        headers = {"Content-Type": "text/event-stream", **HEADERS}
        events = self._events(request.method == "HEAD", id, place, self.scope.pinned())
        return StreamingHttpResponse(events, headers=headers)

    async def _events(
        self, nothing: bool, id: str, place: Any, sees: Callable[[str | None], bool]
    ) -> AsyncIterator[bytes]:
        if nothing:
            return
        await _give_thread_back()
        # Whoever is cut off before the first event goes on from here.
        yield f": listening\nid: {place}\n\n".encode()
        with poller(self.store.using).listen(id, place, sees) as listener:
            async for lines in _lines(listener):
                yield lines


async def _lines(listener: Listener) -> AsyncIterator[bytes]:
    while True:
        found = await listener.changes(HEARTBEAT)
        if found is None:
            yield b": alive\n\n"
        elif not found.exists:
            yield b"event: deleted\ndata: " + orjson.dumps({"id": listener.session_id}) + b"\n\n"
            return
        else:
            for event in found.events:
                yield lines(event)
                # A server need not pause for what it has room for; others want their turn, a disconnect is to be seen.
                await asyncio.sleep(0)


def lines(event: Event) -> bytes:
    """One event as it is sent, written once for all who listen; its data is the record as all of the API shows it."""
    written = _written.get(event)
    if written is None:
        message = isinstance(event.record, MessageRecord)
        kind, serializer = ("message", serializers.Message) if message else ("checkpoint", serializers.Checkpoint)
        head = f"id: {event.place}\nevent: {kind}\ndata: "
        written = _written[event] = head.encode() + orjson.dumps(serializer(event.record).data) + b"\n\n"
    return written


#: kept as long as a listener has the event still to send
_written: WeakKeyDictionary[Event, bytes] = WeakKeyDictionary()


async def _give_thread_back() -> None:
    """Django's handler keeps a thread, and so a connection, for what is synchronous in a request, up to its end.

    A stream has no use for them. Whatever is synchronous later gets a new thread.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None:  # not under Django's handler: the thread is somebody else's
        return
    await sync_to_async(connections.close_all)()
    executor = SyncToAsync.context_to_thread_executor.pop(context, None)
    if executor is not None:
        executor.shutdown(wait=False)
