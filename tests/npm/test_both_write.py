"""Both write at once, in the same sessions: nothing is lost, and both read the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.testing.base import CALL, RESULT
from tests.npm.compare import read_alike
from tests.npm.javascript import part, rewritten
from tests.npm.process import Npm, skip_without_bun

skip_without_bun()
pytestmark = pytest.mark.xdist_group("npm")

SESSIONS, ROUNDS, AT_ONCE = 3, 100, 2


def test_what_both_write_at_once_is_all_there_and_read_alike(
    ours: PostgresCheckpointStore, npm_beside: Callable[[], Npm], npm: Npm
) -> None:
    ids = [ours.create_session("/both", metadata={"n": number}).id for number in range(SESSIONS)]

    processes = [npm_beside() for _ in range(AT_ONCE)]

    def here(number: int) -> list[str]:
        forks = []
        for turn in range(ROUNDS):
            id = ids[(number + turn) % SESSIONS]
            ours.add_message(id, "assistant", f"here {number} {turn}", tool_calls=[CALL], tokens_in=turn)
            ours.add_messages(id, [{"role": "tool", "tool_results": [RESULT]}] * 3)
            saved = ours.save_checkpoint(id, step=turn, node_results={"n": {"status": "completed", "output": {turn}}})
            ours.update_session(id, title=f"Title {turn}")
            if turn % 50 == 0:
                forks.append(ours.fork(saved.id).id)
        return forks

    def there(number: int) -> list[str]:
        process, forks = processes[number], []
        message = {"role": "user", "content": f"there {number}", "tokensIn": 1, "toolCalls": [CALL]}
        for turn in range(ROUNDS):
            id = ids[(number + turn) % SESSIONS]
            checkpoint: dict[str, Any] = {
                "sessionId": id,
                "namespace": f"there {number}",  # it counts versions on its own
                "version": turn + 1,
                "step": turn,
                "nodeResults": {"n": {"status": "completed", "output": {turn}}},
                "pendingNodes": [],
                "source": "loop",
            }
            saved = process("saveCheckpoint", checkpoint)
            for _ in range(4):
                process("addMessage", id, message)
            process("updateSession", id, {"metadata": {"turn": turn}})
            if turn % 50 == 0:
                forks.append(str(part(process("fork", str(part(saved, "id"))), "id")))
        return forks

    with ThreadPoolExecutor(2 * AT_ONCE) as threads:
        writers = [threads.submit(write, number) for number in range(AT_ONCE) for write in (here, there)]
        forks = [fork for writer in writers for fork in writer.result()]
    summaries = [summary for id in ids if (summary := ours.get_session_summary(id))]
    assert sum(summary.message_count for summary in summaries) == 2 * AT_ONCE * ROUNDS * 4
    assert sum(summary.checkpoint_count for summary in summaries) == 2 * AT_ONCE * ROUNDS
    for id in ids:
        versions = [checkpoint.version for checkpoint in ours.list_checkpoints(id, namespace="")]
        assert versions == list(range(len(versions), 0, -1))
    compared = read_alike(ours, npm, ids) + read_alike(ours, npm, forks, rewritten)
    print(f"{compared} values in {len(ids) + len(forks)} sessions are equal")
    assert len(forks) == 2 * AT_ONCE * 2
