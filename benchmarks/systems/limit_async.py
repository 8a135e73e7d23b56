"""The limit of async: our own statements by hand over psycopg's `AsyncConnectionPool`.

Nothing is checked, no record is built; ids and the JSON are made, the rows are the driver's.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from psycopg_pool import AsyncConnectionPool

from benchmarks.driver import Parameters, serve, session_of

settings.configure(INSTALLED_APPS=["obsku_checkpoint"], LOGGING_CONFIG=None)
import django  # noqa: E402 - after the settings

django.setup()
from obsku_checkpoint.store.sql_postgres import ADD_MESSAGE, SAVE_CHECKPOINT  # noqa: E402 - after Django's set-up

#: as many as the native calls of a loop have
SIZE = 10
LATEST = (
    "SELECT id, session_id, namespace, parent_id, version, step, node_id, node_results, pending_nodes, cycle_state,"
    " source, created_at FROM checkpoints WHERE session_id = %(session)s AND namespace = %(namespace)s"
    " ORDER BY version DESC LIMIT 1"
)
CHECKPOINT = {
    "namespace": "", "parent_id": None, "version": None, "node_id": None, "pending_nodes": "[]", "cycle_state": None,
    "source": "loop",
}  # fmt: skip
MESSAGE = {"tool_calls": None, "tool_results": None, "tokens_in": None, "tokens_out": None}


class LimitAsync:
    pool: AsyncConnectionPool[Any] | None = None

    def __init__(self, url: str) -> None:
        self.url = url

    async def run(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        if self.pool is None:
            self.pool = AsyncConnectionPool(
                self.url, min_size=SIZE, max_size=SIZE, kwargs={"autocommit": True}, open=False
            )
            await self.pool.open(wait=True)
        async with self.pool.connection() as connection:
            cursor = await connection.execute(sql.encode(), parameters)
            rows: list[Any] = await cursor.fetchall()
            return rows

    async def save(self, parameters: Parameters, client: int, turn: int) -> Any:
        checkpoint = {
            **CHECKPOINT, **now(), "id": str(uuid.uuid4()), "session_id": session_of(parameters, client), "step": turn,
            "node_results": orjson.dumps(parameters["state"]).decode(),
        }  # fmt: skip
        while not (rows := await self.run(SAVE_CHECKPOINT, checkpoint)):
            pass
        return rows

    async def add(self, parameters: Parameters, client: int, turn: int) -> Any:
        message = {**MESSAGE, **parameters["message"], **now(), "session_id": session_of(parameters, client)}
        return await self.run(ADD_MESSAGE, message)

    async def latest(self, parameters: Parameters, client: int, turn: int) -> Any:
        if parameters["namespace"] is None:
            raise NotImplementedError
        return await self.run(LATEST, parameters)


def now() -> dict[str, int]:
    milliseconds = time.time_ns() // 1_000_000
    return {"now": milliseconds, "horizon": milliseconds + 86_400_000}


if __name__ == "__main__":
    serve(LimitAsync)
