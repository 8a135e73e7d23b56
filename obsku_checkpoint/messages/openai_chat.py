"""The shape of OpenAI's chat completions: ``{"role", "content", "tool_calls", "tool_call_id"}``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from obsku_checkpoint import codec
from obsku_checkpoint.messages.said import (
    NewMessage,
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

SHAPE = "OpenAI's chat"
TEXTS = {"text": "text"}


def to_openai_chat(messages: Iterable[MessageRecord | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``messages`` of a chat completion.

    Dropped: tokens, and of results all but their ``content``. A tool's ``content`` without
    results and calls of others than an assistant have no place.
    """
    items: list[dict[str, Any]] = []
    for one in said(messages):
        only_assistants_call(one, SHAPE)
        content = text_of(one, SHAPE)
        if content or one.calls:
            item: dict[str, Any] = {"role": one.role, "content": content or None}
            if one.calls:
                item["tool_calls"] = [_call(each) for each in one.calls]
            items.append(item)
        items += [
            {"role": "tool", "tool_call_id": result["toolUseId"], "content": result["content"]}
            for result in one.results
        ]
    return items


def from_openai_chat(items: Iterable[Mapping[str, Any]]) -> list[NewMessage]:
    """``messages`` of a chat completion as messages to add.

    A ``developer`` becomes ``system``, and the texts of a content in parts become one. Dropped: ``name``,
    ``annotations``. A message cannot hold images, audio, files, refusals, and calls of custom tools.
    """
    messages: list[NewMessage] = []
    for path, item in objects("items", items):
        role = item.get("role")
        for key in ("refusal", "audio", "function_call"):
            if item.get(key):
                raise cannot_hold(f"{path}.{key}", key)
        content = "".join(texts(f"{path}.content", item.get("content"), TEXTS))
        if role == "tool":
            id = text(f"{path}.tool_call_id", item.get("tool_call_id"))
            messages.append({"role": "tool", "tool_results": [{"toolUseId": id, "content": content}]})
        elif role in ("user", "system", "developer", "assistant"):
            message: NewMessage = {"role": "system" if role == "developer" else role, "content": content}
            if calls := item.get("tool_calls"):
                message["tool_calls"] = [_from_call(at, one) for at, one in objects(f"{path}.tool_calls", calls)]
            messages.append(message)
        else:
            raise cannot_hold(f"{path}.role", role)
    return messages


def _call(one: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": one["name"], "arguments": codec.dumps(one["input"])}
    return {"id": one["toolUseId"], "type": "function", "function": function}


def _from_call(path: str, one: Mapping[str, Any]) -> dict[str, Any]:
    function = one.get("function")
    if one.get("type", "function") != "function" or not isinstance(function, Mapping):
        raise cannot_hold(path, one.get("type"))
    input = arguments(f"{path}.function.arguments", function.get("arguments"))
    return call(path, function.get("name"), one.get("id"), input)
