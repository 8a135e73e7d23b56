"""Where nodes are called: in threads that keep nothing, or, inside a transaction, where the caller is."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections, transaction
from django.urls import get_script_prefix, set_script_prefix
from django.utils import timezone, translation

from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph import Context, Edge, Graph, Node, RunResult, arun, run
from obsku_checkpoint.models import Session
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.graph.conftest import Runner


def fan(width: int, node: Any, **options: Any) -> Graph:
    names = [f"n{number}" for number in range(width)]
    nodes: dict[str, Any] = {"a": lambda _: 1, **dict.fromkeys(names, Node(node, **options))}
    return Graph(entry="a", nodes=nodes, edges=[Edge("a", name) for name in names])


def test_a_thread_keeps_no_connection(runner: Runner, store: DjangoCheckpointStore) -> None:
    kept: list[Any] = []

    def node(context: Context) -> int:
        kept.append(connections[store.using])
        return Session.objects.using(store.using).filter(pk=context.session_id).count()

    for _ in range(3):
        result = runner.run(fan(6, node), checkpoint_store=store)
        assert (result.status, set(result.outputs.values())) == ("complete", {1})
    threads = [each for each in kept if each is not connections[store.using]]
    assert len(threads) == 18
    assert all(each.connection is None or each.vendor == "sqlite" for each in threads)


def test_a_small_pool_is_enough(tables_url: str) -> None:
    with PostgresCheckpointStore(tables_url, max_size=2, timeout=5) as store:

        def node(context: Context) -> int:
            return store.add_message(context.session_id, "assistant", "x").id

        for _ in range(3):
            assert run(fan(6, node), checkpoint_store=store).status == "complete"


def test_a_node_has_the_caller_s_language_and_time_zone(runner: Runner, store: DjangoCheckpointStore) -> None:
    def node(context: Context) -> list[str]:
        return [translation.get_language(), timezone.get_current_timezone_name(), get_script_prefix()]

    before = get_script_prefix()
    try:
        set_script_prefix("/app/")
        with translation.override("de"), timezone.override("Asia/Tokyo"):
            for limit in (1, 8):
                result = runner.run(fan(2, node), checkpoint_store=store, max_concurrency=limit)
                assert list(result.outputs.values()) == [["de", "Asia/Tokyo", "/app/"]] * 2
    finally:
        set_script_prefix(before)


def runs(store: DjangoCheckpointStore, graph: Graph, form: str, **options: Any) -> RunResult:
    if form == "sync":
        return run(graph, checkpoint_store=store, **options)
    return async_to_sync(arun)(graph, checkpoint_store=store, **options)


@pytest.mark.parametrize("form", ["sync", "async"])
@pytest.mark.parametrize("limit", [1, 8])
def test_inside_a_transaction_nodes_are_part_of_it(limit: int, form: str, store: DjangoCheckpointStore) -> None:
    threads = set()

    def node(context: Context) -> int:
        threads.add(threading.current_thread())
        return store.add_message(context.session_id, "assistant", context.node).id

    class RollbackError(Exception):
        pass

    with pytest.raises(RollbackError), transaction.atomic(using=store.using):
        # The session is seen by nobody else.
        result = runs(store, fan(3, node), form, max_concurrency=limit)
        assert (result.status, len(store.get_messages(result.session_id))) == ("complete", 3)
        raise RollbackError
    assert threads == {threading.current_thread()}
    assert store.get_session(result.session_id) is None


@pytest.mark.parametrize("form", ["sync", "async"])
def test_what_cannot_run_inside_a_transaction_is_refused(form: str, store: DjangoCheckpointStore) -> None:
    async def on_loop(context: Context) -> None:
        await asyncio.sleep(0)

    graph = Graph(entry="n", nodes={"n": fan(1, lambda _: 1, timeout=9)})
    with (
        transaction.atomic(using=store.using),
        pytest.raises(GraphError, match="time limit where the caller is in a transaction: 'n/n0'"),
    ):
        runs(store, graph, form)
    with transaction.atomic(using=store.using):
        assert runs(store, fan(1, on_loop, timeout=9), form).status == "complete"
        transaction.set_rollback(True, using=store.using)
