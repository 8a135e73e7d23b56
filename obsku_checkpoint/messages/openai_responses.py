"""The shape of OpenAI's responses: a list of items, of which each is a message, a call or a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from obsku_checkpoint import codec
from obsku_checkpoint.messages.said import (
    NewMessage,
    Said,
    arguments,
    call,
    cannot_hold,
    objects,
    only_assistants_call,
    said,
    text,
    text_of,
    texts,
)
from obsku_checkpoint.records import MessageRecord

SHAPE = "OpenAI's responses"
TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}


def to_openai_responses(messages: Iterable[MessageRecord | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``input`` of a response: items.

    Dropped: tokens, and of results all but their ``content``. A tool's ``content`` without
    results and calls of others than an assistant have no place.
    """
    return [item for one in said(messages) for item in items_of(one)]


def items_of(one: Said) -> list[dict[str, Any]]:
    """What one message says, in items."""
    only_assistants_call(one, SHAPE)
    content = text_of(one, SHAPE)
    items: list[dict[str, Any]] = [{"role": one.role, "content": content}] if content else []
    items += [
        {
            "type": "function_call",
            "call_id": each["toolUseId"],
            "name": each["name"],
            "arguments": codec.dumps(each["input"]),
        }
        for each in one.calls
    ]
    items += [
        {"type": "function_call_output", "call_id": result["toolUseId"], "output": result["content"]}
        for result in one.results
    ]
    return items


def from_openai_responses(items: Iterable[Mapping[str, Any]]) -> list[NewMessage]:
    """Items of a response as messages to add, one each.

    A ``developer`` becomes ``system``, the texts of a content in parts become one, a refusal becomes text. Dropped:
    ids, status, annotations. A message cannot hold images, audio, files, reasoning, and calls of hosted tools.
    """
    return [message_of(path, item) for path, item in objects("items", items)]


def message_of(path: str, item: Mapping[str, Any]) -> NewMessage:
    """One item as a message."""
    role, kind = item.get("role"), item.get("type", "message")
    if kind == "message" and role in ("user", "system", "developer", "assistant"):
        content = "".join(texts(f"{path}.content", item.get("content"), TEXTS))
        return {"role": "system" if role == "developer" else role, "content": content}
    if kind == "function_call":
        input = arguments(f"{path}.arguments", item.get("arguments"))
        return {"role": "assistant", "tool_calls": [call(path, item.get("name"), item.get("call_id"), input)]}
    if kind == "function_call_output":
        id = text(f"{path}.call_id", item.get("call_id"))
        content = "".join(texts(f"{path}.output", item.get("output"), TEXTS))
        return {"role": "tool", "tool_results": [{"toolUseId": id, "content": content}]}
    raise cannot_hold(f"{path}.role" if kind == "message" else path, role if kind == "message" else kind)
