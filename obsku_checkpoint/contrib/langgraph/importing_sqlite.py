"""LangGraph's `SqliteSaver`, to import from."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.sqlite import SqliteSaver

from obsku_checkpoint.contrib.langgraph.importing import Key
from obsku_checkpoint.contrib.langgraph.serializer import strict
from obsku_checkpoint.foreign_databases import sqlite_file

KEYS = (
    "SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints ORDER BY thread_id, checkpoint_id, checkpoint_ns"
)

PATHS = """
SELECT DISTINCT task_id, task_path FROM writes WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?
"""


class SqliteSource:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._saver = SqliteSaver(connection, serde=strict(None))
        self._saver.is_setup = True  # or it would make tables

    def checkpoints(self) -> Iterator[Key]:
        yield from map(Key._make, self._connection.execute(KEYS))

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self._saver.get_tuple(config)

    def task_paths(self, key: Key) -> Mapping[str, str]:
        return dict(self._connection.execute(PATHS, key))


@contextmanager
def opened(source: str, schema: str | None) -> Iterator[SqliteSource]:
    with sqlite_file(source, "threads") as connection:
        yield SqliteSource(connection)
