"""The stream: what is new in a session as server-sent events (the HTML standard, section 9.2)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from obsku_checkpoint import conf, replica
from obsku_checkpoint.api import serializers
from obsku_checkpoint.api.errors import StreamNeedsASGI
from obsku_checkpoint.api.json_plus import JsonPlusRenderer
from obsku_checkpoint.api.openapi import operations
from obsku_checkpoint.api.stream.admission import Stream, give_thread_back
from obsku_checkpoint.api.stream.feed import Event
from obsku_checkpoint.api.stream.poller import Listener, poller
from obsku_checkpoint.api.views import StoreView
from obsku_checkpoint.models import Session
from obsku_checkpoint.records import MessageRecord

#: seconds of silence after which a comment shows that the connection lives
HEARTBEAT = 15.0
#: milliseconds after which a browser comes back to a stream that has ended
RETRY_MS = 1000
#: seconds of a stream that the primary sends since the replica cannot yet: pages are read from the replica when they
#: are told of news, so they are to be told by it
CATCHING_UP = 10
#: nginx, and others, are not to hold events back, nor is Django's GZipMiddleware, which passes over what is encoded
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", "Content-Encoding": "identity"}


class Events(StoreView):
    queryset = Session.objects.all()
    serializer_class = serializers.Message

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """Whatever a client accepts, it gets events; an error is JSON."""
        return JsonPlusRenderer(), JsonPlusRenderer.media_type

    def source(self) -> str:
        return replica.source_of_stream(self.request)

    @operations.sessions_events
    def stream(self, request: Request, id: str) -> StreamingHttpResponse:
        self.check_session(id)
        feed = poller(self.store.using).feed
        last = request.headers.get("Last-Event-ID")
        try:
            # By the primary's judgement: a replica may not have come that far yet.
            cursor = poller(conf.current().DATABASE).feed.cursor(last) if last else None
        except ValueError:
            raise ValidationError({"Last-Event-ID": ["is not an id of this stream"]}) from None
        if not isinstance(request._request, ASGIRequest):
            raise StreamNeedsASGI
        if cursor is None:
            cursor = feed.read([(id, None)])[0].cursor
        headers = {"Content-Type": "text/event-stream", **HEADERS}
        if request.method == "HEAD":
            return StreamingHttpResponse(_nothing(), headers=headers)
        events = Stream(request, _events(self.store.using, id, cursor, self.scope.pinned()))
        return StreamingHttpResponse(events, headers=headers)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().dispatch(request, *args, **kwargs)
        del self.response  # so that one which its client did not wait for is freed at once, and counts no longer
        return response


async def _events(using: str, id: str, cursor: Any, sees: Callable[[str | None], bool]) -> AsyncIterator[bytes]:
    await give_thread_back()
    # Not all at the same moment that began at the same moment, and never later than is said.
    seconds, on_replica = conf.current().STREAM_MAX_SECONDS, conf.current().REPLICA in (None, using)
    end = time.monotonic() + (seconds if on_replica else min(seconds, CATCHING_UP)) * random.uniform(0.9, 1)
    # Whoever is cut off before the first event goes on from here.
    yield f": listening\nid: {cursor}\nretry: {RETRY_MS}\n\n".encode()
    with poller(using).listen(id, cursor, sees) as listener:
        async for lines in _lines(listener, end):
            yield lines


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield


async def _lines(listener: Listener, end: float) -> AsyncIterator[bytes]:
    """Up to the time ``end``: the client comes back by itself, with its cursor, and is asked everything anew."""
    while (rest := end - time.monotonic()) > 0:
        found = await listener.changes(min(HEARTBEAT, rest))
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
                if time.monotonic() > end:
                    return


def lines(event: Event) -> bytes:
    """One event as it is sent, written once for all who listen; its data is the record as all of the API shows it."""
    written = _written.get(event)
    if written is None:
        message = isinstance(event.record, MessageRecord)
        kind, serializer = ("message", serializers.Message) if message else ("checkpoint", serializers.Checkpoint)
        head = f"id: {event.cursor}\nevent: {kind}\ndata: "
        written = _written[event] = head.encode() + orjson.dumps(serializer(event.record).data) + b"\n\n"
    return written


#: kept as long as a listener has the event still to send
_written: WeakKeyDictionary[Event, bytes] = WeakKeyDictionary()
