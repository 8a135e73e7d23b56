"""Transcripts over HTTP as wholes: what dangles in one, its repair, and a fork of its beginning."""

from __future__ import annotations

from typing import Literal

from obsku_checkpoint import validation
from obsku_checkpoint.async_twins import method
from obsku_checkpoint.client.base import HTTPStore
from obsku_checkpoint.client.request import body, path
from obsku_checkpoint.client.response import items, members, record
from obsku_checkpoint.client.retries import Steps
from obsku_checkpoint.errors import MessageNotFoundError, SessionNotFoundError
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import Dangling, SessionRecord


class Transcripts(HTTPStore):
    @method
    def find_dangling(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[list[Dangling]]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("session_id", session_id):
            return []
        shown = yield from self._ask(
            "GET", path("sessions", session_id, "dangling/"), params={"on_corrupt": on_corrupt}
        )
        if shown is None:
            return []
        return [
            Dangling(**dict(zip(Dangling.__slots__, members(one, *Dangling.__slots__), strict=True)))
            for one in items(shown)
        ]

    @method
    def repair(self, session_id: str, how: Literal["error", "drop"] = "error") -> Steps[int]:
        validation.how_to_repair(how)
        absent = SessionNotFoundError(session_id)
        if not validation.can_exist("session_id", session_id):
            raise absent
        shown = yield from self._ask(
            "POST",
            path("sessions", session_id, "repair/"),
            body=body({"how": how}),
            errors={"session_not_found": absent},
        )
        [repaired] = members(shown, "repaired")
        return int(repaired)

    @method
    def fork_at(self, message_id: int, *, title: str | None = None) -> Steps[SessionRecord]:
        """Not repeated where it may have been carried out: each would be another session."""
        title = validation.title("title", title)
        absent = MessageNotFoundError(str(validation.message_id("message_id", message_id)))
        shown = yield from self._ask(
            "POST",
            path("messages", str(message_id), "fork/"),
            body=body({"title": title}),
            repeatable=False,
            errors={"message_not_found": absent},
        )
        return record(SessionRecord, shown, "keep")
