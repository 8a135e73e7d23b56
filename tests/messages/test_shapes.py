"""What others write is read, and what a shape cannot hold is named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from obsku_checkpoint import messages
from obsku_checkpoint.errors import CheckpointCorruptionError, InvalidRecordError
from obsku_checkpoint.records import CorruptValue, MessageRecord
from obsku_checkpoint.store import DjangoCheckpointStore

CALL = {"name": "add", "toolUseId": "c1", "input": {"a": 1}}
ASKS = {"role": "user", "content": "1+2?"}
CALLS = {"role": "assistant", "content": "", "tool_calls": [CALL]}
GIVES = {"role": "tool", "tool_results": [{"toolUseId": "c1", "content": "3"}]}
SAYS = {"role": "assistant", "content": "3"}

CHAT: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "1+"}, {"type": "text", "text": "2?"}]},
    {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "3"},
    {"role": "assistant", "content": "3"},
]
RESPONSES: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "input_text", "text": "1+2?"}]},
    {
        "type": "function_call",
        "id": "f",
        "status": "completed",
        "call_id": "c1",
        "name": "add",
        "arguments": '{"a": 1}',
    },
    {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "3"}]},
    {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "3", "annotations": []}],
    },
]
ANTHROPIC: dict[str, Any] = {
    "system": "Be brief.",
    "messages": [
        {"role": "user", "content": "1+2?"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "3"}]},
                {"type": "text", "text": "And?", "cache_control": {"type": "ephemeral"}},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "3"}]},
    ],
}
LANGCHAIN: list[dict[str, Any]] = [
    {"type": "human", "data": {"content": "1+2?"}},
    {"type": "ai", "data": {"content": [], "tool_calls": [{"name": "add", "args": {"a": 1}, "id": "c1"}]}},
    {"type": "tool", "data": {"content": "3", "tool_call_id": "c1", "artifact": None}},
    {"type": "ai", "data": {"content": [{"type": "text", "text": "3"}]}},
]
PYDANTIC: list[dict[str, Any]] = [
    {"kind": "request", "parts": [{"part_kind": "user-prompt", "content": ["1+", "2?"]}]},
    {
        "kind": "response",
        "parts": [{"part_kind": "tool-call", "tool_name": "add", "args": '{"a": 1}', "tool_call_id": "c1"}],
    },
    {
        "kind": "request",
        "parts": [{"part_kind": "tool-return", "tool_name": "add", "content": "3", "tool_call_id": "c1"}],
    },
    {"kind": "response", "parts": [{"part_kind": "text", "content": "3"}]},
]


def without_empty(converted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in message.items() if value not in ("", None)} for message in converted]


def test_what_others_write_is_read() -> None:
    same = without_empty([ASKS, CALLS, GIVES, SAYS])
    assert without_empty(messages.from_openai_chat(CHAT)) == same
    assert without_empty(messages.from_openai_responses(RESPONSES)) == same
    assert without_empty(messages.from_langchain(LANGCHAIN)) == same
    assert without_empty(messages.from_pydantic_ai(PYDANTIC)) == same
    system, asks, calls, gives, more, says = messages.from_anthropic(ANTHROPIC)
    assert system == {"role": "system", "content": "Be brief."}
    assert more == {"role": "user", "content": "And?"}
    assert without_empty([asks, calls, gives, says]) == same


def test_a_repaired_call_is_followed_by_its_result(store: DjangoCheckpointStore) -> None:
    session = store.create_session("/repo")
    store.add_messages(session.id, [ASKS, CALLS, {"role": "user", "content": "Well?"}])
    store.repair(session.id)
    transcript = store.get_messages(session.id)
    assert [item["role"] for item in messages.to_openai_chat(transcript)] == ["user", "assistant", "tool", "user"]
    kinds = [item.get("type", item.get("role")) for item in messages.to_openai_responses(transcript)]
    assert kinds == ["user", "function_call", "function_call_output", "user"]
    turns = messages.to_anthropic(transcript)["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert [block["type"] for block in turns[2]["content"]] == ["tool_result", "text"]
    assert turns[2]["content"][0]["is_error"] is True
    assert [item["type"] for item in messages.to_langchain(transcript)] == ["human", "ai", "tool", "human"]
    assert [item["kind"] for item in messages.to_pydantic_ai(transcript)] == ["request", "response", "request"]


TO = {name: getattr(messages, name) for name in messages.__all__ if name.startswith("to_")}


@pytest.mark.parametrize("to", TO.values(), ids=TO)
@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"role": "tool", "content": "3"}, "messages[1].content"),
        ({"role": "user", "tool_calls": [CALL]}, "messages[1].tool_calls"),
        ({"role": "robot"}, "messages[1].role"),
        ({"text": "hi"}, "messages[1].text"),
    ],
    ids=["tool's content", "user's call", "role", "key"],
)
def test_what_a_shape_cannot_hold_is_named(to: Any, message: Any, field: str) -> None:
    with pytest.raises(InvalidRecordError) as caught:
        to([ASKS, message])
    assert caught.value.field == field


def test_what_only_one_shape_cannot_hold_is_named() -> None:
    with pytest.raises(InvalidRecordError, match=r"^messages\[1\]\.role: has no place in Anthropic's messages"):
        messages.to_anthropic([ASKS, {"role": "system", "content": "Be brief."}])
    with pytest.raises(InvalidRecordError, match=r"^messages\[0\]\.tool_results\[0\]: has no place in pydantic-ai's"):
        messages.to_pydantic_ai([GIVES])


@pytest.mark.parametrize("to", TO.values(), ids=TO)
def test_a_corrupt_message_is_named(to: Any) -> None:
    record = MessageRecord(
        id=7,
        session_id="s",
        role="assistant",
        content=None,
        tool_calls=CorruptValue(text="{", reason="cut off"),  # type: ignore[arg-type]  # as on_corrupt="keep" has it
        tool_results=None,
        tokens_in=None,
        tokens_out=None,
        created_at=datetime.now(UTC),
    )
    with pytest.raises(CheckpointCorruptionError, match=r"^messages\[7\]\.tool_calls at \$: cut off"):
        to([record])


@pytest.mark.parametrize(
    ("convert", "items", "field"),
    [
        ("from_openai_chat", [{"role": "user", "content": [{"type": "image_url"}]}], "items[0].content[0]"),
        ("from_openai_chat", [{"role": "assistant", "refusal": "No."}], "items[0].refusal"),
        ("from_openai_chat", [{"role": "function"}], "items[0].role"),
        ("from_openai_chat", [{"role": "tool", "content": "3"}], "items[0].tool_call_id"),
        ("from_openai_chat", [{"role": "assistant", "tool_calls": [{"type": "custom"}]}], "items[0].tool_calls[0]"),
        (
            "from_openai_chat",
            [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{"}}]}],
            "items[0].tool_calls[0].function.arguments",
        ),
        ("from_openai_chat", ["hello"], "items[0]"),
        ("from_openai_chat", "hello", "items"),
        ("from_openai_responses", [{"type": "reasoning"}], "items[0]"),
        ("from_openai_responses", [{"role": "robot"}], "items[0].role"),
        ("from_openai_responses", [{"type": "function_call", "arguments": "[1]"}], "items[0].arguments"),
        ("from_anthropic", {"messages": [{"role": "system", "content": "x"}]}, "messages[0].role"),
        (
            "from_anthropic",
            {"messages": [{"role": "assistant", "content": [{"type": "thinking"}]}]},
            "messages[0].content[0]",
        ),
        (
            "from_anthropic",
            {"messages": [{"role": "user", "content": [{"type": "tool_use"}]}]},
            "messages[0].content[0]",
        ),
        ("from_anthropic", {"system": [{"type": "image"}]}, "system[0]"),
        ("from_anthropic", {}, "messages"),
        ("from_langchain", [{"type": "human", "content": "x"}], "items[0].data"),
        ("from_langchain", [{"type": "remove", "data": {"content": ""}}], "items[0].type"),
        (
            "from_langchain",
            [{"type": "ai", "data": {"content": "", "invalid_tool_calls": [1]}}],
            "items[0].data.invalid_tool_calls",
        ),
        ("from_pydantic_ai", [{"kind": "request", "parts": [{"part_kind": "x"}]}], "items[0].parts[0]"),
        ("from_pydantic_ai", [{"kind": "response", "parts": [{"part_kind": "thinking"}]}], "items[0].parts[0]"),
        (
            "from_pydantic_ai",
            [{"kind": "request", "parts": [{"part_kind": "user-prompt", "content": [{}]}]}],
            "items[0].parts[0].content[0]",
        ),
        ("from_pydantic_ai", [{"kind": "reply"}], "items[0].kind"),
    ],
)
def test_what_a_message_cannot_hold_is_named(convert: str, items: Any, field: str) -> None:
    with pytest.raises(InvalidRecordError) as caught:
        getattr(messages, convert)(items)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("given", "converter"),
    [
        ({"tool_calls": [{"id": "c1", "function": {"name": "add", "arguments": "{}"}}]}, "from_openai_chat"),
        ({"tool_calls": [{"name": "add", "args": {}, "id": "c1"}]}, "from_langchain"),
        ({"tool_calls": [{"part_kind": "tool-call"}]}, "from_pydantic_ai"),
        ({"tool_results": [{"tool_use_id": "c1", "content": "3"}]}, "from_anthropic"),
        ({"tool_results": [{"tool_call_id": "c1", "content": "3"}]}, "from_openai_chat"),
        ({"tool_results": [{"call_id": "c1", "output": "3"}]}, "from_openai_responses"),
    ],
)
def test_the_shape_of_others_is_answered_with_its_converter(
    store: DjangoCheckpointStore, given: Any, converter: str
) -> None:
    session = store.create_session("/repo")
    with pytest.raises(InvalidRecordError, match=rf"obsku_checkpoint\.messages\.{converter} converts"):
        store.add_message(session.id, "assistant", **given)
    with pytest.raises(InvalidRecordError, match=rf"obsku_checkpoint\.messages\.{converter} converts"):
        store.add_messages(session.id, [{"role": "assistant", **given}])


def test_a_message_of_others_is_answered_with_its_converter(store: DjangoCheckpointStore) -> None:
    session = store.create_session("/repo")
    with pytest.raises(InvalidRecordError, match="from_openai_chat converts messages that have 'tool_call_id'"):
        store.add_messages(session.id, [CHAT[2]])
    assert store.add_messages(session.id, messages.from_openai_chat(CHAT))
