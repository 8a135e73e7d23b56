"""Two processes on one session, in programs that have no Django settings."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from obsku_checkpoint.contrib.openai_agents import DjangoSession
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.testing.base import unique

REPOSITORY = Path(__file__).parents[2]
PROGRAM = """
import asyncio, sys

from agents import Agent, Runner
from obsku_checkpoint.contrib.openai_agents import DjangoSession
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.openai_agents.model import ScriptedModel, says

url, session_id, number, turns = sys.argv[1:]


async def main():
    async with PostgresCheckpointStore(url) as store:
        await store.asetup()
        for turn in range(int(turns)):
            agent = Agent(name="a", model=ScriptedModel([says(f"answer {number} {turn}")]))
            await Runner.run(agent, f"question {number} {turn}", session=DjangoSession(session_id, using=store))


asyncio.run(main())
"""


def start(url: str, session_id: str, number: int, turns: int) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, session_id, str(number), str(turns)],
        env=environment,
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


@pytest.fixture
def url(postgres_database: Any) -> str:
    """Without any tables."""
    return str(postgres_database())


def items(url: str, session_id: str) -> list[Any]:
    async def read() -> list[Any]:
        async with PostgresCheckpointStore(url) as store:
            return await DjangoSession(session_id, using=store).get_items()

    return asyncio.run(read())


def test_a_second_process_continues(url: str) -> None:
    id = unique()
    for number in range(2):
        ended(start(url, id, number, 1))
    contents = [item["content"] if "type" not in item else item["content"][0]["text"] for item in items(url, id)]
    assert contents == ["question 0 0", "answer 0 0", "question 1 0", "answer 1 0"]


def test_two_processes_at_once_lose_nothing(url: str) -> None:
    id = unique()
    processes = [start(url, id, number, 10) for number in range(2)]
    for process in processes:
        ended(process)
    contents = [item["content"] if "type" not in item else item["content"][0]["text"] for item in items(url, id)]
    assert sorted(contents) == sorted(
        f"{what} {number} {turn}" for what in ("question", "answer") for number in range(2) for turn in range(10)
    )
