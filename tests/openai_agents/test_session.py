"""What a session keeps, from whom, and what it never drops or cuts."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from agents.memory import Session
from agents.memory.session_settings import SessionSettings

from obsku_checkpoint.contrib import openai_agents
from obsku_checkpoint.contrib.openai_agents import DjangoSession
from obsku_checkpoint.contrib.transcripts.models import Original
from obsku_checkpoint.errors import (
    CheckpointCorruptionError,
    ConfigurationError,
    InvalidRecordError,
    SerializationError,
)
from obsku_checkpoint.maintenance import export_lines, import_lines
from obsku_checkpoint.models import Message
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.testing.base import unique

CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 1,  "b":2}', "id": "fc"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "3"}
REASONING = {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAA"}
ODD: list[Any] = [
    {"content": "key order", "role": "user"},
    {
        "role": "user",
        "content": [
            {"type": "input_image", "image_url": "data:,x", "detail": "auto"},
            {"type": "input_text", "text": "?"},
        ],
    },
    REASONING,
    {**CALL, "arguments": "{not JSON"},
    {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search", "query": "q"}},
    {
        "type": "computer_call",
        "call_id": "c2",
        "id": "x",
        "action": {"type": "wait"},
        "pending_safety_checks": [],
        "status": "completed",
    },
    {"type": "computer_call_output", "call_id": "c2", "output": {"type": "computer_screenshot", "file_id": "f"}},
    {"type": "custom_tool_call", "call_id": "c3", "name": "grep", "input": "x | y"},
    {"type": "item_reference", "id": "msg_1"},
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": "a NUL \x00 and a lone surrogate \ud800, é, 🂡"},
    {"role": "user", "content": "", "unknown": [None, 0.1, 2**70, {"nested": {}}]},
]


@pytest.fixture
def session(store: DjangoCheckpointStore) -> DjangoSession:
    return DjangoSession(unique(), using=store)


def rows(session: DjangoSession) -> Any:
    return session.store.get_messages(session.session_id)


def test_it_is_what_the_sdk_calls_a_session(session: DjangoSession) -> None:
    assert isinstance(session, Session)
    assert session.session_settings == SessionSettings()


def test_items_of_any_type_come_back_exactly(session: DjangoSession) -> None:
    async def run() -> None:
        await session.add_items(ODD)
        read: list[Any] = await session.get_items()
        assert [json.dumps(item) for item in read] == [json.dumps(item) for item in ODD]
        for item in reversed(ODD):
            assert await session.pop_item() == item

    asyncio.run(run())
    assert rows(session) == []


def test_a_person_sees_what_an_item_is(session: DjangoSession) -> None:
    asyncio.run(session.add_items(ODD))
    shown = rows(session)
    assert [message.role for message in shown[:4]] == ["user", "user", "assistant", "assistant"]
    assert shown[1].content == "[input_image]\n?"
    assert (shown[2].content, shown[4].content) == ("[reasoning]", "[web_search_call]")
    assert shown[3].tool_calls[0]["input"] == {"arguments": "{not JSON"}
    assert shown[7].tool_calls == [{"name": "grep", "toolUseId": "c3", "input": {"input": "x | y"}}]
    assert shown[9].role == "system"


def test_a_batch_is_added_whole_or_not_at_all(session: DjangoSession) -> None:
    bad: Any = [{"role": "user", "content": "good"}, {"role": "user", "content": {1, 2}}]
    with pytest.raises(SerializationError, match=r"^items\[1\]: "):
        asyncio.run(session.add_items(bad))
    assert rows(session) == []
    assert session.store.get_session(session.session_id) is None


def test_what_our_own_store_wrote_is_continued(session: DjangoSession) -> None:
    store = session.store
    store.create_session("/srv/shop", title="Ours", id=session.session_id)
    store.add_messages(
        session.session_id,
        [
            {"role": "user", "content": "1+2?"},
            {
                "role": "assistant",
                "content": "I add.",
                "tool_calls": [{"name": "add", "toolUseId": "c1", "input": {"a": 1}}],
            },
            {"role": "tool", "content": "shown to people", "tool_results": [{"toolUseId": "c1", "content": "3"}]},
            {"role": "assistant"},
        ],
    )
    more: list[Any] = [{"role": "user", "content": "Thanks."}]

    async def run() -> list[Any]:
        await session.add_items(more)
        return await session.get_items()

    assert asyncio.run(run()) == [
        {"role": "user", "content": "1+2?"},
        {"role": "assistant", "content": "I add."},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "3"},
        *more,
    ]
    kept = store.get_session(session.session_id)
    assert kept is not None
    assert (kept.title, kept.directory) == ("Ours", "/srv/shop")

    async def pop_all() -> list[Any]:
        popped = []
        while (item := await session.pop_item()) is not None:
            popped.append(item)
        return popped

    assert [item.get("type", item.get("content")) for item in asyncio.run(pop_all())] == [
        "Thanks.", "function_call_output", "function_call", "I add.", "1+2?",
    ]  # fmt: skip
    assert rows(session) == []


def test_a_limit_counts_items(session: DjangoSession) -> None:
    session.store.create_session("/", id=session.session_id)
    calls: list[Any] = [{"name": "add", "toolUseId": id, "input": {}} for id in ("c1", "c2")]
    session.store.add_message(session.session_id, "assistant", "I add.", tool_calls=calls)

    async def run() -> None:
        assert [item.get("call_id") for item in await session.get_items(2)] == ["c1", "c2"]
        assert len(await session.get_items(3)) == 3
        assert await session.get_items(-1) == []

    asyncio.run(run())


def test_a_window_cuts_neither_calls_nor_reasoning(store: DjangoCheckpointStore) -> None:
    id = unique()
    turn: list[Any] = [
        {"role": "user", "content": "1+2?"},
        REASONING,
        CALL,
        OUTPUT,
        {"role": "assistant", "content": "3" * 40},
    ]
    asyncio.run(DjangoSession(id, using=store).add_items(turn * 3))

    def read(**window: int) -> list[Any]:
        return asyncio.run(DjangoSession(id, using=store, **window).get_items())  # type: ignore[arg-type]  # integers

    assert read(last_turns=1) == turn
    assert read(last_turns=2) == turn * 2
    assert read(max_tokens=10) == turn[1:]  # a call, its result and its reasoning weigh nothing
    assert read(max_tokens=9) == []
    assert read(last_turns=1, max_tokens=10) == turn[1:]
    assert asyncio.run(DjangoSession(id, using=store, last_turns=1).get_items(2)) == turn[3:]
    with pytest.raises(InvalidRecordError, match=r"^last_turns: "):
        DjangoSession(id, using=store, last_turns=-1)


@pytest.mark.parametrize("how", ["error", "drop"])
def test_a_repair_holds_for_the_sdk(session: DjangoSession, how: Any) -> None:
    custom = {"type": "custom_tool_call", "call_id": "c3", "name": "grep", "input": "x"}
    lost: list[Any] = [CALL, custom, {**OUTPUT, "call_id": "gone"}, {"role": "user", "content": "Well?"}]
    asyncio.run(session.add_items(lost))
    assert session.store.repair(session.session_id, how=how) == 3
    items: list[Any] = asyncio.run(session.get_items())
    if how == "drop":
        assert items == lost[3:]
    else:
        assert [item.get("type") for item in items] == [
            "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", None,
        ]  # fmt: skip
        assert items[1]["call_id"] == "c1"
        assert asyncio.run(_pop(session, 2))[1] == items[3]


async def _pop(session: DjangoSession, count: int) -> list[Any]:
    return [await session.pop_item() for _ in range(count)]


def test_a_fork_takes_the_items_along(session: DjangoSession) -> None:
    asyncio.run(session.add_items(ODD))
    store = session.store
    checkpoint = store.save_checkpoint(session.session_id, step=1, node_results={})
    asyncio.run(session.add_items([CALL, OUTPUT]))  # type: ignore[list-item]  # dicts
    at_message = store.fork_at(rows(session)[2].id)
    assert asyncio.run(DjangoSession(at_message.id, using=store).get_items()) == ODD[:3]
    at_checkpoint = store.fork(checkpoint.id)
    assert asyncio.run(DjangoSession(at_checkpoint.id, using=store).get_items()) == ODD
    again = store.fork_at(store.get_messages(at_checkpoint.id)[0].id)
    assert asyncio.run(DjangoSession(again.id, using=store).get_items()) == ODD[:1]


def test_the_items_move_with_their_session(session: DjangoSession) -> None:
    asyncio.run(session.add_items(ODD))
    alias, id = session.store.using, session.session_id
    lines = list(export_lines(alias, session_ids=[id]))
    session.store.delete_session(id)
    assert import_lines(lines, alias).rows["originals"] == len(ODD)
    assert asyncio.run(session.get_items()) == ODD
    assert list(export_lines(alias, session_ids=[id])) == lines


@pytest.mark.parametrize("text", ["{cut off", '{"role":"user"},{"role":"user"}', '"a text"', "null", " 5"])
def test_an_original_that_cannot_be_read_is_named(session: DjangoSession, text: str) -> None:
    asyncio.run(session.add_items(ODD[:2]))
    row = rows(session)[1].id
    Original._default_manager.using(session.store.using).filter(row_id=row).update(data=text)
    for attempt in (session.get_items, session.pop_item):
        with pytest.raises(CheckpointCorruptionError, match=rf"^originals\[{row}\]\.data at \$: "):
            asyncio.run(attempt())
    assert len(rows(session)) == 2


def test_items_stand_in_the_order_of_their_times(session: DjangoSession) -> None:
    asyncio.run(session.add_items(ODD))
    written = rows(session)
    for row in written:
        moved = written[0].created_at - (row.created_at - written[0].created_at)
        Message.objects.using(session.store.using).filter(pk=row.id).update(created_at=moved)
    assert asyncio.run(session.get_items()) == ODD[::-1]
    assert asyncio.run(session.get_items(3)) == ODD[::-1][-3:]


def test_the_items_go_with_their_messages(session: DjangoSession) -> None:
    asyncio.run(session.add_items(ODD))
    originals = Original._default_manager.using(session.store.using).filter(
        row_id__in=[row.id for row in rows(session)]
    )
    assert originals.count() == len(ODD)
    session.store.delete_session(session.session_id)
    assert originals.count() == 0


def test_batches_of_runs_at_once_do_not_interleave(session: DjangoSession) -> None:
    def batch(number: int) -> list[Any]:
        return [{"role": "user", "content": f"{number} {place}"} for place in range(3)]

    async def run() -> list[Any]:
        await asyncio.gather(
            *(DjangoSession(session.session_id, using=session.store).add_items(batch(n)) for n in range(20))
        )
        return await session.get_items()

    items = asyncio.run(run())
    assert len(items) == 60
    for start in range(0, 60, 3):
        assert items[start : start + 3] == batch(int(items[start]["content"].split()[0]))


def test_thirty_pops_at_once_are_thirty_items(session: DjangoSession) -> None:
    items: list[Any] = [{"role": "user", "content": str(number)} for number in range(30)]

    async def run() -> list[Any]:
        await session.add_items(items)
        return await asyncio.gather(
            *(DjangoSession(session.session_id, using=session.store).pop_item() for _ in range(33))
        )

    popped = asyncio.run(run())
    assert sorted(item["content"] for item in popped if item) == sorted(item["content"] for item in items)
    assert popped.count(None) == 3


def test_threads_with_loops_of_their_own_share_a_session(session: DjangoSession) -> None:
    def work(number: int) -> None:
        asyncio.run(session.add_items([{"role": "user", "content": str(number)}]))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(24)))
    assert sorted(int(message.content) for message in rows(session)) == list(range(24))


def test_a_session_takes_what_it_knows() -> None:
    with pytest.raises(InvalidRecordError, match=r"^session_id: "):
        DjangoSession("a\x00b")
    with pytest.raises(InvalidRecordError, match=r"^session_id: "):
        DjangoSession("x" * 2000)
    with pytest.raises(ConfigurationError, match="DATABASES has no alias 'nowhere'"):
        DjangoSession("s", using="nowhere")


def test_an_app_that_is_not_installed_is_named(settings: Any) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if not app.endswith("transcripts")]
    with pytest.raises(ConfigurationError, match=r"add 'obsku_checkpoint\.contrib\.transcripts' to INSTALLED_APPS"):
        DjangoSession("s")


def test_a_version_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "agents.run_context", types.ModuleType("agents.run_context"))
    monkeypatch.delitem(sys.modules, "obsku_checkpoint.contrib.openai_agents.session")
    with pytest.raises(ConfigurationError, match=r"pip install 'django-obsku-checkpoint\[openai-agents\]'"):
        openai_agents.DjangoSession  # noqa: B018 - it is imported when it is asked for


def test_random_histories_read_the_same_row_by_row(session: DjangoSession) -> None:
    """Adding, popping and reading, against a list."""
    rng, model = random.Random(5), list[Any]()

    async def run() -> None:
        for number in range(60):
            match rng.choice(["add", "add", "pop", "read"]):
                case "add":
                    batch = [{**rng.choice(ODD), "number": number, "place": place} for place in range(rng.randrange(4))]
                    await session.add_items(batch)  # type: ignore[arg-type]  # dicts
                    model.extend(batch)
                case "pop":
                    assert await session.pop_item() == (model.pop() if model else None)
                case _:
                    limit = rng.choice([None, rng.randrange(9)])
                    expected = model if limit is None else model[max(len(model) - limit, 0) :]
                    assert await session.get_items(limit) == expected

    asyncio.run(run())
