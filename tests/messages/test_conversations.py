"""10,000 random conversations through every converter and back, and through the frameworks' own types."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import messages_from_dict, messages_to_dict
from pydantic_ai.messages import ModelMessagesTypeAdapter

from obsku_checkpoint import messages
from tests.messages.conversations import Conversations, spoken, tokens

NUMBER = 10_000
Converter = Callable[[Any], Any]


def through_json(items: Any) -> Any:
    return json.loads(json.dumps(items))


def through_langchain(items: Any) -> Any:
    return through_json(messages_to_dict(messages_from_dict(items)))


def through_pydantic_ai(items: Any) -> Any:
    return ModelMessagesTypeAdapter.dump_python(ModelMessagesTypeAdapter.validate_python(items), mode="json")


SHAPES: dict[str, tuple[Converter, Converter]] = {
    "openai_chat": (messages.to_openai_chat, messages.from_openai_chat),
    "openai_responses": (messages.to_openai_responses, messages.from_openai_responses),
    "anthropic": (messages.to_anthropic, messages.from_anthropic),
    "langchain": (messages.to_langchain, messages.from_langchain),
    "pydantic_ai": (messages.to_pydantic_ai, messages.from_pydantic_ai),
}
FRAMEWORKS: dict[str, Converter] = {"langchain": through_langchain, "pydantic_ai": through_pydantic_ai}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_conversation_comes_back(shape: str) -> None:
    to, back = SHAPES[shape]
    conversations = Conversations(17, system_first=shape == "anthropic")
    for _ in range(NUMBER):
        conversation = conversations.next()
        items = to(conversation)
        returned = back(through_json(items))
        assert spoken(returned) == spoken(conversation)
        assert to(returned) == items
        if shape in ("langchain", "pydantic_ai"):
            assert tokens(returned) == tokens(conversation)


@pytest.mark.parametrize("shape", FRAMEWORKS)
def test_a_conversation_comes_back_from_the_frameworks_own_types(shape: str) -> None:
    to, back = SHAPES[shape]
    conversations = Conversations(18, system_first=False)
    for _ in range(NUMBER):
        conversation = conversations.next()
        returned = back(FRAMEWORKS[shape](to(conversation)))
        assert spoken(returned) == spoken(conversation)
