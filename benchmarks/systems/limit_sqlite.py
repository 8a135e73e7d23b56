"""The limit on SQLite: the standard library's ``sqlite3`` by hand; two statements are one short transaction."""

from __future__ import annotations

import functools
import re
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.driver import Parameters, serve, session_of
from benchmarks.systems.limit import Limit, now_ms
from benchmarks.systems.ours import SQLITE, SQLITE_OPTIONS

TOUCH = "UPDATE sessions SET updated_at = %s WHERE id = %s"
ADD = "INSERT INTO messages (session_id, role, content, created_at) VALUES (%s, %s, %s, %s)"
LATEST_ANY = """
WITH RECURSIVE names (namespace) AS (
  SELECT min(namespace) FROM checkpoints WHERE session_id = %(id)s
  UNION ALL
  SELECT (SELECT min(c.namespace) FROM checkpoints c WHERE c.session_id = %(id)s AND c.namespace > names.namespace)
  FROM names WHERE names.namespace IS NOT NULL
)
SELECT c.* FROM names JOIN checkpoints c ON c.session_id = %(id)s AND c.namespace = names.namespace AND c.version = (
  SELECT max(version) FROM checkpoints WHERE session_id = %(id)s AND namespace = names.namespace
) ORDER BY c.created_at DESC LIMIT 1"""
FORK = (
    """
INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at, metadata)
SELECT %(id)s, s.workspace_id, 'Fork', s.directory, %(now)s, %(now)s, s.metadata
FROM sessions s JOIN checkpoints c ON s.id = c.session_id WHERE c.id = %(checkpoint)s""",
    """
INSERT INTO checkpoints (id, session_id, namespace, parent_id, version, step, node_id, node_results, pending_nodes,
  cycle_state, source, created_at)
SELECT %(new)s, %(id)s, namespace, id, version, step, node_id, node_results, pending_nodes, cycle_state, 'fork', %(now)s
FROM checkpoints WHERE id = %(checkpoint)s""",
    """
INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
SELECT %(id)s, role, content, tool_calls, tool_results, tokens_in, tokens_out, m.created_at
FROM checkpoints c JOIN messages m ON m.session_id = c.session_id AND m.created_at <= c.created_at
WHERE c.id = %(checkpoint)s ORDER BY m.created_at, m.id""",
)


class SqliteLimit(Limit):
    latest_any = LATEST_ANY

    @property
    def connection(self) -> Any:
        try:
            return self.local.connection
        except AttributeError:
            connection = sqlite3.connect(self.url.removeprefix(SQLITE), isolation_level=None, timeout=30)
            connection.executescript(f"{SQLITE_OPTIONS} PRAGMA foreign_keys=ON;")
            self.local.connection = connection
        return connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        yield
        self.connection.execute("COMMIT")

    def run(self, sql: str, parameters: Any) -> Any:
        return self.connection.execute(translated(sql), parameters)

    def add(self, parameters: Parameters, client: int, turn: int) -> Any:
        now, message, session = now_ms(), parameters["message"], session_of(parameters, client)
        with self.transaction():
            self.run(TOUCH, (now, session))
            return self.run(ADD, (session, message["role"], message["content"], now)).lastrowid

    def add_many(self, parameters: Parameters, client: int, turn: int) -> Any:
        now, message, session = now_ms(), parameters["message"], session_of(parameters, client)
        rows = [(session, message["role"], message["content"], now)] * parameters["count"]
        with self.transaction():
            self.run(TOUCH, (now, session))
            self.connection.executemany(translated(ADD), rows)

    def fork(self, parameters: Parameters, client: int, turn: int) -> str:
        id, new = str(uuid.uuid4()), str(uuid.uuid4())
        values = {"checkpoint": parameters["checkpoint"], "id": id, "new": new, "now": now_ms()}
        with self.transaction():
            for sql in FORK:
                self.run(sql, values)
        return id


@functools.cache
def translated(sql: str) -> str:
    """PostgreSQL's statement with the placeholders of sqlite3, and without casts."""
    return re.sub(r"::\w+", "", re.sub(r"%\((\w+)\)s", r":\1", sql)).replace("%s", "?")


if __name__ == "__main__":
    serve(SqliteLimit)
