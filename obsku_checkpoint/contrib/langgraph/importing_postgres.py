"""LangGraph's `PostgresSaver`, to import from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.postgres import PostgresSaver
from psycopg.rows import dict_row, tuple_row

from obsku_checkpoint.contrib.langgraph.importing import Key
from obsku_checkpoint.contrib.langgraph.serializer import strict
from obsku_checkpoint.foreign_databases import postgres_database

KEYS = (
    "SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints ORDER BY thread_id, checkpoint_id, checkpoint_ns"
)
PATHS = """
SELECT DISTINCT task_id, task_path FROM checkpoint_writes
WHERE thread_id = %s AND checkpoint_ns = %s AND checkpoint_id = %s
"""


class PostgresSource:
    def __init__(self, connection: psycopg.Connection[dict[str, object]]) -> None:
        self._connection = connection
        self._saver = PostgresSaver(connection, serde=strict(None))

    def checkpoints(self) -> Iterator[Key]:
        with self._connection.cursor("obsku_import", row_factory=tuple_row, withhold=True) as cursor:
            cursor.execute(KEYS)
            yield from map(Key._make, cursor)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self._saver.get_tuple(config)

    def task_paths(self, key: Key) -> Mapping[str, str]:
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            return dict(cursor.execute(PATHS, key).fetchall())


@contextmanager
def opened(source: str, schema: str | None) -> Iterator[PostgresSource]:
    with postgres_database(source, schema, "threads", autocommit=True, row_factory=dict_row) as connection:
        yield PostgresSource(connection)
