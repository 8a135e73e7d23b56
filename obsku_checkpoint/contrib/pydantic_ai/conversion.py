"""Requests and responses become messages that people can read, and messages of other programs become the former.

The exact JSON of each is kept beside its message, so what a message cannot hold is only named in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from obsku_checkpoint.contrib.transcripts.transcript import Entry
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.messages import pydantic_ai
from obsku_checkpoint.messages.said import NewMessage, said

RESULTS = ("tool-return", "retry-prompt")


def message_of(item: Mapping[str, Any]) -> NewMessage:
    """The message of a request or a response."""
    parts = list(item["parts"])
    if item["kind"] == "response":
        message: NewMessage = {"role": "assistant", "content": _shown(parts, "text", "tool-call")}
        if calls := [_call(part) for part in parts if part["part_kind"] == "tool-call"]:
            message["tool_calls"] = calls
        tokens = item.get("usage") or {}
        if tokens.get("input_tokens") or tokens.get("output_tokens"):
            message |= {"tokens_in": tokens.get("input_tokens", 0), "tokens_out": tokens.get("output_tokens", 0)}
        return message
    results = [pydantic_ai.from_result("part", part) for part in parts if _is_result(part)]
    prompts = [part for part in parts if not _is_result(part)]
    if any(part["part_kind"] == "user-prompt" for part in prompts):
        prompts = [part for part in prompts if part["part_kind"] != "system-prompt"]
        role = "user"
    else:
        role = "tool" if results else "system" if prompts else "user"
    content = _shown(prompts, "user-prompt", "system-prompt", "retry-prompt")
    return {"role": role, "content": content, **({"tool_results": results} if results else {})}


def items_of(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """What the messages say: their originals, or what their columns say where another program wrote them.

    A repair may have removed calls and results of an original, or put results beside calls.
    """
    items: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for entry in entries:
        message = entry.message
        item = entry.original
        if item is None:
            items += pydantic_ai.items_of(said([message]), names)
            continue
        calls = {call["toolUseId"] for call in message.tool_calls or []}
        results = {result["toolUseId"] for result in message.tool_results or []}
        parts = [part for part in item["parts"] if _stands(part, calls, results)]
        names |= {part["tool_call_id"]: part["tool_name"] for part in parts if part["part_kind"] == "tool-call"}
        if parts or not item["parts"]:
            items.append({**item, "parts": parts})
        if item["kind"] == "response" and message.tool_results:
            results_only = [one._replace(role="tool", content="", calls=[]) for one in said([message])]
            items += pydantic_ai.items_of(results_only, names)
    return items


def _stands(part: Mapping[str, Any], calls: Collection[str], results: Collection[str]) -> bool:
    """Whether a part is not a call or a result that a repair has removed from its message."""
    if part["part_kind"] == "tool-call":
        return part["tool_call_id"] in calls
    return not _is_result(part) or part["tool_call_id"] in results


def _is_result(part: Mapping[str, Any]) -> bool:
    return part["part_kind"] in RESULTS and part.get("tool_name") is not None


def _call(part: Mapping[str, Any]) -> dict[str, Any]:
    """A call; what a model wrote that is not the JSON of an object is shown as it is."""
    try:
        return pydantic_ai.from_call("part", part)
    except InvalidRecordError:
        return {"name": part["tool_name"], "toolUseId": part["tool_call_id"], "input": {"args": part["args"]}}


def _shown(parts: Iterable[Mapping[str, Any]], *kinds: str) -> str:
    """The texts of parts of these kinds, and of others what they are; calls stand elsewhere."""
    return "\n".join(
        one if isinstance(one, str) else f"[{_kind(one) or part['part_kind']}]"
        for part in parts
        if part["part_kind"] != "tool-call"
        for one in _contents(part, kinds)
    )


def _contents(part: Mapping[str, Any], kinds: Collection[str]) -> list[Any]:
    content = part.get("content") if part["part_kind"] in kinds else None
    return content if isinstance(content, list) else [content]


def _kind(content: Any) -> Any:
    return content.get("kind") if isinstance(content, Mapping) else None
