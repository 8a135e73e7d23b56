"""SIGKILL at any moment: at most the nodes in flight are run again, and the run comes to the same end."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from obsku_checkpoint.graph import run
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.graph.agent import graph

#: `run`'s default
MOST_IN_FLIGHT = 8
KILLS = 6


def test_a_run_that_is_killed_over_and_over_comes_to_its_end(postgres_database: Any, tmp_path: Path) -> None:
    url, log = postgres_database(), tmp_path / "log"
    moments = random.Random(4)
    with PostgresCheckpointStore(url) as store:
        store.setup()
        unbroken = run(graph(tmp_path / "unbroken"), checkpoint_store=store)
        session = store.create_session("/").id
        command = [sys.executable, "-m", "tests.graph.agent", url, session, str(log)]
        killed = 0
        while True:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            if killed < KILLS:
                time.sleep(moments.uniform(0.01, 0.04))
                process.kill()
            output, _ = process.communicate(timeout=60)
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL
            killed += 1
        assert killed
        assert output == f"{unbroken.outputs['end']}\n"
        saved = store.list_checkpoints(session)
        assert [each.version for each in saved] == list(range(len(saved), 0, -1))
        assert saved[0].node_results.keys() == unbroken.checkpoint.node_results.keys()
        times = Counter(log.read_text().splitlines())
        assert len(times) == len(set((tmp_path / "unbroken").read_text().splitlines())) == 36
        assert times.total() - len(times) <= killed * MOST_IN_FLIGHT
        # Nothing that was saved was done again.
        assert len(saved) == len(store.list_checkpoints(unbroken.session_id))
