"""Nodes that raise, hang or give back nonsense; stores and callbacks that fail."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from obsku_checkpoint.errors import StoreUnavailableError
from obsku_checkpoint.graph import Context, Edge, Event, Graph, Node, arun, engine, resume, run
from obsku_checkpoint.graph.attempts import pause_after
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.graph.conftest import Runner


def fine(context: Context) -> str:
    return context.node


class Flaky:
    """Fails so many times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.keys: list[str] = []

    def __call__(self, context: Context) -> int:
        self.keys.append(context.idempotency_key)
        if len(self.keys) <= self.failures:
            raise ValueError(f"attempt {len(self.keys)}")
        return len(self.keys)


def test_a_failure_blocks_what_follows_and_nothing_else(runner: Runner, store: DjangoCheckpointStore) -> None:
    flaky, calls = Flaky(1), []

    def count(context: Context) -> str:
        calls.append(context.node)
        return context.node

    graph = Graph(
        entry="a",
        nodes={"a": count, "bad": flaky, "beside": count, "after": count, "blocked": count},
        edges=[Edge("a", "bad"), Edge("a", "beside"), Edge("beside", "after"), Edge("bad", "blocked")],
    )
    result = runner.run(graph, checkpoint_store=store)
    assert (result.status, result.errors) == ("failed", {"bad": "ValueError: attempt 1"})
    assert result.checkpoint.pending_nodes == ["blocked"]
    assert result.outputs == {"after": "after"}
    failed = result.checkpoint.node_results["bad"]
    assert (failed["status"], failed["error"]) == ("failed", "ValueError: attempt 1")

    result = runner.resume(graph, result, checkpoint_store=store)
    assert (result.status, result.outputs) == ("complete", {"after": "after", "blocked": "blocked"})
    assert sorted(calls) == ["a", "after", "beside", "blocked"]
    assert "error" not in result.checkpoint.node_results["bad"]
    assert len(set(flaky.keys)) == 1


def test_a_node_is_tried_again(runner: Runner, store: DjangoCheckpointStore) -> None:
    flaky = Flaky(2)
    graph = Graph(entry="a", nodes={"a": Node(flaky, retries=2, backoff=0.001)})
    assert runner.run(graph, checkpoint_store=store).outputs == {"a": 3}
    assert len(set(flaky.keys)) == 1
    flaky = Flaky(3)
    graph = Graph(entry="a", nodes={"a": Node(flaky, retries=2, backoff=0)})
    assert runner.run(graph, checkpoint_store=store).errors == {"a": "ValueError: attempt 3"}


def test_a_node_that_takes_too_long_fails(runner: Runner, store: DjangoCheckpointStore) -> None:
    release = threading.Event()

    async def on_loop(context: Context) -> None:
        await asyncio.Event().wait()

    graph = Graph(
        entry="a",
        nodes={
            "a": fine,
            "thread": Node(lambda _: release.wait(60), timeout=0.02),
            "loop": Node(on_loop, timeout=0.02),
        },
        edges=[Edge("a", "thread"), Edge("a", "loop")],
    )
    for limit in (8, 1):
        result = runner.run(graph, checkpoint_store=store, max_concurrency=limit)
        assert result.errors == dict.fromkeys(("thread", "loop"), "TimeoutError: not finished after 0.02 s")
    release.set()


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


async def cancelled(context: Context) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("node", "error"),
    [
        (lambda _: object(), "SerializationError"),
        (lambda _: next(iter([])), "StopIteration"),
        (lambda _: [].pop(), "IndexError: pop from empty list"),
        (lambda: None, "TypeError"),
        (cancelled, "CancelledError"),
    ],
    ids=["unserializable", "stop-iteration", "index", "arguments", "cancelled"],
)
def test_whatever_a_node_does_is_its_own_failure(
    node: Callable[..., Any], error: str, runner: Runner, store: DjangoCheckpointStore
) -> None:
    graph = Graph(entry="a", nodes={"a": fine, "bad": node, "good": fine}, edges=[Edge("a", "bad"), Edge("a", "good")])
    result = runner.run(graph, checkpoint_store=store)
    assert error in result.errors["bad"]
    assert result.outputs["good"] == "good"


def test_an_error_that_cannot_be_put_into_words_is_recorded(runner: Runner, store: DjangoCheckpointStore) -> None:
    def node(context: Context) -> None:
        raise UnspeakableError

    assert "UnspeakableError" in runner.run(Graph(entry="a", nodes={"a": node}), checkpoint_store=store).errors["a"]


