"""Transcripts that an agent can trust: every tool call with its result, and every result with its call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any, Literal

from obsku_checkpoint import codec, tool_pairs, validation
from obsku_checkpoint.async_twins import Steps, method
from obsku_checkpoint.errors import SessionNotFoundError
from obsku_checkpoint.models import Message, Session
from obsku_checkpoint.protocols import ITERATION_PAGE, OnCorrupt
from obsku_checkpoint.records import Dangling
from obsku_checkpoint.store import deletion, session_clock
from obsku_checkpoint.store.base import DatabaseStore
from obsku_checkpoint.store.calls import Write, atomic
from obsku_checkpoint.store.messages import OLDEST_FIRST
from obsku_checkpoint.store.rows import message_records
from obsku_checkpoint.store.sql import BY_ID, DELETE_MESSAGE, OF_SESSION, REPAIR_MESSAGE, TOUCH_SESSION
from obsku_checkpoint.tool_pairs import Pairing, Unpaired

#: a message's row of which only the calls and results are read
TOOLS = "id, session_id, role, NULL, tool_calls, tool_results, NULL, NULL, created_at"
WITH_TOOLS = "(tool_calls IS NOT NULL OR tool_results IS NOT NULL)"


class Transcripts(DatabaseStore):
    @method
    def find_dangling(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[list[Dangling]]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("session_id", session_id):
            return []
        unpaired = yield from self._unpaired(session_id, on_corrupt)
        return [Dangling(message_id=one.message_id, tool_use_id=one.tool_use_id, kind=one.kind) for one in unpaired]

    @method
    def repair(self, session_id: str, how: Literal["error", "drop"] = "error") -> Steps[int]:
        drop = validation.how_to_repair(how) == "drop"
        if not validation.can_exist("session_id", session_id):
            raise SessionNotFoundError(session_id)
        if (yield from self._unpaired(session_id, "raise")):
            return (yield from atomic(partial(self._repaired, session_id, drop=drop)))
        if not (yield self._select(Session, (BY_ID, session_id), column="id")):
            raise SessionNotFoundError(session_id)
        return 0

    # -- rows

    def _unpaired(self, session_id: str, on_corrupt: OnCorrupt) -> Steps[list[Unpaired]]:
        pairing = Pairing()
        position: list[Sequence[Any]] = []
        while True:
            conditions = [(OF_SESSION, session_id), (WITH_TOOLS,), *position]
            rows = yield self._select(Message, *conditions, column=TOOLS, order=OLDEST_FIRST, limit=ITERATION_PAGE)
            for message in message_records(rows, on_corrupt):
                pairing.take(message.id, message.tool_calls, message.tool_results)
            if len(rows) < ITERATION_PAGE:
                return pairing.unpaired()
            id, *_, created_at = rows[-1]
            position = [("(created_at, id) > (%s, %s)", created_at, id)]

    def _repaired(self, session_id: str, *, drop: bool) -> Steps[int]:
        """The session is locked before its transcript is read again."""
        if not (yield Write(TOUCH_SESSION, {"session_id": session_id, **session_clock.now()})):
            raise SessionNotFoundError(session_id)
        unpaired = yield from self._unpaired(session_id, "raise")
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
