"""Random conversations, and what a model reads of one."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from obsku_checkpoint import codec

LETTERS = "abc ABC\n\t\"\\{}[]:,'é🂡\u2028\u0000\ud800"
SCALARS: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**53,
    2**70,
    0.5,
    float("inf"),
    "",
    "null",
    b"\x00\xff",
    Decimal("1.10"),
]


class Conversations:
    """Whose messages an assistant, its user, a system and tools have said, as `add_messages` takes them."""

    def __init__(self, seed: int, *, system_first: bool) -> None:
        self.rng = random.Random(seed)
        self.system_first = system_first

    def next(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        waiting: list[str] = []
        for number in range(self.rng.randrange(12)):
            role = self.rng.choice(["user", "assistant", "assistant", "tool", "system"])
            if role == "system" and self.system_first and any(one["role"] != "system" for one in messages):
                role = "user"
            message: dict[str, Any] = {"role": role}
            if role != "tool" and self.rng.random() < 0.8:
                message["content"] = self.text()
            if role == "assistant":
                if self.rng.random() < 0.5:
                    ids = [f"call-{number}-{place}" for place in range(self.rng.randrange(1, 4))]
                    message["tool_calls"] = [
                        {"name": self.text(), "toolUseId": id, "input": self.object()} for id in ids
                    ]
                    waiting += ids
                if self.rng.random() < 0.5:
                    message |= {"tokens_in": self.rng.randrange(99), "tokens_out": self.rng.randrange(99)}
            if waiting and (role == "tool" or self.rng.random() < 0.1):
                ids = [waiting.pop(self.rng.randrange(len(waiting))) for _ in range(self.rng.randint(1, len(waiting)))]
                message["tool_results"] = [self.result(id) for id in ids]
            messages.append(message)
        return messages

    def result(self, id: str) -> dict[str, Any]:
        result: dict[str, Any] = {"toolUseId": id}
        result |= self.rng.choice([{"data": self.value(2)}, {"content": self.text()}, {"content": ""}])
        if self.rng.random() < 0.3:
            result["status"] = self.rng.choice(["success", "error"])
        return result

    def text(self) -> str:
        return "".join(self.rng.choices(LETTERS[:-2], k=self.rng.randrange(8)))

    def object(self) -> dict[str, Any]:
        return {self.text(): self.value(2) for _ in range(self.rng.randrange(3))}

    def value(self, depth: int) -> Any:
        match self.rng.randrange(8 if depth else 3):
            case 0 | 1:
                return self.rng.choice(SCALARS)
            case 2:
                return self.text()
            case 3:
                return datetime(2026, 1, 2, tzinfo=UTC) + timedelta(milliseconds=self.rng.randrange(10**9))
            case 4:
                return {1, self.text()}
            case 5:
                return {number: self.value(depth - 1) for number in range(self.rng.randrange(3))}
            case 6:
                return [self.value(depth - 1) for _ in range(self.rng.randrange(3))]
            case _:
                return {"__type": "Date", **self.object()}


def spoken(messages: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """What a model reads, in order: texts, calls and results."""
    events: list[tuple[str, ...]] = []
    for message in messages:
        if content := message.get("content"):
            events.append(("text", message["role"], content))
        calls = message.get("tool_calls") or []
        events += [("call", call["toolUseId"], call["name"], codec.dumps(call["input"])) for call in calls]
        for result in message.get("tool_results") or []:
            content = result["content"] if "content" in result else codec.dumps(result["data"])
            events.append(("result", result["toolUseId"], content))
    return events


def tokens(messages: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Of the assistant's messages that say something."""
    said = [message for message in messages if message.get("content") or message.get("tool_calls")]
    return sum(one.get("tokens_in") or 0 for one in said), sum(one.get("tokens_out") or 0 for one in said)