def test_a_condition_that_raises_fails_the_node_it_leads_to(runner: Runner, store: DjangoCheckpointStore) -> None:
    broken = True

    def condition(output: Any) -> bool:
        if broken:
            raise ValueError("condition")
        return True

    graph = Graph(
        entry="a",
        nodes={"a": fine, "b": fine, "c": fine},
        edges=[Edge("a", "b", condition=condition), Edge("b", "c")],
    )
    result = runner.run(graph, checkpoint_store=store)
    assert result.errors == {"b": "ValueError: condition"}
    assert result.checkpoint.node_results["b"]["status"] == "failed"
    assert runner.resume(graph, result, checkpoint_store=store).errors == {"b": "ValueError: condition"}
    broken = False
    assert runner.resume(graph, result, checkpoint_store=store).outputs == {"c": "c"}


def test_a_callback_that_raises_ends_the_run(runner: Runner, store: DjangoCheckpointStore) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("callback")

    inner = Graph(entry="x", nodes={"x": fine})
    for graph in (Graph(entry="a", nodes={"a": fine}), Graph(entry="a", nodes={"a": inner})):
        for callback in ("on_checkpoint", "on_event"):
            with pytest.raises(ZeroDivisionError, match="callback"):
                runner.run(graph, checkpoint_store=store, **{callback: fail})


class Failing(DjangoCheckpointStore):
    """The real store, which is away after so many checkpoints."""

    def __init__(self, using: str, lives: int, error: BaseException) -> None:
        super().__init__(using)
        self.lives, self.error = lives, error

    def save_checkpoint(self, *args: Any, **kwargs: Any) -> CheckpointRecord:
        if self.lives == 0:
            raise self.error
        self.lives -= 1
        return super().save_checkpoint(*args, **kwargs)


@pytest.mark.parametrize("lives", range(6))
def test_a_store_that_is_away_ends_the_run_and_nothing_is_lost(
    lives: int, runner: Runner, store: DjangoCheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 0.05)
    calls: list[str] = []

    def count(context: Context) -> str:
        calls.append(context.node)
        return context.node

    inner = Graph(entry="x", nodes={"x": count, "y": count}, edges=[Edge("x", "y")])
    graph = Graph(entry="a", nodes={"a": count, "b": inner}, edges=[Edge("a", "b")])
    session = store.create_session("/")
    away = Failing(store.using, lives, StoreUnavailableError("away"))
    with pytest.raises(StoreUnavailableError, match="away"):
        runner.run(graph, checkpoint_store=away, session_id=session.id)
    done = {each.node_id or "" for each in store.list_checkpoints(session.id) if each.node_id}
    if lives:
        before = list(calls)
        result = resume(graph, checkpoint_store=store, session_id=session.id)
        assert result.outputs == {"b": {"y": "y"}}
        assert not done & set(calls[len(before) :])


