"""What dangles in a transcript is marked, and can be repaired; the frameworks' conversations are seen."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents import Agent, Runner
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models.test import TestModel

from obsku_checkpoint.contrib.openai_agents import DjangoSession
from obsku_checkpoint.contrib.pydantic_ai import DjangoHistory
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import VIEW, Reader, links, person, text
from tests.openai_agents.model import ScriptedModel, says

MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "tool_calls": [{"name": "explain", "toolUseId": "use-1", "input": {}}]},
    {"role": "tool", "tool_results": [{"toolUseId": "gone", "content": "3"}]},
]


def test_what_dangles_is_marked_and_repaired(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    store.add_messages(session_id, MESSAGES)
    page = root.see(links.session(session_id, "transcript"))
    assert "2 tool calls and results of this transcript have no counterpart." in text(page)
    assert "no result" in page
    assert "no call" in page
    assert "No message has a result of this call." in page
    repaired = root.post(links.session(session_id, "repair"), {"how": "error"}, follow=True)
    after = repaired.content.decode()
    assert "2 calls or results were repaired." in after
    assert "obsku-dangling" not in after
    assert store.find_dangling(session_id) == []
    assert len(store.get_messages(session_id)) == 2


def test_calls_can_be_dropped(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    store.add_messages(session_id, MESSAGES)
    root.post(links.session(session_id, "repair"), {"how": "drop"})
    assert [message.content for message in store.get_messages(session_id)] == ["Why?"]


def test_a_transcript_in_order_says_nothing(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    store.add_messages(session_id, MESSAGES[:1])
    assert "obsku-dangling" not in root.see(links.session(session_id, "transcript"))


def test_only_who_may_change_sessions_repairs(hooked: None, store: DjangoCheckpointStore, session_id: str) -> None:
    store.add_messages(session_id, MESSAGES)
    viewer, editor = person(*VIEW), person(*VIEW, "change_session")
    page = viewer.see(links.session(session_id, "transcript"))
    assert "obsku-dangling" in page
    assert "Remove the calls" not in page
    assert viewer.post(links.session(session_id, "repair"), {"how": "drop"}).status_code == 403
    assert "Remove the calls" in editor.see(links.session(session_id, "transcript"))
    assert editor.get(links.session(session_id, "repair")).status_code == 405
    assert len(store.find_dangling(session_id)) == 2


def test_a_column_that_cannot_be_decoded_is_said(
    root: Reader, store: DjangoCheckpointStore, session_id: str, corrupt: Any
) -> None:
    [_, call, _] = store.add_messages(session_id, MESSAGES)
    corrupt("messages", "tool_calls", call.id, "{")
    assert "One tool call or result of this transcript has no counterpart." in root.read(
        links.session(session_id, "transcript")
    )
    answer = root.post(links.session(session_id, "repair"), {"how": "error"}, follow=True)
    assert f"messages[{call.id}].tool_calls" in text(answer.content.decode())


def test_a_very_long_transcript_is_not_looked_through_and_says_so(
    root: Reader, store: DjangoCheckpointStore, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_messages(session_id, MESSAGES)
    assert "was not looked at" not in root.see(links.session(session_id, "transcript"))
    monkeypatch.setattr("obsku_checkpoint.admin.session.repair.MESSAGES", 1)
    page = root.see(links.session(session_id, "transcript"))
    assert "obsku-dangling" not in page
    assert "so many tool calls that it was not looked at" in page


def test_conversations_of_frameworks_are_seen(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    async def talk() -> None:
        model = ScriptedModel([says("It has no index.")])
        session = DjangoSession(session_id, using=store)
        await Runner.run(Agent(name="a", model=model), "Why is the page slow?", session=session)
        history = DjangoHistory(session_id, using=store)
        agent = PydanticAgent(TestModel(custom_output_text="I add one."))
        await history.append(await agent.run("And now?", conversation=await history.load()))

    asyncio.run(talk())
    page = root.read(links.session(session_id, "transcript"))
    for said in ("Why is the page slow?", "It has no index.", "And now?", "I add one.", "11 in, 7 out"):
        assert said in page
