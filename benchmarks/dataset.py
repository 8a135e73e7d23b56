"""The data that all systems find, written in the server by ``generate_series``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import psycopg

BASE = 1_767_000_000_000
CLIENTS = 32
NAMESPACES = 10


_random = Random(1)
_WORDS = ["".join(_random.choices("etaoinshrdlucmfwyp", k=_random.randint(2, 9))) for _ in range(1000)]


def prose(length: int, seed: int = 1) -> str:
    """Words without sense, which compress about as text does: what repeats itself would be stored for nothing."""
    return " ".join(Random(seed).choices(_WORDS, k=length // 2))[:length]


CONTENT = prose(600)
TOOL_CALLS = json.dumps(
    [{"name": "read_file", "toolUseId": "use-1", "input": {"path": "src/agent/graph.py", "lines": list(range(60))}}],
    separators=(",", ":"),
)
TOOL_RESULTS = json.dumps(
    [{"toolUseId": "use-1", "status": "ok", "content": "return state\n" * 24}],
    separators=(",", ":"),
)


@dataclass(frozen=True)
class Size:
    """How full the tables are before the measuring begins."""

    sessions: int
    checkpoints: int
    messages: int


SIZES = {
    "empty": Size(0, 0, 0),
    "default": Size(1_000_000, 200_000, 200_000),
    "full": Size(1_000_000, 2_000_000, 10_000_000),
}


def node_results(size: int) -> dict[str, Any]:
    """The state of a graph whose JSON text has about ``size`` bytes."""
    results: dict[str, Any] = {}
    written = 0
    while written < size:
        number = len(results)
        results[f"node-{number}"] = node = {
            "status": "completed",
            "startedAt": BASE + number,
            "completedAt": BASE + number + 5,
            "output": {
                "text": prose(200, number),
                "score": number / 7,
                "tags": ["a", "b", "c"],
                "next": None,
                "ok": True,
            },
        }
        written += len(json.dumps(node, separators=(",", ":"))) + 10
    return results


def fill(connection: psycopg.Connection[Any], size: Size, systems: Sequence[str]) -> None:
    state = json.dumps(node_results(2048), separators=(",", ":"))
    _sessions(connection, "background", size.sessions, "'workspace-' || n %% 1000")
    _sessions(connection, "busy", 10_000, "'busy'")
    for system in systems:
        for purpose in ("write", "count"):
            _sessions(connection, f"{purpose}-{system}", CLIENTS, "NULL")
    names = ["checkpoints-1000", "plain-100", "plain-2000", "plain-10000", "tools-1000", "last-1000"]
    _run(connection, "INSERT INTO sessions SELECT unnest(%s::text[]), NULL, NULL, '/srv', %s, %s", names, BASE, BASE)
    if size.sessions:
        _background(connection, size)
    _run(
        connection,
        "INSERT INTO checkpoints (id, session_id, namespace, version, step, node_results, source, created_at)"
        " SELECT 'latest-' || n, 'checkpoints-1000', CASE n %% %s WHEN 0 THEN '' ELSE 'branch-' || n %% %s END,"
        " n / %s + 1, n / %s, %s, 'loop', %s::bigint + n FROM generate_series(0, 999) n",
        *[NAMESPACES] * 4, state, BASE,
    )  # fmt: skip
    for name, count, calls, results in (
        ("plain-100", 100, None, None),
        ("plain-2000", 2000, None, None),
        ("plain-10000", 10_000, None, None),
        ("tools-1000", 1000, TOOL_CALLS, TOOL_RESULTS),
    ):
        _run(
            connection,
            "INSERT INTO messages (session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out,"
            " created_at) SELECT %s, 'assistant', %s, %s, %s, 100, 200, %s::bigint + n FROM generate_series(1, %s) n",
            name, CONTENT, calls, results, BASE, count,
        )  # fmt: skip
        _run(
            connection,
            "INSERT INTO checkpoints (id, session_id, version, step, node_results, source, created_at)"
            " VALUES (%s, %s, 1, 1, %s, 'loop', %s::bigint + %s)",
            f"end-of-{name}", name, state, BASE, count + 1,
        )  # fmt: skip
    connection.execute("VACUUM ANALYZE")
    connection.execute("CHECKPOINT")


def write_sessions(purpose: str, system: str) -> list[str]:
    return [f"{purpose}-{system}-{n}" for n in range(1, CLIENTS + 1)]


def _sessions(connection: psycopg.Connection[Any], prefix: str, count: int, workspace: str) -> None:
    _run(
        connection,
        "INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at, metadata)"
        f" SELECT %s || '-' || n, {workspace}, 'Session ' || n, '/srv/agent', %s::bigint + n, %s::bigint + n, NULL"
        " FROM generate_series(1, %s) n",
        prefix, BASE, BASE, count,
    )  # fmt: skip


def _background(connection: psycopg.Connection[Any], size: Size) -> None:
    """Other sessions' rows: small ones, for it is their number that indexes feel."""
    # Ten million look-ups of foreign keys that are known to exist are left out.
    connection.execute("SET session_replication_role = replica")
    state = json.dumps(node_results(1), separators=(",", ":"))
    _run(
        connection,
        "INSERT INTO checkpoints (id, session_id, version, step, node_results, source, created_at)"
        " SELECT 'background-' || n, 'background-' || n %% (%s / 100) + 1, n / (%s / 100) + 1, n, %s, 'loop',"
        " %s::bigint + n FROM generate_series(0, %s - 1) n",
        size.sessions, size.sessions, state, BASE, size.checkpoints,
    )  # fmt: skip
    _run(
        connection,
        "INSERT INTO messages (session_id, role, content, created_at)"
        " SELECT 'background-' || n %% (%s / 100) + 1, 'user', 'Go on.', %s::bigint + n FROM generate_series(1, %s) n",
        size.sessions, BASE, size.messages,
    )  # fmt: skip
    connection.execute("RESET session_replication_role")


def _run(connection: psycopg.Connection[Any], sql: str, *parameters: Any) -> None:
    connection.execute(sql.encode(), parameters)
