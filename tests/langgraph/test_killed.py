"""A process is killed in the middle of a graph, and another one goes on, in programs that have no Django settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.langgraph import graphs
from tests.langgraph.steps import config_of, new_thread

REPOSITORY = Path(__file__).parents[2]
#: says which node has ended, and goes on when it is told to
PROGRAM = """
import sys

from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.contrib.langgraph import DjangoSaver
from tests.langgraph import graphs
from tests.langgraph.steps import config_of

url, thread = sys.argv[1:]
graph = graphs.tool_loop().compile(checkpointer=DjangoSaver(PostgresCheckpointStore(url)))
for update in graph.stream(graphs.question(1), config_of(thread), stream_mode="updates", durability="sync"):
    print(*update, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_another_process_goes_on(tables_url: str, steps: int) -> None:
    thread = new_thread("killed")
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, tables_url, thread],
        env=environment,
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for step in range(steps):
            assert process.stdout.readline().strip() == ("agent", "tools", "agent")[step]
            if step + 1 < steps:
                process.stdin.write("\n")
                process.stdin.flush()
        process.kill()
    with PostgresCheckpointStore(tables_url) as store:
        graph = graphs.tool_loop().compile(checkpointer=DjangoSaver(store))
        config: Any = config_of(thread)
        graph.invoke(None, config)
        state = graph.get_state(config)
        assert [message.id for message in state.values["messages"]] == ["h1", "a1", "t2", "a3"]
        assert [task.name for task in state.tasks if task.interrupts] == ["approve"]
        assert [message.role for message in store.get_messages(thread)] == ["user", "assistant", "tool", "assistant"]
