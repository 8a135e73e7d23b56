"""Items of the SDK become messages that people can read, and messages of other programs become items.

An item's exact JSON is kept beside its message, so what a message cannot hold is only named in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obsku_checkpoint import codec
from obsku_checkpoint.contrib.transcripts.transcript import Entry
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.messages import openai_responses
from obsku_checkpoint.messages.said import NewMessage, arguments, said

CALL, OUTPUT = "_call", "_call_output"


def message_of(item: Mapping[str, Any]) -> NewMessage:
    """The message of an item of any type."""
    kind, id = str(item.get("type", "message")), item.get("call_id")
    if isinstance(id, str) and kind.endswith(CALL):
        call = {"name": str(item.get("name") or kind), "toolUseId": id, "input": _input(item)}
        return {"role": "assistant", "tool_calls": [call]}
    if isinstance(id, str) and kind.endswith(OUTPUT):
        output = item.get("output")
        content = output if isinstance(output, str) else _texts(output)
        return {"role": "tool", "tool_results": [{"toolUseId": id, "content": content}]}
    role = item.get("role")
    role = "system" if role == "developer" else role if role in ("user", "assistant", "system") else "assistant"
    return {"role": role, "content": _content(kind, item)}


def items_of(entry: Entry) -> list[dict[str, Any]]:
    """What a message says, in items: its original, or what its columns say where another program wrote it.

    A repair may have removed the call or the result of an original, or put a result beside a call.
    """
    item = entry.original
    if item is None:
        return [each for one in said([entry.message]) for each in openai_responses.items_of(one)]
    kind = str(item.get("type"))
    if not kind.endswith((CALL, OUTPUT)) or "call_id" not in item:
        return [item]
    if entry.is_silent:
        return []
    if not kind.endswith(CALL):
        return [item]
    output = f"{kind}_output" if kind in ("function_call", "custom_tool_call") else "function_call_output"
    return [item, *({"type": output, "call_id": one["toolUseId"], "output": one["content"]} for one in entry.beside)]


def without_last(entry: Entry) -> tuple[Any, dict[str, Any] | None]:
    """The last item of a message, and the columns that stay: None where nothing does."""
    items = items_of(entry)
    if len(items) < 2:
        return (items[0] if items else None), None
    message = entry.message
    calls, results = list(message.tool_calls or []), list(message.tool_results or [])
    (results or calls).pop()
    left = {"tool_calls": calls, "tool_results": results}
    return items[-1], {name: codec.dumps(value) if value else None for name, value in left.items()}


def belongs_to_the_next(item: Any) -> bool:
    """Whether the API refuses the item that follows without this one."""
    return isinstance(item, dict) and item.get("type") == "reasoning"


def _input(item: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call; what a model wrote that is not the JSON of an object is shown as it is."""
    if "arguments" not in item:
        return {key: value for key, value in item.items() if key not in ("type", "call_id", "id", "status", "name")}
    try:
        return arguments("arguments", item["arguments"])
    except InvalidRecordError:
        return {"arguments": item["arguments"]}


def _content(kind: str, item: Mapping[str, Any]) -> str:
    """The texts of a message, and of what is not text, and of items without content, only what it is."""
    content = item.get("content") if kind == "message" else None
    if content is None:
        return "" if kind == "message" else f"[{kind}]"
    return content if isinstance(content, str) else _texts(content)


def _texts(parts: Any) -> str:
    """What can be read of a list of parts."""
    texts = []
    for part in parts if isinstance(parts, list) else [parts]:
        kind = part.get("type") if isinstance(part, Mapping) else None
        text = part.get(openai_responses.TEXTS[kind]) if kind in openai_responses.TEXTS else None
        texts.append(text if isinstance(text, str) else f"[{kind or type(part).__name__}]")
    return "\n".join(texts)
