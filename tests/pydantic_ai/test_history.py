"""Conversations of pydantic-ai: kept exactly, continued with their usage, and not lost by a crash."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic_ai import Agent, DeferredToolRequests, RunContext
from pydantic_ai.exceptions import ApprovalRequired, UsageLimitExceeded, UserError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import UsageLimits

from obsku_checkpoint.contrib.openai_agents import DjangoSession
from obsku_checkpoint.contrib.pydantic_ai import DjangoHistory
from obsku_checkpoint.contrib.transcripts.models import Original
from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.testing.base import unique


@pytest.fixture
def history(store: DjangoCheckpointStore) -> DjangoHistory:
    return DjangoHistory(unique(), using=store, workspace_id="shop")


def again(history: DjangoHistory) -> DjangoHistory:
    """As another process has it."""
    return DjangoHistory(history.session_id, using=history.store)


def rows(history: DjangoHistory) -> Any:
    return history.store.get_messages(history.session_id)


def calculator(model: Any = None) -> Agent[None, str]:
    agent = Agent(model or TestModel(), system_prompt="Be brief.", instructions="Add.")

    @agent.tool_plain
    def add(a: int, b: int) -> dict[str, int]:
        return {"sum": a + b}

    @agent.tool_plain
    def breaks() -> str:
        raise SystemExit("the process dies")

    return agent


def scripted(*turns: Any) -> FunctionModel:
    """Each turn is a list of parts, or an exception."""
    script = list(turns)

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        turn = script.pop(0)
        if isinstance(turn, BaseException):
            raise turn
        return ModelResponse(parts=turn)

    return FunctionModel(respond)


ADD = ToolCallPart("add", {"a": 1, "b": 2}, "c1")


def test_a_conversation_is_kept_and_continued(history: DjangoHistory) -> None:
    async def run() -> None:
        agent = calculator(scripted([ADD], [TextPart("3")], [TextPart("Yes.")]))
        first = await agent.run("1+2?", conversation=await history.load())
        await history.append(first)
        loaded = await again(history).load()
        assert loaded == first.conversation
        second = await agent.run("Sure?", conversation=loaded)
        await again(history).append(second)
        assert await history.load() == second.conversation
        assert second.usage.requests == 3
        assert second.conversation_id == history.session_id

    asyncio.run(run())
    assert [message.role for message in rows(history)] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
    ]


def test_people_can_read_what_was_said(history: DjangoHistory) -> None:
    async def run() -> Any:
        result = await calculator(scripted([TextPart("I add."), ADD], [TextPart("3")])).run("1+2?")
        await history.append(result)
        return result

    result = asyncio.run(run())
    question, call, gives, answer = rows(history)
    assert (question.content, call.content, answer.content) == ("1+2?", "I add.", "3")
    assert call.tool_calls == [{"name": "add", "toolUseId": "c1", "input": {"a": 1, "b": 2}}]
    assert gives.tool_results == [{"toolUseId": "c1", "content": '{"sum":3}', "data": {"sum": 3}}]
    summary = history.store.get_session_summary(history.session_id)
    assert summary is not None
    assert (summary.tokens_in, summary.tokens_out) == (result.usage.input_tokens, result.usage.output_tokens)
    assert summary.session.directory == "pydantic-ai"
    assert summary.session.workspace_id == "shop"


def test_limits_of_usage_hold_across_processes(history: DjangoHistory) -> None:
    async def run() -> None:
        for question in ("1?", "2?"):
            await history.append(await Agent(TestModel()).run(question, conversation=await again(history).load()))
        with pytest.raises(UsageLimitExceeded):
            await Agent(TestModel()).run(
                "3?", conversation=await again(history).load(), usage_limits=UsageLimits(request_limit=2)
            )

    asyncio.run(run())


def test_what_a_run_waits_for_is_kept(history: DjangoHistory) -> None:
    agent = Agent(
        scripted([ToolCallPart("drop", {}, "c1")], [TextPart("Dropped.")]), output_type=[str, DeferredToolRequests]
    )

    @agent.tool
    def drop(ctx: RunContext[object]) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        return "done"

    async def run() -> None:
        await history.append(await agent.run("Drop it.", conversation=await history.load()))
        loaded = await again(history).load()
        assert loaded.deferred_tool_requests is not None
        assert [call.tool_call_id for call in loaded.deferred_tool_requests.approvals] == ["c1"]
        results = loaded.deferred_tool_requests.build_results(approvals={"c1": True})
        done = await agent.run(conversation=loaded, deferred_tool_results=results)
        assert done.output == "Dropped."
        await history.append(done)
        assert (await again(history).load()).deferred_tool_requests is None

    asyncio.run(run())


def test_appending_twice_keeps_a_run_once(history: DjangoHistory) -> None:
    async def run() -> None:
        result = await calculator(scripted([ADD], [TextPart("3")])).run("1+2?")
        await history.append(result)
        await history.append(result)
        await again(history).append(result)
        assert (await history.load()).messages == result.all_messages()

    asyncio.run(run())


def test_the_capability_keeps_what_append_keeps(history: DjangoHistory) -> None:
    async def run() -> None:
        agent = calculator(scripted([ADD], [TextPart("3")], [TextPart("Yes.")]))
        first = await agent.run("1+2?", conversation=await history.load(), capabilities=[history.capability()])
        assert await again(history).load() == first.conversation
        await history.append(first)
        second = await agent.run("Sure?", conversation=await history.load(), capabilities=[again(history).capability()])
        assert await history.load() == second.conversation

    asyncio.run(run())


@pytest.mark.parametrize("repair", ["error", "drop"])
def test_a_crash_in_a_tool_keeps_the_turn(history: DjangoHistory, repair: Any) -> None:
    async def crash() -> None:
        agent = calculator(scripted([TextPart("I try."), ToolCallPart("breaks", {}, "c1")]))
        await agent.run("Try it.", conversation=await history.load(), capabilities=[history.capability()])

    with pytest.raises(SystemExit):
        asyncio.run(crash())
    question, call = rows(history)
    assert (question.content, call.content) == ("Try it.", "I try.")

    async def go_on() -> None:
        with pytest.raises(UserError):
            await calculator(TestModel()).run("And now?", conversation=await again(history).load())
        assert await history.store.arepair(history.session_id, how=repair) == 1
        loaded = await again(history).load()
        assert loaded.usage.requests == 1
        agent = calculator(scripted([TextPart("It went on.")]))
        result = await agent.run("And now?", conversation=loaded)
        await history.append(result)
        kinds = [part.part_kind for message in (await history.load()).messages for part in message.parts]
        returned = ["tool-call", "tool-return"] if repair == "error" else []
        assert kinds == ["system-prompt", "user-prompt", "text", *returned, "user-prompt", "text"]

    asyncio.run(go_on())


def test_a_model_that_fails_keeps_the_question(history: DjangoHistory) -> None:
    async def run() -> None:
        agent = calculator(scripted(ConnectionError("away")))
        await agent.run("1+2?", conversation=await history.load(), capabilities=[history.capability()])

    with pytest.raises(ConnectionError):
        asyncio.run(run())
    assert [message.content for message in rows(history)] == ["1+2?"]


def test_a_conversation_of_another_program_is_continued(history: DjangoHistory) -> None:
    store = history.store
    call = {"name": "add", "toolUseId": "c1", "input": {"a": 1}}
    store.create_session("/", id=history.session_id, metadata={"model": "m"})
    store.add_messages(
        history.session_id,
        [
            {"role": "user", "content": "1+2?"},
            {"role": "assistant", "content": "I add.", "tool_calls": [call]},
        ],
    )
    output: Any = {"type": "function_call_output", "call_id": "c1", "output": "3"}
    asyncio.run(DjangoSession(history.session_id, using=store).add_items([output]))

    async def run() -> list[ModelMessage]:
        agent = Agent(TestModel(custom_output_text="Yes."))
        await history.append(await agent.run("Sure?", conversation=await history.load()))
        return (await again(history).load()).messages

    kinds = [[part.part_kind for part in message.parts] for message in asyncio.run(run())]
    assert kinds == [["user-prompt"], ["text", "tool-call"], ["tool-return"], ["user-prompt"], ["text"]] or kinds == [
        ["user-prompt"], ["text", "tool-call"], ["tool-return", "user-prompt"], ["text"],
    ]  # fmt: skip
    session = store.get_session(history.session_id)
    assert session is not None
    assert session.metadata["model"] == "m"
    items = asyncio.run(DjangoSession(history.session_id, using=store).get_items())
    assert [item.get("content") for item in items][-2:] == ["Sure?", "Yes."]


def test_a_fork_takes_the_conversation_along(history: DjangoHistory) -> None:
    async def run() -> None:
        result = await calculator(scripted([ADD], [TextPart("3")])).run("1+2?", conversation=await history.load())
        await history.append(result)
        third = (await history.store.aget_messages(history.session_id))[2]
        fork = await history.store.afork_at(third.id)
        loaded = await DjangoHistory(fork.id, using=history.store).load()
        assert loaded.messages == result.all_messages()[:3]
        assert loaded.usage == result.usage

    asyncio.run(run())


def test_a_window_is_loaded(history: DjangoHistory) -> None:
    async def run() -> None:
        for question in ("1?", "2?", "3?"):
            await history.append(await Agent(TestModel()).run(question, conversation=await history.load()))
        loaded = await history.load(last_turns=2)
        requests = [message.parts[0] for message in loaded.messages if isinstance(message, ModelRequest)]
        assert [part.content for part in requests if isinstance(part, UserPromptPart)] == ["2?", "3?"]
        assert loaded.usage.requests == 3

    asyncio.run(run())


def test_odd_texts_are_kept(history: DjangoHistory) -> None:
    text = "a NUL \x00, a lone surrogate \ud800, é"

    async def run() -> None:
        result = await Agent(scripted([TextPart("ok")])).run([text, "more"])
        await history.append(result)
        [request, _] = (await history.load()).messages
        [part] = request.parts
        assert isinstance(part, UserPromptPart)
        assert part.content == [text, "more"]

    asyncio.run(run())
    assert rows(history)[0].content == "a NUL ␀, a lone surrogate �, é\nmore"


def test_an_original_that_cannot_be_read_is_named(history: DjangoHistory) -> None:
    async def run() -> None:
        await history.append(await Agent(TestModel()).run("1?"))

    asyncio.run(run())
    row = rows(history)[0].id
    Original._default_manager.using(history.store.using).filter(row_id=row).update(data='{"kind": "request"')
    with pytest.raises(CheckpointCorruptionError, match=rf"^originals\[{row}\]\.data at \$: "):
        asyncio.run(history.load())
    Original._default_manager.using(history.store.using).filter(row_id=row).update(data='{"kind": "request"}')
    with pytest.raises(CheckpointCorruptionError, match=rf"^sessions\[{history.session_id}\]"):
        asyncio.run(history.load())
