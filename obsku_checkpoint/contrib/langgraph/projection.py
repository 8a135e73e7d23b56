"""What people and other programs see of a graph's checkpoint: a row of ``checkpoints``, and rows of ``messages``.

Pure functions of what LangGraph saves. The transcript is what was said: a message that is edited or removed later stays
in it as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)
from langgraph.checkpoint.base import Checkpoint

from obsku_checkpoint import codec, message_validation, run_state, validation
from obsku_checkpoint.errors import SerializationError
from obsku_checkpoint.printable import plain
from obsku_checkpoint.records import NodeResult
from obsku_checkpoint.run_state import GraphReference, RunGraph

BY = "langgraph"
TITLE_CHARACTERS = 80

#: channels of LangGraph's own
START, TASKS, BRANCH = "__start__", "__pregel_tasks", "branch:to:"
ROLES = {HumanMessage: "user", AIMessage: "assistant", SystemMessage: "system", ToolMessage: "tool"}

Times = Mapping[str, int]


def pending(checkpoint: Checkpoint) -> list[str]:
    """The nodes that run next, each once."""
    values = checkpoint["channel_values"]
    names = [START] if START in values else []
    names += [channel.removeprefix(BRANCH) for channel in values if channel.startswith(BRANCH)]
    sends = values.get(TASKS)
    names += [send.node for send in sends if hasattr(send, "node")] if isinstance(sends, list) else []
    return [name for name in dict.fromkeys(names) if not run_state.is_reserved(name)]


def finished(checkpoint: Checkpoint) -> list[str]:
    """The nodes that have run so far."""
    return [
        name for name in checkpoint["versions_seen"] if not name.startswith("__") and not run_state.is_reserved(name)
    ]


def last(checkpoint: Checkpoint, source: Any) -> list[str]:
    """The nodes that ran in the step before: what they saw is newer than what any other has seen."""
    if source != "loop":
        return []
    seen = {
        name: max(map(str, checkpoint["versions_seen"][name].values()), default="") for name in finished(checkpoint)
    }
    newest = max(seen.values(), default="")
    return [name for name, version in seen.items() if version and version == newest]


def times(checkpoint: Checkpoint, source: Any, known: Times) -> Times:
    """When nodes ended, in milliseconds since 1970, of those of which it is known."""
    return {**known, **dict.fromkeys(last(checkpoint, source), milliseconds(checkpoint))}


def iterations(
    checkpoint: Checkpoint, source: Any, back_edges: Sequence[tuple[str, str]], known: Mapping[str, int] | None
) -> dict[str, int]:
    """How often each back edge has been taken. With None of ``known``, as after a restart, at least so often."""
    ran, open, done = last(checkpoint, source), pending(checkpoint), finished(checkpoint)
    counts = dict(known or {})
    for beginning, end in back_edges:
        edge = f"{beginning}->{end}"
        if beginning in ran and end in open:
            counts[edge] = counts.get(edge, 0) + 1
        elif known is None and beginning in done and end in done:
            counts[edge] = 1
    return counts


def record(
    checkpoint: Checkpoint,
    metadata: Mapping[str, Any],
    run: str,
    times: Times,
    graph: RunGraph | GraphReference | None,
    iterations: Mapping[str, int],
) -> dict[str, Any]:
    """The columns of the row but for its ids."""
    open = pending(checkpoint)
    results: dict[str, NodeResult] = {name: _completed(times.get(name)) for name in finished(checkpoint)}
    results |= {name: {"status": "pending"} for name in open}
    step, source = metadata.get("step"), metadata.get("source")
    ran = last(checkpoint, source)
    return {
        "step": step if type(step) is int else 0,
        "node_id": ran[0] if len(ran) == 1 else None,
        "node_results": validation.node_results(
            run_state.write(results, run=run, complete_everywhere=False, iterations=iterations, graph=graph, by=BY)
        ),
        "pending_nodes": validation.pending_nodes(open),
        "record_source": source if source in ("input", "fork") else "loop",
    }


def _completed(time: int | None) -> NodeResult:
    return {"status": "completed"} if time is None else {"status": "completed", "completedAt": time}


def milliseconds(checkpoint: Checkpoint) -> int:
    """When LangGraph made the checkpoint."""
    return int(datetime.fromisoformat(checkpoint["ts"]).timestamp() * 1000)


# -- the transcript


def messages(value: Any, known: Collection[str]) -> list[list[Any]]:
    """The rows of the messages in a channel's value that are not ``known``: the message's id, and what
    `message_validation.message` gives.
    """
    if not isinstance(value, list):
        return []
    rows = []
    for position, message in enumerate(value):
        if isinstance(message, BaseMessage):
            id = message_id(position, message)
            if id not in known and (row := _row(message)):
                rows.append([id, *row])
    return rows


def said(writes: Sequence[Any]) -> list[Any]:
    """The messages that tasks have written to a delta channel: one each, or a list.

    LangGraph's reducers take what is like a message, too: a dict, a pair, a text.
    """
    flat = [one for write in writes for one in (write if isinstance(write, list) else [write])]
    try:
        return convert_to_messages(flat)
    except (ValueError, NotImplementedError):
        return flat


def message_id(position: int, message: BaseMessage) -> str:
    """LangGraph's reducer gives each message an id; of others the place and the text are taken."""
    if message.id and validation.can_exist("id", message.id):
        return message.id
    text = f"{position} {message.type} {message.content}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def title(value: Any) -> str | None:
    """What the first person says."""
    if not isinstance(value, list):
        return None
    texts = (_text(message) for message in value if isinstance(message, HumanMessage))
    return next((plain(text, TITLE_CHARACTERS) for text in texts if text), None)


def _row(message: BaseMessage) -> list[Any] | None:
    role = message.role if isinstance(message, ChatMessage) else _role(message)
    if role not in message_validation.ROLES:
        return None
    content: str | None = _text(message)
    calls = results = tokens_in = tokens_out = None
    if isinstance(message, AIMessage):
        calls = [
            {"name": call["name"], "toolUseId": call["id"] or "", "input": json_plus(call["args"])}
            for call in message.tool_calls
        ] or None
        if usage := message.usage_metadata:
            tokens_in, tokens_out = _tokens(usage.get("input_tokens")), _tokens(usage.get("output_tokens"))
    if isinstance(message, ToolMessage):
        results = [{"toolUseId": message.tool_call_id, "content": content, "status": message.status}]
        content = None
    return message_validation.message("", role, content, calls, results, tokens_in, tokens_out)


def _role(message: BaseMessage) -> str | None:
    return next((role for kind, role in ROLES.items() if isinstance(message, kind)), None)


def _text(message: BaseMessage) -> str:
    content = message.content
    return content if isinstance(content, str) else "\n".join(_texts(content))


def _texts(blocks: Sequence[Any]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, str):
            yield block
        elif isinstance(block, dict) and isinstance(block.get("text"), str):
            yield block["text"]
        elif isinstance(block, dict) and block.get("type") not in ("tool_use", "tool_call"):
            yield f"[{block.get('type')}]"


def _tokens(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= validation.INT32 else None


def json_plus(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Values that JSON-plus cannot hold are shown as text; the graph's state has them as they are."""
    return {str(name): _as_stored(value) for name, value in values.items()}


def _as_stored(value: Any) -> Any:
    try:
        codec.dumps(value)
    except SerializationError:
        return repr(value)
    return value
