"""Order of time is order of writing: ids, the clock, and rows that other writers' clocks have put out of order."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from obsku_checkpoint.clock import AHEAD, SESSIONS, Clock
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


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The milliseconds that the system's clock shows; waiting lets one pass."""
    now = [5_000]

    def pass_one(seconds: float) -> None:
        now[0] += 1

    monkeypatch.setattr(time, "time_ns", lambda: now[0] * 1_000_000)
    monkeypatch.setattr(time, "sleep", pass_one)
    return now


def test_two_sessions_are_not_last_active_in_the_same_millisecond_within_bounds(frozen: list[int]) -> None:
    clock = Clock()
    moments = [clock.activity(session) for session in "ababababab"]
    assert moments[: AHEAD + 1] == list(range(5_000, 5_000 + AHEAD + 1))
    assert max(moments) == 5_000 + AHEAD


def test_one_session_alone_is_never_ahead_of_the_clock(frozen: list[int]) -> None:
    clock = Clock()
    assert {clock.activity("a") for _ in range(10)} == {5_000}
    assert {clock.message("a") for _ in range(10)} == {5_000}


def test_a_message_waits_for_the_millisecond_after_its_sessions_checkpoint(frozen: list[int]) -> None:
    clock = Clock()
    assert clock.checkpoint("a") == 5_000
    assert clock.message("b") == 5_000
    assert clock.message("a") == 5_001
    assert frozen == [5_001]
    assert clock.checkpoint("a") == 5_001


def test_times_of_a_session_do_not_go_back_with_the_systems_clock(frozen: list[int]) -> None:
    clock = Clock()
    first = clock.checkpoint("a")
    frozen[0] -= 3_600_000
    assert clock.message("a") == first + 1
    assert clock.checkpoint("a") == first + 1


def test_the_clock_forgets_old_sessions() -> None:
    clock = Clock()
    for number in range(SESSIONS + 10):
        clock.message(str(number))
    assert len(clock._sessions) == SESSIONS


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
