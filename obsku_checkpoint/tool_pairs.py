"""Which tool calls of a transcript have their results. Knows no Django.

The order is that of the transcript; within a message, ``tool_results`` follow ``tool_calls``. A result belongs to the
nearest call before it that has its id and no result yet, so an id may be used again.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from obsku_checkpoint.records import ToolResult

#: what `CheckpointStore.repair` says in place of a result that is missing
MISSING = "No result was recorded for this call: it may or may not have been carried out."


class Unpaired(NamedTuple):
    """A call without a result, or a result without a call: its place in the message's list is ``at``."""

    order: int
    message_id: int
    kind: Literal["call", "result"]
    at: int
    tool_use_id: str


class Pairing:
    """Takes a transcript message by message, oldest first, and remembers only what has no counterpart."""

    def __init__(self) -> None:
        self._calls: dict[str, list[Unpaired]] = {}
        self._results: list[Unpaired] = []
        self._taken = 0
        #: that what it remembers takes in memory, roughly
        self.octets = 0

    def take(self, message_id: int, tool_calls: Any, tool_results: Any) -> None:
        for index, id in tool_use_ids(tool_calls):
            self._calls.setdefault(id, []).append(self._unpaired(message_id, "call", index, id))
        for index, id in tool_use_ids(tool_results):
            if calls := self._calls.get(id):
                calls.pop()
                self.octets -= _octets(id)
            else:
                self._results.append(self._unpaired(message_id, "result", index, id))

    def unpaired(self) -> list[Unpaired]:
        """In the order of the transcript."""
        return sorted(
            [*self._results, *(call for calls in self._calls.values() for call in calls)], key=attrgetter("order")
        )

    def _unpaired(self, message_id: int, kind: Literal["call", "result"], index: int, id: str) -> Unpaired:
        self._taken += 1
        self.octets += _octets(id)
        return Unpaired(self._taken, message_id, kind, index, id)


def _octets(id: str) -> int:
    return len(id) + 256


def tool_use_ids(stored: Any) -> Iterator[tuple[int, str]]:
    """(index, ``toolUseId``) of each call or result. What is stored may be of any shape: reading is tolerant."""
    if isinstance(stored, list):
        for index, one in enumerate(stored):
            if isinstance(one, dict) and isinstance(id := one.get("toolUseId"), str):
                yield index, id


def repaired(
    unpaired: list[Unpaired], tool_calls: Any, tool_results: Any, *, drop: bool
) -> tuple[list[Any] | None, list[Any] | None]:
    """The calls and results of a message without its ``unpaired`` ones.

    A result without a call is left out. A call without a result is left out as well where ``drop``; otherwise a result
    that says so is put beside it.
    """
    orphans = {one.at for one in unpaired if one.kind == "result"}
    open_calls = {one.at for one in unpaired if one.kind == "call"}
    calls, results = tool_calls or [], tool_results or []
    kept = [result for index, result in enumerate(results) if index not in orphans]
    if drop:
        calls = [call for index, call in enumerate(calls) if index not in open_calls]
    else:
        kept += [_missing(call["toolUseId"]) for index, call in enumerate(calls) if index in open_calls]
    return calls or None, kept or None


def _missing(id: str) -> ToolResult:
    return {"toolUseId": id, "content": MISSING, "status": "error"}
