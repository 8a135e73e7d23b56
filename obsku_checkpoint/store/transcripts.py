"""Transcripts that an agent can trust: every tool call with its result, and every result with its call."""

from __future__ import annotations

from functools import cached_property, partial
from itertools import groupby
from typing import Literal

from django.db import connections

from obsku_checkpoint import codec, tool_pairs, validation
from obsku_checkpoint.async_twins import Steps, method
from obsku_checkpoint.errors import InvalidRecordError, SessionNotFoundError
from obsku_checkpoint.models import Message, Session
from obsku_checkpoint.protocols import ITERATION_PAGE, OnCorrupt
from obsku_checkpoint.records import Dangling
from obsku_checkpoint.store import deletion, session_clock
from obsku_checkpoint.store.base import DatabaseStore
from obsku_checkpoint.store.calls import Write, atomic
from obsku_checkpoint.store.rows import message_records
from obsku_checkpoint.store.sql import BY_ID, DELETE_MESSAGE, REPAIR_MESSAGE, TOUCH_SESSION, octets
from obsku_checkpoint.tool_pairs import Pairing, Unpaired

#: bytes of calls and results that are read at once, or those of one message
BATCH_BYTES = 2 * 2**20
#: messages of which only the calls and results are read
BATCH = """
WITH next AS (
    SELECT id, created_at, {octets} AS octets FROM messages
    WHERE session_id = %s AND (tool_calls IS NOT NULL OR tool_results IS NOT NULL) AND (created_at, id) > (%s, %s)
    ORDER BY created_at, id LIMIT {page:d}
), batch AS (
    SELECT
        id, count(*) OVER () AS counted,
        sum(octets) OVER (ORDER BY created_at, id ROWS UNBOUNDED PRECEDING) - octets AS before
    FROM next
)
SELECT counted, id, session_id, role, NULL, tool_calls, tool_results, NULL, NULL, created_at
FROM batch JOIN messages USING (id)
WHERE before < {bytes:d} ORDER BY created_at, id
"""
BEGINNING = (-(2**63), -(2**63))


class Transcripts(DatabaseStore):
    """``most``, which the methods of the contract do not have, are the bytes that calls without a result, and results
    without a call, may take in memory at one time; `InvalidRecordError` where they take more.
    """

    @method
    def find_dangling(
        self, session_id: str, *, on_corrupt: OnCorrupt = "raise", most: int | None = None
    ) -> Steps[list[Dangling]]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("session_id", session_id):
            return []
        unpaired = yield from self._unpaired(session_id, on_corrupt, most)
        return [Dangling(message_id=one.message_id, tool_use_id=one.tool_use_id, kind=one.kind) for one in unpaired]

    @method
    def repair(
        self, session_id: str, how: Literal["error", "drop"] = "error", *, most: int | None = None
    ) -> Steps[int]:
        drop = validation.how_to_repair(how) == "drop"
        if not validation.can_exist("session_id", session_id):
            raise SessionNotFoundError(session_id)
        if (yield from self._unpaired(session_id, "raise", most)):
            return (yield from atomic(partial(self._repaired, session_id, most, drop=drop)))
        if not (yield self._select(Session, (BY_ID, session_id), column="id")):
            raise SessionNotFoundError(session_id)
        return 0

    @method
    def octets_of_tools(self, session_id: str) -> Steps[int]:
        """Bytes of the calls and results of a transcript, all of which the methods above read."""
        if not validation.can_exist("session_id", session_id):
            return 0
        [[total]] = yield f"SELECT sum({self._octets}) FROM messages WHERE session_id = %s", [session_id]
        return total or 0

    # -- rows

    def _unpaired(self, session_id: str, on_corrupt: OnCorrupt, most: int | None) -> Steps[list[Unpaired]]:
        pairing = Pairing()
        position = BEGINNING
        while True:
            rows = yield self._batch, [session_id, *position]
            for message in message_records([row[1:] for row in rows], on_corrupt):
                pairing.take(message.id, message.tool_calls, message.tool_results)
                if most is not None and pairing.octets > most:
                    reason = f"has more calls without a result at one time than fit {most} bytes"
                    raise InvalidRecordError("session_id", reason)
            if not rows or len(rows) == rows[0][0] < ITERATION_PAGE:
                return pairing.unpaired()
            position = rows[-1][-1], rows[-1][1]

    @cached_property
    def _octets(self) -> str:
        vendor = connections[self.using].vendor
        return f"{octets(vendor, 'tool_calls')} + {octets(vendor, 'tool_results')}"

    @cached_property
    def _batch(self) -> str:
        return BATCH.format(octets=self._octets, page=ITERATION_PAGE, bytes=BATCH_BYTES)

    def _repaired(self, session_id: str, most: int | None, *, drop: bool) -> Steps[int]:
        """The session is locked before its transcript is read again."""
        if not (yield Write(TOUCH_SESSION, {"session_id": session_id, **session_clock.now()})):
            raise SessionNotFoundError(session_id)
        unpaired = yield from self._unpaired(session_id, "raise", most)
        for id, of_message in groupby(unpaired, key=lambda one: one.message_id):
            yield from self._repair_message(id, list(of_message), drop=drop)
        return len(unpaired)

    def _repair_message(self, id: int, unpaired: list[Unpaired], *, drop: bool) -> Steps[None]:
        rows = yield self._select(Message, (BY_ID, id))
        [message] = message_records(rows)
        calls, results = tool_pairs.repaired(unpaired, message.tool_calls, message.tool_results, drop=drop)
        if not (message.content or calls or results) and not deletion.is_referred_to(self.using, Message):
            yield Write(DELETE_MESSAGE, {"id": id})
            return
        texts = [None if value is None else codec.dumps(value) for value in (calls, results)]
        yield Write(REPAIR_MESSAGE, {"id": id, "tool_calls": texts[0], "tool_results": texts[1]})
