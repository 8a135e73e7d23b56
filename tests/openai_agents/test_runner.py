"""The SDK's runner over our session and over the SDK's own: the same script leaves the same items."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, Runner, function_tool
from agents.extensions.memory import SQLAlchemySession

from obsku_checkpoint.contrib.openai_agents import DjangoSession
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.testing.base import unique
from tests.openai_agents.model import TOKENS_IN, TOKENS_OUT, ScriptedModel, calls, says, thinks

ADD = '{"a":1,"b":2}'
Script = Callable[[Any], Awaitable[list[Any]]]


@function_tool
def add(a: int, b: int) -> str:
    return str(a + b)


@function_tool
def breaks() -> str:
    raise LookupError("the tool broke")


def agent(model: ScriptedModel, **more: Any) -> Agent[Any]:
    return Agent(name="calculator", model=model, tools=[add, breaks], **more)


async def tool_loop(session: Any) -> list[Any]:
    model = ScriptedModel([calls("add", "c1", ADD)], [says("3")], [says("You are welcome.")])
    first = await Runner.run(agent(model), "1+2?", session=session)
    second = await Runner.run(agent(model), "Thanks.", session=session)
    return [first.final_output, second.final_output, *model.inputs]


async def several_tools_at_once(session: Any) -> list[Any]:
    model = ScriptedModel([says("I look."), calls("add", "c1", ADD), calls("add", "c2", ADD)], [says("3 and 3")])
    return [(await Runner.run(agent(model), "1+2, twice?", session=session)).final_output, *model.inputs]


async def reasoning(session: Any) -> list[Any]:
    model = ScriptedModel([thinks("Hm."), calls("add", "c1", ADD)], [thinks("Ah."), says("3")], [says("Yes.")])
    await Runner.run(agent(model), "1+2?", session=session)
    return [(await Runner.run(agent(model), "Sure?", session=session)).final_output, *model.inputs]


async def a_tool_that_breaks(session: Any) -> list[Any]:
    model = ScriptedModel([calls("breaks", "c1")], [says("It broke.")])
    return [(await Runner.run(agent(model), "Try it.", session=session)).final_output, *model.inputs]


async def a_handoff(session: Any) -> list[Any]:
    model = ScriptedModel([calls("transfer_to_german", "h1")], [says("Drei.")], [says("Bitte.")])
    german = Agent(name="german", model=model)
    first = await Runner.run(agent(model, handoffs=[german]), "Auf Deutsch: 1+2?", session=session)
    second = await Runner.run(first.last_agent, "Danke.", session=session)
    return [first.last_agent.name, second.final_output, *model.inputs]


async def a_model_that_fails(session: Any) -> list[Any]:
    """At once, and between a tool and the answer; the next run goes on."""
    model = ScriptedModel(
        ConnectionError("away"), [calls("add", "c1", ADD)], ConnectionError("away"), [says("3")], [says("Yes.")]
    )
    outputs = []
    for question in ("1+2?", "1+2??", "1+2???"):
        try:
            outputs.append((await Runner.run(agent(model), question, session=session)).final_output)
        except ConnectionError as error:
            outputs.append(str(error))
    return [*outputs, *model.inputs]


async def streaming(session: Any) -> list[Any]:
    model = ScriptedModel([calls("add", "c1", ADD)], [says("3")], [says("Yes.")])
    outputs = []
    for question in ("1+2?", "Sure?"):
        result = Runner.run_streamed(agent(model), question, session=session)
        events = [event.type async for event in result.stream_events()]
        outputs.append((result.final_output, len(events)))
    return [*outputs, *model.inputs]


async def streaming_that_fails(session: Any) -> list[Any]:
    model = ScriptedModel([calls("add", "c1", ADD)], ConnectionError("away"), [says("3")])
    result = Runner.run_streamed(agent(model), "1+2?", session=session)
    with pytest.raises(ConnectionError):
        async for _ in result.stream_events():
            pass
    return [(await Runner.run(agent(model), "Well?", session=session)).final_output, *model.inputs]


async def limits(session: Any) -> list[Any]:
    model = ScriptedModel(*([says(str(number))] for number in range(6)))
    for number in range(5):
        await Runner.run(agent(model), f"Number {number}?", session=session)
    read = [await session.get_items(limit) for limit in (0, 1, 3, 99)]
    session.session_settings = type(session.session_settings)(limit=2)
    await Runner.run(agent(model), "And?", session=session)
    return [*read, await session.get_items(), model.inputs[-1]]


async def popping_and_clearing(session: Any) -> list[Any]:
    assert await session.pop_item() is None
    await session.add_items([{"role": "user", "content": str(number)} for number in range(4)])
    popped = [await session.pop_item(), await session.pop_item()]
    left = await session.get_items()
    await session.add_items([{"role": "user", "content": "again"}])
    popped.append(await session.pop_item())
    await session.clear_session()
    assert await session.get_items() == []
    assert await session.pop_item() is None
    await session.add_items([])
    await session.add_items([{"role": "user", "content": "anew"}])
    return [popped, left]


SCRIPTS: list[Script] = [
    tool_loop, several_tools_at_once, reasoning, a_tool_that_breaks, a_handoff, a_model_that_fails, streaming,
    streaming_that_fails, limits, popping_and_clearing,
]  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_the_same_script_leaves_the_same_items(store: DjangoCheckpointStore, script: Script, tmp_path: Path) -> None:
    async def run(session: Any) -> tuple[list[Any], list[Any]]:
        return await script(session), await session.get_items()

    async def theirs() -> tuple[list[Any], list[Any]]:
        url = f"sqlite+aiosqlite:///{tmp_path}/theirs.sqlite3"
        session = SQLAlchemySession.from_url("theirs", url=url, create_tables=True)
        try:
            return await run(session)
        finally:
            await session.engine.dispose()

    id = unique()
    assert asyncio.run(run(DjangoSession(id, using=store))) == asyncio.run(theirs())
    assert store.find_dangling(id) == []


def test_tokens_stand_on_the_messages_that_the_model_wrote(store: DjangoCheckpointStore) -> None:
    id = unique()
    asyncio.run(tool_loop(DjangoSession(id, using=store)))
    transcript = store.get_messages(id)
    assert [message.role for message in transcript] == ["user", "assistant", "tool", "assistant", "user", "assistant"]
    per_response = (TOKENS_IN, TOKENS_OUT)
    figures = [(message.tokens_in, message.tokens_out) for message in transcript]
    assert figures == [(None, None), per_response, (None, None), per_response, (None, None), per_response]
    summary = store.get_session_summary(id)
    assert summary is not None
    assert (summary.tokens_in, summary.tokens_out) == (3 * TOKENS_IN, 3 * TOKENS_OUT)


def test_people_can_read_what_was_said(store: DjangoCheckpointStore) -> None:
    id = unique()
    asyncio.run(tool_loop(DjangoSession(id, using=store, workspace_id="shop", directory="/srv/shop")))
    user, call, result, answer, *_ = store.get_messages(id)
    assert (user.content, answer.content) == ("1+2?", "3")
    assert call.tool_calls == [{"name": "add", "toolUseId": "c1", "input": {"a": 1, "b": 2}}]
    assert result.tool_results == [{"toolUseId": "c1", "content": "3"}]
    session = store.get_session(id)
    assert session is not None
    assert (session.workspace_id, session.directory) == ("shop", "/srv/shop")
