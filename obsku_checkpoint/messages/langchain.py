"""The shape of LangChain's ``messages_to_dict`` and ``messages_from_dict``: ``{"type", "data"}``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.messages.said import (
    NewMessage,
    call,
    cannot_hold,
    inputs,
    objects,
    only_assistants_call,
    plain,
    said,
    tagged,
    text,
    text_of,
    texts,
)
from obsku_checkpoint.records import MessageRecord

SHAPE = "LangChain's messages"
TEXTS = {"text": "text"}
TYPES = {"user": "human", "assistant": "ai", "system": "system"}
ROLES = {type: role for role, type in TYPES.items()}
STATUSES = ("success", "error")


def to_langchain(messages: Iterable[MessageRecord | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What ``messages_from_dict`` takes.

    A result's ``data`` becomes the ``artifact``. Dropped: tokens of others than an assistant (and of one that has only
    one of the two figures), ``fullOutputRef``, and a ``status`` other than success and error. A
    tool's ``content`` without results and calls of others than an assistant have no place.
    """
    items: list[dict[str, Any]] = []
    for one in said(messages):
        only_assistants_call(one, SHAPE)
        content = text_of(one, SHAPE)
        if content or one.calls:
            data: dict[str, Any] = {"content": content}
            if one.calls:
                data["tool_calls"] = [
                    {"name": each["name"], "args": plain(each["input"]), "id": each["toolUseId"], "type": "tool_call"}
                    for each in one.calls
                ]
            if one.role == "assistant" and one.tokens_in is not None and one.tokens_out is not None:
                figures = {"input_tokens": one.tokens_in, "output_tokens": one.tokens_out}
                data["usage_metadata"] = {**figures, "total_tokens": one.tokens_in + one.tokens_out}
            items.append({"type": TYPES[one.role], "data": data})
        items += [{"type": "tool", "data": _result(result)} for result in one.results]
    return items


def from_langchain(items: Iterable[Mapping[str, Any]]) -> list[NewMessage]:
    """What ``messages_to_dict`` returns, as messages to add.

    The texts of a content in blocks become one. Dropped: ids, names, ``additional_kwargs``, ``response_metadata``. A
    message cannot hold blocks other than text, and invalid calls.
    """
    messages: list[NewMessage] = []
    for path, item in objects("items", items):
        kind, data = item.get("type"), item.get("data")
        if not isinstance(data, Mapping):
            raise InvalidRecordError(f"{path}.data", "is missing: the items are those of messages_to_dict")
        content = "".join(texts(f"{path}.data.content", data.get("content"), TEXTS))
        if kind == "tool":
            messages.append({"role": "tool", "tool_results": [_from_result(f"{path}.data", data, content)]})
            continue
        if kind not in ROLES:
            raise cannot_hold(f"{path}.type", kind)
        if data.get("invalid_tool_calls"):
            raise cannot_hold(f"{path}.data.invalid_tool_calls", "invalid_tool_calls")
        message: NewMessage = {"role": ROLES[kind], "content": content}
        if calls := data.get("tool_calls"):
            message["tool_calls"] = [_from_call(at, one) for at, one in objects(f"{path}.data.tool_calls", calls)]
        if usage := data.get("usage_metadata"):
            message |= {"tokens_in": usage["input_tokens"], "tokens_out": usage["output_tokens"]}
        messages.append(message)
    return messages


def _result(result: Mapping[str, Any]) -> dict[str, Any]:
    data = {"content": result["content"], "tool_call_id": result["toolUseId"]}
    if result.get("data") is not None:
        data["artifact"] = plain(result["data"])
    return {**data, "status": result["status"]} if result.get("status") in STATUSES else data


def _from_result(path: str, data: Mapping[str, Any], content: str) -> dict[str, Any]:
    result = {"toolUseId": text(f"{path}.tool_call_id", data.get("tool_call_id")), "content": content}
    if (artifact := data.get("artifact")) is not None:
        result["data"] = tagged(f"{path}.artifact", artifact)
    return {**result, "status": data["status"]} if data.get("status") else result


def _from_call(path: str, one: Mapping[str, Any]) -> dict[str, Any]:
    return call(path, one.get("name"), one.get("id"), inputs(f"{path}.args", tagged(f"{path}.args", one.get("args"))))
