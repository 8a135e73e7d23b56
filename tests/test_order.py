"""Order: ids in the order of making, and rows that other writers' clocks have put out of order."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from obsku_checkpoint.ids import IdGenerator
from obsku_checkpoint.models import Checkpoint, Message
from obsku_checkpoint.store import DjangoCheckpointStore


def test_ids_are_uuids_of_version_7_in_the_order_of_making() -> None:
    new_id = IdGenerator()
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))
    parsed = uuid.UUID(ids[0])
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert abs((parsed.int >> 80) - time.time() * 1000) < 60_000


def test_ids_of_many_threads_are_distinct() -> None:
    new_id = IdGenerator()
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: new_id(), range(4000)))
    assert len(set(ids)) == 4000


def test_ids_stay_in_order_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    new_id = IdGenerator()
    first = new_id()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert new_id() > first


def test_within_a_namespace_the_version_decides_and_across_namespaces_the_time(store: DjangoCheckpointStore) -> None:
    session = store.create_session(".")
    versions = {}
    for namespace, version in (("a", 1), ("b", 1), ("a", 3), ("a", 2)):
        checkpoint = store.save_checkpoint(session.id, step=0, node_results={}, namespace=namespace, version=version)
        versions[checkpoint.id] = f"{namespace}{version}"

    def listed() -> list[str]:
        return [versions[checkpoint.id] for checkpoint in store.list_checkpoints(session.id)]

    assert listed() == ["a3", "a2", "b1", "a1"]
    latest = store.get_latest_checkpoint(session.id)
    assert latest is not None
    assert versions[latest.id] == "a3"
    # A writer whose clock is behind takes the next version of "b".
    old = Checkpoint.objects.using(store.using).get(session_id=session.id, namespace="b").created_at
    late = store.save_checkpoint(session.id, step=0, node_results={}, namespace="b")
    versions[late.id] = "b2"
    Checkpoint.objects.using(store.using).filter(id=late.id).update(created_at=old.replace(year=2020))
    assert listed() == ["a3", "a2", "a1", "b2", "b1"]


def test_a_fork_copies_messages_of_the_checkpoints_own_millisecond(store: DjangoCheckpointStore) -> None:
    """As the npm package has them: its clock does not tell a message from the checkpoint right after it."""
    session = store.create_session(".")
    store.add_messages(session.id, [{"role": "user", "content": str(number)} for number in range(3)])
    checkpoint = store.save_checkpoint(session.id, step=0, node_results={})
    Message.objects.using(store.using).filter(session_id=session.id, content="2").update(
        created_at=checkpoint.created_at
    )
    Message.objects.using(store.using).filter(session_id=session.id, content="0").update(
        created_at=checkpoint.created_at + timedelta(milliseconds=1)
    )
    fork = store.fork(checkpoint.id)
    assert [message.content for message in store.get_messages(fork.id)] == ["1", "2"]
