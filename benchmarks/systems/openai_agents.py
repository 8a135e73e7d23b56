"""OpenAI Agents' ``SQLAlchemySession``: a session is a transcript of items; it knows no checkpoints and no forks."""

# What is imported here is installed apart, where mypy does not see it.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
from typing import Any

from agents.extensions.memory import SQLAlchemySession
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.driver import Parameters, serve, session_of


class OpenAiAgents:
    def __init__(self, url: str) -> None:
        self.engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"), pool_size=32)
        self.opened: dict[str, SQLAlchemySession] = {}

    def session(self, name: str) -> SQLAlchemySession:
        if name not in self.opened:
            self.opened[name] = SQLAlchemySession(name, engine=self.engine, create_tables=True)
        return self.opened[name]

    async def add(self, parameters: Parameters, client: int, turn: int) -> None:
        item: Any = parameters["message"]
        await self.session(session_of(parameters, client)).add_items([item])

    async def prepare_transcript(self, parameters: Parameters) -> None:
        session = self.session(parameters["session"])
        if not await session.get_items(1):
            await session.add_items([json.loads(json.dumps(parameters["message"]))] * parameters["count"])

    async def transcript(self, parameters: Parameters, client: int, turn: int) -> Any:
        return await self.session(parameters["session"]).get_items(parameters["limit"])


if __name__ == "__main__":
    serve(OpenAiAgents)
