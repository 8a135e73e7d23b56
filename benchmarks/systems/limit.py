"""The limit: psycopg by hand, the least that does the work. One statement a call, prepared, in autocommit.

Nothing is checked, no record is built, the reads give the driver's rows. JSON is encoded by orjson; it is decoded in
messages with tool calls only, by the standard library.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import Any

import orjson
import psycopg

from benchmarks.driver import Parameters, serve, session_of

CREATE = "INSERT INTO sessions (id, title, directory, created_at, updated_at) VALUES (%s, %s, %s, %s, %s)"
SAVE = """
INSERT INTO checkpoints (id, session_id, namespace, version, step, node_results, pending_nodes, source, created_at)
SELECT %s, %s::text, '', coalesce(max(version), 0) + 1, %s, %s, '[]', 'loop', %s
FROM checkpoints WHERE session_id = %s::text AND namespace = ''
ON CONFLICT DO NOTHING RETURNING version"""
ADD = """
WITH touched AS (UPDATE sessions SET updated_at = %s WHERE id = %s RETURNING id)
INSERT INTO messages (session_id, role, content, created_at) SELECT id, %s, %s, %s FROM touched RETURNING id"""
ADD_MANY = """
WITH touched AS (UPDATE sessions SET updated_at = %s WHERE id = %s RETURNING id)
INSERT INTO messages (session_id, role, content, created_at)
SELECT touched.id, m.* FROM touched, unnest(%s::text[], %s::text[], %s::bigint[]) AS m RETURNING id"""
UPDATE = "UPDATE sessions SET title = %s, updated_at = %s WHERE id = %s RETURNING *"
LATEST = "SELECT * FROM checkpoints WHERE session_id = %s AND namespace = %s ORDER BY version DESC LIMIT 1"
#: walks the namespaces along the unique index and takes the newest of their last checkpoints
LATEST_ANY = """
WITH RECURSIVE names (namespace) AS (
  (SELECT namespace FROM checkpoints WHERE session_id = %(id)s ORDER BY namespace LIMIT 1)
  UNION ALL
  SELECT (SELECT c.namespace FROM checkpoints c WHERE c.session_id = %(id)s AND c.namespace > names.namespace
          ORDER BY c.namespace LIMIT 1)
  FROM names WHERE names.namespace IS NOT NULL
)
SELECT last.* FROM names, LATERAL (
  SELECT * FROM checkpoints c WHERE c.session_id = %(id)s AND c.namespace = names.namespace
  ORDER BY c.version DESC LIMIT 1
) last ORDER BY last.created_at DESC LIMIT 1"""
BY_ID = "SELECT * FROM checkpoints WHERE id = %s"
TRANSCRIPT = "SELECT * FROM messages WHERE session_id = %s ORDER BY created_at, id"
LAST = "SELECT * FROM messages WHERE session_id = %s ORDER BY created_at DESC, id DESC LIMIT %s"
SESSIONS = "SELECT * FROM sessions WHERE workspace_id = %s ORDER BY updated_at DESC LIMIT %s"
FORK = """
WITH origin AS (SELECT * FROM checkpoints WHERE id = %(checkpoint)s),
session AS (
  INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at, metadata)
  SELECT %(id)s, s.workspace_id, 'Fork', s.directory, %(now)s, %(now)s, s.metadata
  FROM sessions s JOIN origin ON s.id = origin.session_id),
copy AS (
  INSERT INTO checkpoints (id, session_id, namespace, parent_id, version, step, node_id, node_results, pending_nodes,
    cycle_state, source, created_at)
  SELECT %(new)s, %(id)s, namespace, id, version, step, node_id, node_results, pending_nodes, cycle_state, 'fork',
    %(now)s FROM origin)
INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at)
SELECT %(id)s, role, content, tool_calls, tool_results, tokens_in, tokens_out, m.created_at
FROM messages m JOIN origin ON m.session_id = origin.session_id AND m.created_at <= origin.created_at
ORDER BY m.created_at, m.id"""


class Limit:
    latest_any = LATEST_ANY

    def __init__(self, url: str) -> None:
        self.url = url
        self.local = threading.local()

    @property
    def connection(self) -> psycopg.Connection[Any]:
        try:
            connection: psycopg.Connection[Any] = self.local.connection
        except AttributeError:
            connection = psycopg.connect(self.url, autocommit=True, prepare_threshold=0)
            self.local.connection = connection
        return connection

    def run(self, sql: str, parameters: Any) -> Any:
        """A cursor over the statement's rows."""
        return self.connection.execute(sql.encode(), parameters)

    def create(self, parameters: Parameters, client: int, turn: int) -> str:
        now, id = now_ms(), str(uuid.uuid4())
        self.run(CREATE, (id, "A session", "/srv/agent", now, now))
        return id

    def save(self, parameters: Parameters, client: int, turn: int) -> Any:
        session, text = session_of(parameters, client), orjson.dumps(parameters["state"]).decode()
        while not (row := self._save(session, turn, text)):
            pass
        return row

    def _save(self, session: str, turn: int, text: str) -> Any:
        return self.run(SAVE, (str(uuid.uuid4()), session, turn, text, now_ms(), session)).fetchone()

    def add(self, parameters: Parameters, client: int, turn: int) -> Any:
        now, message = now_ms(), parameters["message"]
        row = (now, session_of(parameters, client), message["role"], message["content"], now)
        return self.run(ADD, row).fetchone()

    save_with_id = save

    def update(self, parameters: Parameters, client: int, turn: int) -> Any:
        row = (f"Title {turn}", now_ms(), session_of(parameters, client))
        return self.run(UPDATE, row).fetchone()

    def add_many(self, parameters: Parameters, client: int, turn: int) -> Any:
        now, message, count = now_ms(), parameters["message"], parameters["count"]
        row = (
            now,
            session_of(parameters, client),
            [message["role"]] * count,
            [message["content"]] * count,
            [now] * count,
        )
        return self.run(ADD_MANY, row).fetchall()

    def latest(self, parameters: Parameters, client: int, turn: int) -> Any:
        session, namespace = parameters["session"], parameters["namespace"]
        if namespace is None:
            return self.run(self.latest_any, {"id": session}).fetchone()
        return self.run(LATEST, (session, namespace)).fetchone()

    def by_id(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.run(BY_ID, (parameters["checkpoint"],)).fetchone()

    def transcript(self, parameters: Parameters, client: int, turn: int) -> Any:
        session, limit = parameters["session"], parameters["limit"]
        if limit is None:
            rows = self.run(TRANSCRIPT, (session,)).fetchall()
        else:
            rows = self.run(LAST, (session, limit)).fetchall()[::-1]
        return [(row, json.loads(row[4]), json.loads(row[5])) if row[4] else row for row in rows]

    def sessions(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.run(SESSIONS, (parameters["workspace"], parameters["limit"])).fetchall()

    def fork(self, parameters: Parameters, client: int, turn: int) -> str:
        id, new = str(uuid.uuid4()), str(uuid.uuid4())
        values = {"checkpoint": parameters["checkpoint"], "id": id, "new": new, "now": now_ms()}
        self.run(FORK, values)
        return id


def now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    serve(Limit)
