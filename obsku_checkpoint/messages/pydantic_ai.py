"""The shape of pydantic-ai's ``ModelMessagesTypeAdapter``: requests and responses, each a list of parts."""

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
    has_no_place,
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

SHAPE = "pydantic-ai's messages"
#: parts of a content that are texts are texts themselves
TEXTS: dict[str, str] = {}
PARTS = {"system": "system-prompt", "user": "user-prompt"}
ROLES = {part: role for role, part in PARTS.items()}
#: how a result went, other than well, as pydantic-ai says it
FAILURES = ("failed", "denied", "interrupted", "retried")


def to_pydantic_ai(messages: Iterable[MessageRecord | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What ``ModelMessagesTypeAdapter.validate_python`` takes.

    What follows each other from one side is one request, or one response. Dropped: tokens of others than an assistant,
    a result's ``fullOutputRef``, its ``content`` where it has ``data`` that is not text, and a ``status`` other than
    ``error``. A result without a call before it (a result names its tool), a tool's ``content`` without results, and
    calls of others than an assistant have no place.
    """
    return items_of(said(messages), {})


def items_of(messages: Iterable[Said], names: dict[str, str]) -> list[dict[str, Any]]:
    """The same of messages that follow others; ``names`` are the tools of the calls so far, by ``toolUseId``."""
    items: list[dict[str, Any]] = []
    for one in messages:
        only_assistants_call(one, SHAPE)
        content = text_of(one, SHAPE)
        if one.role == "assistant":
            names |= {each["toolUseId"]: each["name"] for each in one.calls}
            _respond(items, one)
        elif content:
            _request(items, {"part_kind": PARTS[one.role], "content": content})
        for index, result in enumerate(one.results):
            if result["toolUseId"] not in names:
                raise has_no_place(f"{one.path}.tool_results[{index}]", "no call before it has its toolUseId", SHAPE)
            _request(items, _result(result, names[result["toolUseId"]]))
    return items


def from_pydantic_ai(items: Iterable[Mapping[str, Any]]) -> list[NewMessage]:
    """What ``ModelMessagesTypeAdapter.dump_python(…, mode="json")`` returns, as messages to add: one for each part of a
    request, one for each text of a response with the calls after it.

    A result that asks for another try becomes one with the status ``error``. Dropped: ids, times, instructions, models,
    metadata, and of the usage all but the two sums. A message cannot hold images, audio, files, thinking, and calls of
    built-in tools.
    """
    messages: list[NewMessage] = []
    for path, item in objects("items", items):
        kind = item.get("kind")
        if kind == "request":
            messages += [_from_part(at, part) for at, part in objects(f"{path}.parts", item.get("parts"))]
        elif kind == "response":
            messages += _from_response(path, item)
        else:
            raise cannot_hold(f"{path}.kind", kind)
    return messages


def _request(items: list[dict[str, Any]], part: dict[str, Any]) -> None:
    if not items or items[-1]["kind"] != "request":
        items.append({"kind": "request", "parts": []})
    items[-1]["parts"].append(part)


def _respond(items: list[dict[str, Any]], one: Said) -> None:
    parts: list[dict[str, Any]] = [{"part_kind": "text", "content": one.content}] if one.content else []
    parts += [
        {
            "part_kind": "tool-call",
            "tool_name": each["name"],
            "args": plain(each["input"]),
            "tool_call_id": each["toolUseId"],
        }
        for each in one.calls
    ]
    if not parts:
        return
    if not items or items[-1]["kind"] != "response":
        items.append({"kind": "response", "parts": []})
    items[-1]["parts"] += parts
    for name, tokens in (("input_tokens", one.tokens_in), ("output_tokens", one.tokens_out)):
        if tokens is not None:
            usage = items[-1].setdefault("usage", {})
            usage[name] = usage.get(name, 0) + tokens


def _result(result: Mapping[str, Any], name: str) -> dict[str, Any]:
    structured = "data" in result and not isinstance(result["data"], str)
    content = plain(result["data"]) if structured else result["content"]
    part = {"part_kind": "tool-return", "tool_name": name, "content": content, "tool_call_id": result["toolUseId"]}
    return {**part, "outcome": "failed"} if result.get("status") == "error" else part


def _from_part(path: str, part: Mapping[str, Any]) -> NewMessage:
    kind = part.get("part_kind")
    if kind in ROLES:
        return {"role": ROLES[kind], "content": "".join(texts(f"{path}.content", part.get("content"), TEXTS))}
    if kind == "tool-return" or (kind == "retry-prompt" and part.get("tool_name") is not None):
        return {"role": "tool", "tool_results": [from_result(path, part)]}
    if kind == "retry-prompt":
        content = part.get("content")
        return {"role": "user", "content": content if isinstance(content, str) else codec.dumps(content)}
    raise cannot_hold(path, kind)


def from_result(path: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """A tool's return, or its request for another try, as one of our results."""
    content = part.get("content")
    result: dict[str, Any] = {"toolUseId": text(f"{path}.tool_call_id", part.get("tool_call_id"))}
    if isinstance(content, str):
        result["content"] = content
    else:
        data = tagged(f"{path}.content", content)
        result |= {"content": codec.dumps(data), "data": data}
    failed = part.get("part_kind") == "retry-prompt" or part.get("outcome") in FAILURES
    return {**result, "status": "error"} if failed else result


def _from_response(path: str, item: Mapping[str, Any]) -> list[NewMessage]:
    messages: list[NewMessage] = []
    for at, part in objects(f"{path}.parts", item.get("parts")):
        kind = part.get("part_kind")
        if kind == "text":
            messages.append({"role": "assistant", "content": text(f"{at}.content", part.get("content"))})
        elif kind == "tool-call":
            if not messages:
                messages.append({"role": "assistant"})
            messages[-1].setdefault("tool_calls", []).append(from_call(at, part))
        else:
            raise cannot_hold(at, kind)
    usage = item.get("usage") or {}
    if messages:
        names = {"tokens_in": "input_tokens", "tokens_out": "output_tokens"}
        messages[0] |= {ours: usage[theirs] for ours, theirs in names.items() if theirs in usage}
    return messages


def from_call(path: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """A call of a tool as one of ours."""
    args = part.get("args")
    if args is None or isinstance(args, str):
        input = arguments(f"{path}.args", args)
    else:
        input = inputs(f"{path}.args", tagged(f"{path}.args", args))
    return call(path, part.get("tool_name"), part.get("tool_call_id"), input)
