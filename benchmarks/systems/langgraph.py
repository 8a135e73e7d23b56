"""LangGraph's savers: a checkpoint is ``put``, the latest is ``get_tuple``; the state is one channel, new each time."""

# What is imported here is installed apart, where mypy does not see it.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import os
from typing import Any

from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection, Connection
from psycopg.rows import dict_row

from benchmarks.driver import Parameters, serve, session_of

CHANNEL = "node_results"
CONNECTION: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}


class _Puts:
    """One connection, which a saver locks: its calls do not run at the same time."""

    concurrent = False

    def __init__(self) -> None:
        self.version = 0
        self.filled = False

    def put(self, thread: str, state: Any) -> tuple[Any, ...]:
        """The arguments of ``put``."""
        self.version += 1
        versions: dict[str, str | int | float] = {CHANNEL: f"{self.version:032}.0"}
        checkpoint = {**empty_checkpoint(), "channel_values": {CHANNEL: state}, "channel_versions": versions}
        return configuration(thread), checkpoint, {"source": "loop", "step": self.version}, versions


class Sync(_Puts):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.saver = PostgresSaver(Connection.connect(url, **CONNECTION))
        self.saver.setup()

    def save(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.saver.put(*self.put(session_of(parameters, client), parameters["state"]))

    def prepare_latest(self, parameters: Parameters) -> None:
        if not self.filled:
            for _ in range(parameters["checkpoints"]):
                self.saver.put(*self.put(parameters["session"], parameters["state"]))
        self.filled = True

    def latest(self, parameters: Parameters, client: int, turn: int) -> Any:
        namespace_known(parameters)
        return self.saver.get_tuple(configuration(parameters["session"]))


class Async(_Puts):
    saver: AsyncPostgresSaver | None = None

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    async def opened(self) -> AsyncPostgresSaver:
        if self.saver is None:
            self.saver = AsyncPostgresSaver(await AsyncConnection.connect(self.url, **CONNECTION))
            await self.saver.setup()
        return self.saver

    async def save(self, parameters: Parameters, client: int, turn: int) -> Any:
        saver = await self.opened()
        return await saver.aput(*self.put(session_of(parameters, client), parameters["state"]))

    async def prepare_latest(self, parameters: Parameters) -> None:
        saver = await self.opened()
        if not self.filled:
            for _ in range(parameters["checkpoints"]):
                await saver.aput(*self.put(parameters["session"], parameters["state"]))
        self.filled = True

    async def latest(self, parameters: Parameters, client: int, turn: int) -> Any:
        namespace_known(parameters)
        return await (await self.opened()).aget_tuple(configuration(parameters["session"]))


def configuration(thread: str) -> Any:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}


def namespace_known(parameters: Parameters) -> None:
    """It has no question across namespaces."""
    if parameters["namespace"] is None:
        raise NotImplementedError


if __name__ == "__main__":
    serve(Async if os.environ.get("BENCHMARK_FORM") == "async" else Sync)
