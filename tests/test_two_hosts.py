"""Two hosts whose clocks differ write into the same sessions: one order for all readers, that of the commits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from obsku_checkpoint.models import Session
from obsku_checkpoint.records import MessageRecord
from obsku_checkpoint.store import DjangoCheckpointStore

#: SQLite lets one writer in at a time, whatever the session: with fewer of them the same meetings take less waiting
SESSIONS, ROUNDS = {"sqlite": 40, "postgresql": 200}, 4
MS = timedelta(milliseconds=1)

#: a host: its clock is ``skew`` milliseconds ahead; it writes into each session in turn, and prints what it was told
HOST = """
import asyncio, json, os, random, sys, time
skew, mode, using, name, rounds = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
ids = json.loads(sys.stdin.read())
right = time.time_ns
time.time_ns = lambda: right() + skew * 1_000_000
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["obsku_checkpoint"], DATABASES=json.loads(os.environ["HOST_DATABASES"]), USE_TZ=True,
    LOGGING_CONFIG=None, OBSKU_CHECKPOINT={"DATABASE": using},
)
django.setup()
from obsku_checkpoint.store import DjangoCheckpointStore
store = DjangoCheckpointStore()

async def call(method, *arguments, **keywords):
    if mode == "async":
        return await getattr(store, f"a{method}")(*arguments, **keywords)
    return getattr(store, method)(*arguments, **keywords)

async def main():
    told = []
    choice = random.Random(name)
    for round in range(rounds):
        order = ids[:]
        choice.shuffle(order)
        for id in order:
            message = await call("add_message", id, "user", f"{name} {round}")
            batch = await call("add_messages", id, [{"role": "assistant"}, {"role": "tool"}])
            saved = await call("save_checkpoint", id, step=round, node_results={}, namespace=name)
            told += [(id, "message", one.id) for one in [message, *batch]] + [(id, "checkpoint", saved.id)]
    return told

if mode == "async":
    told = asyncio.run(main())
else:
    work = main()
    try:
        work.send(None)
    except StopIteration as end:
        told = end.value
print(json.dumps(told))
"""


@pytest.fixture
def sessions(store: DjangoCheckpointStore) -> Iterator[list[str]]:
    """Sessions that end with their test, since some are of the future."""
    yield [
        store.create_session(".", workspace_id="two hosts").id for _ in range(SESSIONS[connections[store.using].vendor])
    ]
    Session.objects.using(store.using).filter(workspace_id="two hosts").delete()


@pytest.fixture
def host(
    store: DjangoCheckpointStore, sessions: list[str], tmp_path: Path
) -> Callable[[str, int, str], subprocess.Popen[str]]:
    given = connections[store.using].settings_dict
    options = {name: option for name, option in given["OPTIONS"].items() if isinstance(option, str | int)}
    kept = {name: str(given[name]) for name in ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")}
    databases = {"default": {**kept, "OPTIONS": options}, store.using: {**kept, "OPTIONS": options}}

    def start(name: str, skew_ms: int, mode: str) -> subprocess.Popen[str]:
        with (tmp_path / name).open("w") as output:  # a pipe would be full before it is read
            process = subprocess.Popen(
                [sys.executable, "-c", HOST, str(skew_ms), mode, store.using, name, str(ROUNDS)],
                stdin=subprocess.PIPE,
                stdout=output,
                text=True,
                env={"PYTHONPATH": str(Path(__file__).parent.parent), "HOST_DATABASES": json.dumps(databases)},
            )
        assert process.stdin is not None
        process.stdin.write(json.dumps(sessions))
        process.stdin.close()
        return process

    return start


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("skew_ms", [80, 12 * 60 * 60 * 1000], ids=["80 ms", "half a day"])
def test_transcripts_followers_and_forks_agree_with_the_order_of_the_commits(
    store: DjangoCheckpointStore,
    sessions: list[str],
    host: Callable[[str, int, str], subprocess.Popen[str]],
    tmp_path: Path,
    mode: str,
    skew_ms: int,
) -> None:
    hosts = [host("right", 0, mode), host("behind", -skew_ms, mode)]
    followed: dict[str, list[MessageRecord]] = {id: [] for id in sessions}
    followers = sessions[:: len(sessions) // 20]
    while any(one.poll() is None for one in hosts):
        for id in followers:
            _follow(store, id, followed[id])
    told: list[list[Any]] = []
    for name, one in zip(("right", "behind"), hosts, strict=True):
        assert one.returncode == 0
        told += json.loads((tmp_path / name).read_text())

    for id in sessions:
        messages, checkpoints = store.get_messages(id), store.list_checkpoints(id)
        assert len(messages) == 2 * ROUNDS * 3
        assert {("message", one.id) for one in messages} | {("checkpoint", one.id) for one in checkpoints} == {
            (kind, written) for session, kind, written in told if session == id
        }
        times = sorted([one.created_at for one in messages] + [one.created_at for one in checkpoints])
        assert all(before < after for before, after in pairwise(times))
        assert [one.id for one in messages] == sorted(one.id for one in messages), "the order of the commits"
        _follow(store, id, followed[id])
        assert followed[id] == messages
        pairs = [(one, after) for one, after in pairwise(messages) if one.role == "assistant"]
        assert len(pairs) == 2 * ROUNDS
        assert all(after.created_at - one.created_at == MS for one, after in pairs), "batches are whole"
    for id in followers:
        checkpoint = store.list_checkpoints(id)[ROUNDS]
        copies = store.get_messages(store.fork(checkpoint.id).id)
        before = [one for one in store.get_messages(id) if one.created_at < checkpoint.created_at]
        assert [(one.content, one.created_at) for one in copies] == [(one.content, one.created_at) for one in before]


def _follow(store: DjangoCheckpointStore, id: str, seen: list[MessageRecord]) -> None:
    seen += store.get_messages(id, after_id=seen[-1].id if seen else 0)
