"""The newest part of a transcript, by turns and by tokens, that cuts no tool call from its result. Knows no Django.

A turn begins with a user's message. A message counts ``tokens_in + tokens_out``, or a quarter of its content's
characters where it has neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.records import CorruptValue, MessageRecord
from obsku_checkpoint.tool_pairs import tool_use_ids

R = TypeVar("R")

#: messages that are read at a time
PAGE = 200


class Window:
    """Takes a transcript from its newest message backwards until it is known which messages are wanted."""

    def __init__(self, *, limit: int | None, last_turns: int | None, max_tokens: int | None) -> None:
        self._most = limit
        self._turns = last_turns
        self._quarters = None if max_tokens is None else 4 * max_tokens
        #: how many of the newest messages begin a turn with their oldest, fewest first
        self._turn_counts: list[int] = []
        #: quarters of tokens of the messages taken
        self._taken = 0
        self._spent = 0
        #: how many messages fit, once it is known that no more do
        self._fit: int | None = None
        #: results whose call is still to come, by id, the oldest last: how many messages were taken with theirs
        self._waiting: dict[str, list[int]] = {}
        #: (messages with the result, messages with its call): a window of a number in between would cut them apart
        self._pairs: list[tuple[int, int]] = []

    def take(self, message: MessageRecord) -> bool:
        """Take the message before those taken so far. False where no more are needed."""
        self._taken += 1
        if self._fit is None:
            self._spent += _quarters(message)
            if (self._most is not None and self._taken > self._most) or (
                self._quarters is not None and self._spent > self._quarters
            ):
                self._fit = self._taken - 1
        if self._fit is None:
            for _, id in tool_use_ids(message.tool_results):
                self._waiting.setdefault(id, []).append(self._taken)
        for _, id in reversed(list(tool_use_ids(message.tool_calls))):
            if results := self._waiting.get(id):
                self._pairs.append((results.pop(), self._taken))
                if not results:
                    del self._waiting[id]
        if _begins_turn(message):
            self._turn_counts.append(self._taken)
        turns_suffice = self._turns is not None and self._taken in self._turn_counts[-1:] and self._enough_turns()
        return bool(self._waiting) or not (self._fit is not None or turns_suffice)

    def count(self) -> int:
        """How many of the newest messages are wanted."""
        cut = self._cut()
        most = self._taken if self._fit is None else self._fit
        if self._turns is not None:
            whole = [count for count in self._turn_counts[max(self._turns, 1) - 1 :] if not cut[count]]
            most = min(most, 0 if self._turns == 0 else whole[0] if whole else self._taken)
        return next(count for count in range(most, -1, -1) if not cut[count])

    def _enough_turns(self) -> bool:
        return self._turns is not None and len(self._turn_counts) >= self._turns

    def _cut(self) -> Sequence[int]:
        """For each number of messages, how many pairs a window of so many would cut."""
        changes = [0] * (self._taken + 2)
        for with_result, with_call in self._pairs:
            changes[with_result] += 1
            changes[with_call] -= 1
        return list(accumulate(changes))


def newest(
    read: Callable[..., Steps[list[MessageRecord]]], window: Window, before_id: int | None, on_corrupt: str
) -> Steps[list[MessageRecord]]:
    """The messages of a window, oldest first. ``read`` takes ``before_id``, ``limit`` and ``on_corrupt``."""
    taken: list[MessageRecord] = []
    position, more = before_id, True
    while more:
        page = yield from read(before_id=position, limit=PAGE, on_corrupt="keep")
        for message in reversed(page):
            taken.append(message)
            more = window.take(message)
            if not more:
                break
        more = more and len(page) == PAGE
        position = taken[-1].id if taken else None
    wanted = taken[: window.count()][::-1]
    if on_corrupt == "raise" and any(_is_corrupt(message) for message in wanted):
        return (yield from read(before_id=before_id, limit=len(wanted), on_corrupt="raise"))
    return wanted


def _begins_turn(message: MessageRecord) -> bool:
    """What has tool results and no content is not a user's, though some frameworks give it the role."""
    return message.role == "user" and bool(message.content or not message.tool_results)


def _quarters(message: MessageRecord) -> int:
    if message.tokens_in is None and message.tokens_out is None:
        return len(message.content or "")
    return 4 * ((message.tokens_in or 0) + (message.tokens_out or 0))


def _is_corrupt(message: MessageRecord) -> bool:
    return any(isinstance(getattr(message, name), CorruptValue) for name in message.__slots__)
