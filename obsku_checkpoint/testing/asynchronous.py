"""Async twins: one for every method, and many of them at once. (The tests of the other subjects run through them.)"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from obsku_checkpoint.errors import InvalidRecordError, SessionNotFoundError
from obsku_checkpoint.protocols import ITERATION_PAGE, CheckpointStore
from obsku_checkpoint.testing.base import RESULTS, ConformanceBase, unique, wrong

_MEMBERS = {name for name in dir(CheckpointStore) if callable(getattr(CheckpointStore, name)) and name[0] != "_"}
TWINS = sorted(name for name in _MEMBERS if name.removeprefix("a") in _MEMBERS - {name})
METHODS = sorted(_MEMBERS - set(TWINS))


class AsyncConformance(ConformanceBase):
    def test_the_store_is_a_checkpoint_store(self, store: CheckpointStore) -> None:
        assert isinstance(store, CheckpointStore)

    @pytest.mark.parametrize("name", METHODS)
    def test_every_method_has_an_async_twin(self, store: CheckpointStore, name: str) -> None:
        twin = getattr(store, f"a{name}")
        assert inspect.iscoroutinefunction(twin) or inspect.isasyncgenfunction(twin)

    @pytest.mark.parametrize("name", METHODS)
    def test_a_method_and_its_twin_take_the_arguments_of_the_contract(self, store: CheckpointStore, name: str) -> None:
        promised = _parameters(getattr(CheckpointStore, name))[1:]
        assert _parameters(getattr(store, name))[: len(promised)] == promised
        twins = _parameters(getattr(store, f"a{name}"))
        if {kind for _, kind, _ in twins} != {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
            assert twins[: len(promised)] == promised  # otherwise it hands everything on

    def test_a_twin_raises_what_its_method_raises(self, store: CheckpointStore) -> None:
        async def run() -> None:
            with pytest.raises(SessionNotFoundError):
                await store.aadd_message(unique(), "user", "hello")
            with pytest.raises(InvalidRecordError):
                await store.acreate_session(wrong(5))
            with pytest.raises(TypeError):
                await store.aget_session(wrong_argument=1)  # type: ignore[call-arg]

        asyncio.run(run())

    def test_a_store_serves_one_event_loop_after_the_other(self, store: CheckpointStore) -> None:
        async def run() -> str:
            return (await store.acreate_session("/repo")).id

        assert len({asyncio.run(run()) for _ in range(3)}) == 3

    def test_tasks_at_once_get_versions_without_gap_and_duplicate(self, store: CheckpointStore) -> None:
        async def run() -> tuple[list[int], list[int]]:
            session = await store.acreate_session("/repo")
            saves = [store.asave_checkpoint(session.id, step=1, node_results=RESULTS) for _ in range(40)]
            saved = await asyncio.gather(*saves)
            stored = await store.alist_checkpoints(session.id)
            return sorted(checkpoint.version for checkpoint in saved), [checkpoint.version for checkpoint in stored]

        saved, stored = asyncio.run(run())
        assert saved == list(range(1, 41))
        assert stored == saved[::-1]

    def test_tasks_at_once_lose_no_message(self, store: CheckpointStore) -> None:
        async def run() -> None:
            session = await store.acreate_session("/repo")
            added = await asyncio.gather(*(store.aadd_message(session.id, "user", str(n)) for n in range(40)))
            read = await asyncio.gather(*(store.aget_messages(session.id) for _ in range(5)))
            for transcript in read:
                assert sorted(message.id for message in transcript) == sorted(message.id for message in added)

        asyncio.run(run())

    def test_tasks_at_once_make_one_session(self, store: CheckpointStore) -> None:
        async def run() -> None:
            id = unique()
            got = await asyncio.gather(*(store.aget_or_create_session(id, f"/repo/{n}") for n in range(20)))
            assert got == [await store.aget_session(id)] * 20

        asyncio.run(run())

    def test_many_agents_work_side_by_side(self, store: CheckpointStore, workspace: str) -> None:
        async def agent(number: int) -> None:
            session = await store.acreate_session("/repo", title=str(number), workspace_id=workspace)
            for step in range(3):
                await store.aadd_message(session.id, "user", f"{number} {step}")
                checkpoint = await store.asave_checkpoint(session.id, step=step, node_results=RESULTS)
            fork = await store.afork(checkpoint.id)
            contents = [message.content async for message in store.aiter_messages(fork.id)]
            assert contents == [f"{number} {step}" for step in range(3)]
            await store.adelete_session(session.id)

        async def run() -> None:
            await asyncio.gather(*(agent(number) for number in range(8)))
            left = await store.alist_sessions(workspace)
            assert sorted(str(session.title) for session in left) == [f"Fork of {number}" for number in range(8)]

        asyncio.run(run())

    def test_async_iteration_leaves_the_store_free_for_writes(self, store: CheckpointStore) -> None:
        async def run() -> None:
            session = await store.acreate_session("/repo")
            await store.aadd_messages(session.id, [{"role": "user"}] * (ITERATION_PAGE + 1))
            seen = 0
            async for _ in store.aiter_messages(session.id):
                if seen == 1:
                    await store.aadd_message(session.id, "user", "meanwhile")
                seen += 1
            assert seen == ITERATION_PAGE + 2

        asyncio.run(run())

    def test_async_iteration_can_be_left_early(self, store: CheckpointStore) -> None:
        async def run() -> None:
            session = await store.acreate_session("/repo")
            added = await store.aadd_messages(session.id, [{"role": "user"}] * 3)
            messages = store.aiter_messages(session.id)
            assert await anext(messages) == added[0]
            assert await store.adelete_session(session.id)

        asyncio.run(run())


def _parameters(function: Callable[..., Any]) -> list[tuple[str, inspect._ParameterKind, object]]:
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]