class Killed(BaseException):
    """Not an Exception: nothing may catch it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("limit", [1, 8])
def test_what_is_meant_to_end_the_process_ends_the_run(limit: int, store: DjangoCheckpointStore) -> None:
    cleaned = []

    async def node(context: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(context.node)

    graph = Graph(entry="a", nodes={"a": fine, "b": node, "c": fine}, edges=[Edge("a", "b"), Edge("a", "c")])
    if limit == 1:
        graph = Graph(entry="a", nodes={"a": fine, "c": fine}, edges=[Edge("a", "c")])
    with pytest.raises(Killed):
        run(graph, checkpoint_store=Failing(store.using, 2, Killed()), max_concurrency=limit)
    assert cleaned == ([] if limit == 1 else ["b"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("limit", [1, 8])
def test_ctrl_c_in_a_node_is_no_failure_of_it(
    error: type[BaseException], limit: int, store: DjangoCheckpointStore
) -> None:
    def node(context: Context) -> None:
        raise error

    with pytest.raises(error):
        run(Graph(entry="a", nodes={"a": node}), checkpoint_store=store, max_concurrency=limit)


def test_the_log_has_nothing_of_what_a_node_works_on(
    runner: Runner, store: DjangoCheckpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    def node(context: Context) -> None:
        raise ValueError("private")

    graph = Graph(entry="a", nodes={"a": Node(node, retries=1, backoff=0)})
    assert runner.run(graph, checkpoint_store=store).errors == {"a": "ValueError: private"}
    assert [record.getMessage() for record in caplog.records] == [
        "Node a failed at attempt 1: ValueError",
        "Node a failed at attempt 2: ValueError",
    ]
    assert "private" not in caplog.text
    caplog.set_level("DEBUG", "obsku_checkpoint.graph")
    runner.run(graph, checkpoint_store=store)
    assert "ValueError: private" in caplog.text


@pytest.mark.parametrize(
    ("retries", "calls"),
    [(2, 3), ({ConnectionError: 2}, 3), ({OSError: 1}, 2), ({ValueError: 2}, 1), ({ValueError: 9, Exception: 1}, 2)],
)
def test_retries_may_name_exceptions(retries: Any, calls: int, runner: Runner, store: DjangoCheckpointStore) -> None:
    called: list[int] = []

    def node(context: Context) -> None:
        called.append(1)
        raise ConnectionError

    graph = Graph(entry="a", nodes={"a": Node(node, retries=retries, backoff=0)})
    assert runner.run(graph, checkpoint_store=store).status == "failed"
    assert len(called) == calls


def test_a_node_that_waits_for_its_next_attempt_holds_no_place(runner: Runner, store: DjangoCheckpointStore) -> None:
    order: list[str] = []

    def flaky(context: Context) -> None:
        order.append("flaky")
        if order.count("flaky") == 1:
            raise ValueError

    nodes: dict[str, Any] = {"a": lambda _: 1, "flaky": Node(flaky, retries=1, backoff=0.3), "quick": order_of(order)}
    graph = Graph(entry="a", nodes=nodes, edges=[Edge("a", "flaky"), Edge("a", "quick")])
    assert runner.run(graph, checkpoint_store=store, max_concurrency=1).status == "complete"
    assert order == ["flaky", "quick", "flaky"]


def order_of(order: list[str]) -> Any:
    return lambda context: order.append(context.node)


@pytest.mark.parametrize(("failures", "pause"), [(1, 0.5), (2, 1), (3, 2), (8, 60), (5000, 60)])
def test_the_pause_has_a_ceiling(failures: int, pause: float) -> None:
    assert pause_after(Node(str, retries=9999, backoff=0.5), failures) == pause
    assert pause_after(Node(str, backoff=90), failures) == 90


class Away(DjangoCheckpointStore):
    """The real store; the database is away for the first saves after node ``a``, of which one was written."""

    away = 3

    def save_checkpoint(self, *args: Any, **kwargs: Any) -> CheckpointRecord:
        if kwargs["node_id"] != "a" or not self.away:
            return super().save_checkpoint(*args, **kwargs)
        self.away -= 1
        if self.away == 1:
            super().save_checkpoint(*args, **kwargs)
        raise StoreUnavailableError("away", maybe_written=True)


def test_a_checkpoint_is_saved_through_a_failover(runner: Runner, store: DjangoCheckpointStore) -> None:
    ran: list[str] = []
    graph = Graph(entry="a", nodes={"a": order_of(ran), "b": order_of(ran)}, edges=[Edge("a", "b")])
    result = runner.run(graph, checkpoint_store=Away(store.using))
    assert (result.status, ran) == ("complete", ["a", "b"])
    assert [each.version for each in store.list_checkpoints(result.session_id)] == [3, 2, 1]


@pytest.mark.parametrize("limit", [1, 8])
def test_a_cancellation_of_its_own_is_a_node_s_failure(
    limit: int, runner: Runner, store: DjangoCheckpointStore
) -> None:
    def node(context: Context) -> None:
        raise asyncio.CancelledError("own")

    graph = Graph(entry="a", nodes={"a": node})
    errors = runner.run(graph, checkpoint_store=store, max_concurrency=limit).errors
    assert errors == {"a": "asyncio.exceptions.CancelledError: own"}


def test_many_retries_do_not_overflow(runner: Runner, store: DjangoCheckpointStore) -> None:
    left = 1100

    def node(context: Context) -> int:
        nonlocal left
        left -= 1
        return 1 // (left == 0)

    graph = Graph(entry="a", nodes={"a": Node(node, retries=1100, backoff=0.0)})
    assert runner.run(graph, checkpoint_store=store, max_concurrency=1).outputs == {"a": 1}


def test_a_run_that_is_cancelled_loses_no_save(store: DjangoCheckpointStore) -> None:
    """The store's work cannot be called back: who resumes must find it."""
    saving = threading.Event()

    class Slow(DjangoCheckpointStore):
        def save_checkpoint(self, *args: Any, **kwargs: Any) -> CheckpointRecord:
            saving.set()
            time.sleep(0.2)
            return super().save_checkpoint(*args, **kwargs)

    async def cancelled(graph: Graph, session_id: str) -> None:
        task = asyncio.create_task(arun(graph, checkpoint_store=Slow(store.using), session_id=session_id))
        await asyncio.to_thread(saving.wait)
        task.cancel()
        await task

    graph = Graph(entry="a", nodes={"a": fine})
    session = store.create_session("/")
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled(graph, session.id))
    assert [each.version for each in store.list_checkpoints(session.id)] == [1]
    assert resume(graph, checkpoint_store=store, session_id=session.id).outputs == {"a": "a"}


def test_ctrl_c_in_a_callback_while_another_node_is_about_to_use_the_store(store: DjangoCheckpointStore) -> None:
    def told(event: Event) -> None:
        if (event.type, event.node) == ("node_started", "b"):
            raise KeyboardInterrupt

    inner = Graph(entry="x", nodes={"x": fine})
    graph = Graph(entry="a", nodes={"a": fine, "inner": inner, "b": fine}, edges=[Edge("a", "inner"), Edge("a", "b")])
    with pytest.raises(KeyboardInterrupt):
        run(graph, checkpoint_store=store, on_event=told)
