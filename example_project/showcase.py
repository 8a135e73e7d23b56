"""Runs to look at in the admin: a scan, its forks three deep, a run that fails, and one that waits for a person.

The scans are real runs of the agent. The other two are written through the store, as an agent would; ``pause`` is the
seconds they take between two of their steps.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from example_project.scan import agent
from obsku_checkpoint.records import CheckpointRecord, NodeResult, SessionRecord
from obsku_checkpoint.store import DjangoCheckpointStore

RELEASE = ("collect", "test", "approve", "publish")


def scanned(store: DjangoCheckpointStore, directory: Path, title: str = "Scan the shop") -> SessionRecord:
    """A scan from its beginning to its end."""
    session = agent.start(store, str(directory), title=title, ruleset="default")
    agent.Run(store, session, batch_files=12, delay=0.002).to_the_end()
    return session


def forked(store: DjangoCheckpointStore, session: SessionRecord, depth: int = 3) -> list[SessionRecord]:
    """Forks of the session, each from the middle of the one before, each run to its end."""
    forks = []
    for number in range(1, depth + 1):
        checkpoints = store.list_checkpoints(session.id)
        middle = next(each for each in checkpoints[len(checkpoints) // 2 :] if each.pending_nodes)
        session = agent.fork(store, middle, title=f"Another way, {number}", ruleset="strict" if number % 2 else None)
        agent.Run(store, session, batch_files=12, delay=0.002).to_the_end()
        forks.append(session)
    return forks


def failing(store: DjangoCheckpointStore, pause: float = 0.0) -> SessionRecord:
    """A release whose tests fail, while its notes are written at the same time."""
    session = _release(store, "Release 2.4.0", pause)
    begin = _now()
    notes = {"status": "completed", "output": {"lines": 38}, "startedAt": begin - 5200, "completedAt": begin - 2100}
    failed: NodeResult = {
        "status": "failed",
        "error": {"name": "TestsFailed", "message": "2 of 418 tests failed", "tests": ["test_checkout", "test_refund"]},
        "startedAt": begin - 5200,
        "completedAt": begin - 300,
    }
    collected = _collected(begin)
    first = store.save_checkpoint(
        session.id, step=1, node_id="collect", node_results={"collect": collected}, pending_nodes=RELEASE[1:]
    )
    store.add_messages(session.id, _tool("run_tests", "tests-1", {"suite": "all"}, failed["error"], "error"))
    store.save_checkpoint(
        session.id,
        step=2,
        node_id="test",
        node_results={"collect": collected, "notes": notes, "test": failed},  # type: ignore[dict-item]  # notes: a plain dict
        pending_nodes=["approve", "publish"],
        parent_id=first.id,
    )
    time.sleep(pause)
    store.add_message(
        session.id, "assistant", "Two tests fail: I stop here and do not publish.", tokens_in=2410, tokens_out=96
    )
    return session


def interrupted(store: DjangoCheckpointStore, pause: float = 0.0) -> SessionRecord:
    """A release that is ready, and asks whether it may go out."""
    session = _release(store, "Release 2.4.1", pause)
    begin = _now()
    tested: NodeResult = {
        "status": "completed",
        "output": {"tests": 418, "failed": 0, "coverage": 96.4},
        "startedAt": begin - 5200,
        "completedAt": begin - 900,
    }
    question: Any = {
        "status": "pending",
        "interrupt": {
            "reason": "All 418 tests pass. Publish 2.4.1 to production?",
            "options": ["publish", "publish to 10 % first", "hold back"],
            "commits": 12,
        },
    }
    store.add_messages(session.id, _tool("run_tests", "tests-1", {"suite": "all"}, tested["output"], "success"))
    first = store.save_checkpoint(
        session.id, step=1, node_id="collect", node_results={"collect": _collected(begin)}, pending_nodes=RELEASE[1:]
    )
    second = store.save_checkpoint(
        session.id,
        step=2,
        node_id="test",
        node_results={"collect": _collected(begin), "test": tested},
        pending_nodes=RELEASE[2:],
        parent_id=first.id,
    )
    time.sleep(pause)
    store.add_message(
        session.id, "assistant", "The release is ready. I ask before I publish.", tokens_in=2630, tokens_out=88
    )
    store.save_checkpoint(
        session.id,
        step=3,
        node_id="approve",
        node_results={**second.node_results, "approve": question},
        pending_nodes=RELEASE[2:],
        parent_id=second.id,
        source="interrupt",
    )
    return session


def resume(checkpoint: CheckpointRecord, answer: Any) -> None:
    """The project's hook for answers. `VersionConflictError` where another answer came first."""
    store = DjangoCheckpointStore()
    now = _now()
    approved: NodeResult = {"status": "completed", "output": {"answer": answer}, "startedAt": now, "completedAt": now}
    results = {**checkpoint.node_results, "approve": approved}
    pending = [] if answer == "hold back" else ["publish"]
    store.save_checkpoint(
        checkpoint.session_id,
        step=checkpoint.step + 1,
        node_id="approve",
        node_results=results,
        pending_nodes=pending,
        parent_id=checkpoint.id,
        version=checkpoint.version + 1,
    )
    store.add_message(checkpoint.session_id, "user", f"Answer: {answer}")


def _release(store: DjangoCheckpointStore, title: str, pause: float) -> SessionRecord:
    session = store.create_session(
        "/srv/shop", title=title, workspace_id="release", metadata={"agent": "release", "requested_by": "Ines"}
    )
    store.add_message(session.id, "system", "You release the shop. Publish nothing that was not tested and approved.")
    store.add_message(session.id, "user", f"{title}, please.", tokens_in=180)
    time.sleep(pause)
    collected = {"commits": 12, "files": ["cart.py", "checkout.py", "refund.py"]}
    store.add_messages(session.id, _tool("git_log", "log-1", {"since": "v2.3.9"}, collected, "success"))
    store.save_checkpoint(session.id, step=0, node_results={}, pending_nodes=RELEASE, source="input")
    return session


def _collected(begin: int) -> NodeResult:
    return {"status": "completed", "output": {"commits": 12}, "startedAt": begin - 7400, "completedAt": begin - 5300}


def _tool(name: str, use: str, input: Any, content: Any, status: str) -> list[dict[str, Any]]:
    call = {"name": name, "toolUseId": use, "input": input}
    return [
        {"role": "assistant", "content": f"I call {name}.", "tool_calls": [call], "tokens_in": 940, "tokens_out": 52},
        {"role": "tool", "tool_results": [{"toolUseId": use, "content": content, "status": status}]},
    ]


def _now() -> int:
    return time.time_ns() // 1_000_000
