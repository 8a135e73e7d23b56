"""Runs to look at in the admin: a scan that asks a person, one that went on, its forks three deep, and one that failed.

All are runs of the agent. ``delay`` is the seconds that it takes for each file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from example_project.scan import agent
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import CheckpointRecord, SessionRecord
from obsku_checkpoint.store import DjangoCheckpointStore

DIRECTORY = os.path.relpath(Path(__file__).parent)
BATCH_FILES = 8
LAST = "Scan and ask"


def is_made(store: CheckpointStore) -> bool:
    """Whether they are there already, whatever else is."""
    return any(session.title == LAST for session in store.search_sessions(LAST, agent.WORKSPACE))


def make(store: CheckpointStore, delay: float) -> None:
    """All of them; the last are the newest."""
    session = _run(store, agent.start(store, DIRECTORY, title="Scan the example", ruleset="default"), delay, "yes")
    for number in (1, 2, 3):
        checkpoints = store.list_checkpoints(session.id)
        middle = next(each for each in checkpoints[len(checkpoints) // 2 :] if each.pending_nodes)
        ruleset = "strict" if number % 2 else "default"
        session = _run(store, agent.fork(store, middle, title=f"Another way, {number}", ruleset=ruleset), delay, "yes")
    _run(store, agent.start(store, DIRECTORY, title="Scan by the house rules", ruleset="house"), delay, None)
    _run(store, agent.start(store, DIRECTORY, title=LAST, ruleset="default"), delay, None)


def go_on(checkpoint: CheckpointRecord, answers: Mapping[str, Any]) -> None:
    """The project's hook for answers: the agent goes on until it asks again."""
    store = DjangoCheckpointStore()
    session = store.get_session(checkpoint.session_id)
    assert session is not None
    agent.Run(store, session).go_on(checkpoint, answers)


def _run(store: CheckpointStore, session: SessionRecord, delay: float, answer: str | None) -> SessionRecord:
    agent.Run(store, session, batch_files=BATCH_FILES, delay=delay).to_the_end(lambda question: answer)
    return session
