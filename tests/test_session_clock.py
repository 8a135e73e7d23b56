"""The session's clock: the times of its rows increase in the order of the commits, whatever the hosts' clocks say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connections

from obsku_checkpoint.models import Checkpoint, Message, Session
from obsku_checkpoint.records import SessionRecord
from obsku_checkpoint.store import DjangoCheckpointStore

MS = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def host_is_ahead(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """From now on, this host's clock shows another time than the world's."""
    right = time.time_ns

    def set_ahead(by: timedelta) -> None:
        nanoseconds = int(by.total_seconds() * 10**9)
        monkeypatch.setattr(time, "time_ns", lambda: right() + nanoseconds)

    return set_ahead


@pytest.fixture
def session(store: DjangoCheckpointStore) -> Iterator[SessionRecord]:
    """A session that ends with its test, since some are of the future."""
    session = store.create_session(".", workspace_id="session's clock")
    yield session
    Session.objects.using(store.using).filter(workspace_id="session's clock").delete()


def updated_at(store: DjangoCheckpointStore, session: SessionRecord) -> datetime:
    found = store.get_session(session.id)
    assert found is not None
    return found.updated_at


@pytest.mark.parametrize("skew", [-12 * HOUR, -HOUR, timedelta(0), HOUR, 12 * HOUR], ids=str)
def test_all_that_is_written_is_later_than_what_was_written_before(
    store: DjangoCheckpointStore,
    session: SessionRecord,
    host_is_ahead: Callable[[timedelta], None],
    skew: timedelta,
) -> None:
    times = [session.updated_at]
    for turn in range(6):
        host_is_ahead(skew * (turn % 2))
        times.append(store.add_message(session.id, "user", str(turn)).created_at)
        times += [message.created_at for message in store.add_messages(session.id, [{"role": "tool"}] * 3)]
        times.append(store.save_checkpoint(session.id, step=turn, node_results={}, namespace=str(turn % 3)).created_at)
        assert updated_at(store, session) == times[-1]
        times.append(store.update_session(session.id, title=str(turn)).updated_at)
    assert all(before < after for before, after in pairwise(times))
    assert [message.content for message in store.iter_messages(session.id) if message.role == "user"] == list("012345")


def test_a_batch_takes_consecutive_milliseconds_that_end_now_where_the_past_leaves_room(
    store: DjangoCheckpointStore, session: SessionRecord
) -> None:
    first = store.add_messages(session.id, [{"role": "user"}] * 5)
    assert [message.created_at - session.updated_at for message in first[:1]] >= [MS]
    time.sleep(0.05)
    before = datetime.now(UTC)
    batch = store.add_messages(session.id, [{"role": "user"}] * 5)
    assert [after.created_at - one.created_at for one, after in pairwise(batch)] == [MS] * 4
    assert before - MS <= batch[-1].created_at <= datetime.now(UTC)
    assert updated_at(store, session) == batch[-1].created_at


def test_a_fork_begins_after_its_checkpoint_and_takes_what_was_written_before_it(
    store: DjangoCheckpointStore, session: SessionRecord, host_is_ahead: Callable[[timedelta], None]
) -> None:
    host_is_ahead(HOUR)
    store.add_message(session.id, "user", "before")
    checkpoint = store.save_checkpoint(session.id, step=0, node_results={})
    host_is_ahead(-HOUR)
    store.add_message(session.id, "user", "after")
    fork = store.fork(checkpoint.id)
    (copy,) = store.list_checkpoints(fork.id)
    assert fork.created_at == fork.updated_at == copy.created_at == checkpoint.created_at + MS
    store.add_message(fork.id, "user", "later")
    assert [message.content for message in store.get_messages(fork.id)] == ["before", "later"]


def test_rows_of_the_npm_package_are_followed_though_it_follows_no_clock_but_its_hosts(
    store: DjangoCheckpointStore, session: SessionRecord
) -> None:
    """It sets `updated_at` to its own now, also back, and saves checkpoints without touching the session."""
    newest = store.add_message(session.id, "user", "ours")
    checkpoint = store.save_checkpoint(session.id, step=0, node_results={})
    Message.objects.using(store.using).filter(id=newest.id).update(created_at=newest.created_at + HOUR)
    Checkpoint.objects.using(store.using).filter(id=checkpoint.id).update(created_at=newest.created_at + 2 * HOUR)
    Session.objects.using(store.using).filter(id=session.id).update(updated_at=newest.created_at - HOUR)
    message = store.add_message(session.id, "user", "later")
    assert message.created_at == newest.created_at + HOUR + MS
    saved = store.save_checkpoint(session.id, step=1, node_results={})
    assert saved.created_at == newest.created_at + 2 * HOUR + MS
    assert store.save_checkpoint(session.id, step=1, node_results={}, namespace="b").created_at > saved.created_at


@pytest.mark.parametrize("absurd", [10**17, 2**63 - 1, -(10**17)])
def test_an_absurd_time_is_not_followed(store: DjangoCheckpointStore, session: SessionRecord, absurd: int) -> None:
    message = store.add_message(session.id, "user", "x")
    checkpoint = store.save_checkpoint(session.id, step=0, node_results={})
    with connections[store.using].cursor() as cursor:
        cursor.execute("UPDATE sessions SET updated_at = %s WHERE id = %s", [absurd, session.id])
        cursor.execute("UPDATE messages SET created_at = %s WHERE id = %s", [absurd, message.id])
        cursor.execute("UPDATE checkpoints SET created_at = %s WHERE id = %s", [absurd, checkpoint.id])
    now = datetime.now(UTC)
    written = [
        store.add_message(session.id, "user", "y").created_at,
        store.add_messages(session.id, [{"role": "user"}] * 2)[0].created_at,
        store.save_checkpoint(session.id, step=1, node_results={}).created_at,
        store.update_session(session.id, title="z").updated_at,
        store.fork(checkpoint.id).created_at,
    ]
    assert all(abs(moment - now) < timedelta(minutes=1) for moment in written)


def test_a_time_within_a_day_is_followed_and_one_beyond_is_not(
    store: DjangoCheckpointStore, session: SessionRecord
) -> None:
    now = datetime.now(UTC)
    Session.objects.using(store.using).filter(id=session.id).update(updated_at=now + 23 * HOUR)
    assert store.add_message(session.id, "user", "x").created_at > now + 22 * HOUR
    Session.objects.using(store.using).filter(id=session.id).update(updated_at=now + 25 * HOUR)
    Message.objects.using(store.using).filter(session_id=session.id).delete()
    assert store.add_message(session.id, "user", "x").created_at < now + HOUR
