"""The shape of Anthropic's messages: turns of ``user`` and ``assistant``, each a list of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from obsku_checkpoint.messages.said import (
    NewMessage,
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

SHAPE = "Anthropic's messages"
TEXTS = {"text": "text"}


def to_anthropic(messages: Iterable[MessageRecord | Mapping[str, Any]]) -> dict[str, Any]:
    """``{"system": …, "messages": …}``, parameters of ``messages.create``.

    What follows each other from one side is one turn: results stand in the turn after their calls, as they must.
    Dropped: tokens, and of results all but their ``content`` and whether their ``status`` is ``error``. A system's
    message behind others, a tool's ``content`` without results, and calls of others than an assistant have no place.
    """
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for one in said(messages):
        only_assistants_call(one, SHAPE)
        content = text_of(one, SHAPE)
        if one.role == "system":
            if turns:
                raise has_no_place(f"{one.path}.role", "a system's message comes first", SHAPE)
            system += _texts(content)
        elif one.role == "assistant":
            calls = [
                {"type": "tool_use", "id": each["toolUseId"], "name": each["name"], "input": plain(each["input"])}
                for each in one.calls
            ]
            _add(turns, "assistant", _texts(content) + calls)
        else:
            _add(turns, "user", _texts(content))
        _add(turns, "user", [_result(result) for result in one.results])
    return {"system": system, "messages": turns} if system else {"messages": turns}


def from_anthropic(parameters: Mapping[str, Any]) -> list[NewMessage]:
    """``{"system": …, "messages": …}`` as messages to add, one for each text with the calls after it.

    Dropped: ``cache_control``, ``citations``. A message cannot hold images, documents, thinking, and calls of server
    tools.
    """
    messages: list[NewMessage] = [
        {"role": "system", "content": content} for content in texts("system", parameters.get("system"), TEXTS)
    ]
    for path, turn in objects("messages", parameters.get("messages")):
        role, content = turn.get("role"), turn.get("content")
        if role not in ("user", "assistant"):
            raise cannot_hold(f"{path}.role", role)
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        fresh = True  # a turn begins a message
        for at, block in objects(f"{path}.content", blocks):
            kind = block.get("type")
            if kind == "text":
                messages.append({"role": role, "content": text(f"{at}.text", block.get("text"))})
                fresh = False
            elif kind == "tool_use" and role == "assistant":
                if fresh:
                    messages.append({"role": role})
                    fresh = False
                input = inputs(f"{at}.input", tagged(f"{at}.input", block.get("input")))
                messages[-1].setdefault("tool_calls", []).append(call(at, block.get("name"), block.get("id"), input))
            elif kind == "tool_result" and role == "user":
                messages.append({"role": "tool", "tool_results": [_from_result(at, block)]})
            else:
                raise cannot_hold(at, kind)
    return messages


def _add(turns: list[dict[str, Any]], role: str, blocks: list[dict[str, Any]]) -> None:
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    elif blocks:
        turns.append({"role": role, "content": blocks})


def _texts(content: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if content else []


def _result(result: Mapping[str, Any]) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": result["toolUseId"], "content": result["content"]}
    return {**block, "is_error": True} if result.get("status") == "error" else block


def _from_result(path: str, block: Mapping[str, Any]) -> dict[str, Any]:
    id = text(f"{path}.tool_use_id", block.get("tool_use_id"))
    result = {"toolUseId": id, "content": "".join(texts(f"{path}.content", block.get("content"), TEXTS))}
    return {**result, "status": "error"} if block.get("is_error") else result
