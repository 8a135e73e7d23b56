"""What a thread costs grows with what is said, and pruning takes no more than it may."""

from __future__ import annotations

import threading
from typing import Any

from django.db import connections
from langchain_core.messages import HumanMessage

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from tests.langgraph import graphs
from tests.langgraph.steps import config_of, new_thread, put, values_at


def stored_bytes(alias: str, thread: str) -> int:
    with connections[alias].cursor() as cursor:
        total = 0
        for table, column in (("blobs", "data"), ("items", "data"), ("checkpoints", "payload"), ("writes", "data")):
            cursor.execute(f"SELECT sum(length({column})) FROM langgraph_{table} WHERE session_id = %s", [thread])
            total += cursor.fetchone()[0] or 0
    return total


def conversation(saver: DjangoSaver, turns: int) -> tuple[str, list[HumanMessage]]:
    thread = new_thread()
    config, said = config_of(thread), []
    for turn in range(turns):
        said.append(HumanMessage(f"{turn} " * 100, id=f"{turn}"))
        config = put(saver, config, {"messages": [*said]})
    return thread, said


def test_a_conversation_grows_with_its_length(saver: DjangoSaver, alias: str) -> None:
    short, _ = conversation(saver, 40)
    long, said = conversation(saver, 80)
    assert stored_bytes(alias, long) < 2.5 * stored_bytes(alias, short)
    assert values_at(saver, config_of(long)) == {"messages": said}


def test_another_process_goes_on(saver: DjangoSaver, alias: str) -> None:
    thread, said = conversation(saver, 12)
    other = DjangoSaver(alias, projection=saver.projection)
    put(other, config_of(thread), {"messages": [*said, HumanMessage("new", id="new")]})
    assert len(values_at(saver, config_of(thread))["messages"]) == 13
    assert len(saver.store.get_messages(thread)) == (13 if saver.projection == "full" else 0)


def counts(alias: str, thread: str) -> dict[str, int]:
    with connections[alias].cursor() as cursor:
        found = {}
        for table in ("checkpoints", "blobs", "items", "writes"):
            cursor.execute(f"SELECT count(*) FROM langgraph_{table} WHERE session_id = %s", [thread])
            found[table] = cursor.fetchone()[0]
    return found


def test_pruning_takes_what_only_the_pruned_checkpoints_used(saver: DjangoSaver, alias: str) -> None:
    thread, said = conversation(saver, 20)
    config = put(saver, config_of(thread), {"messages": said[10:]})
    saver.put_writes(config, [("a", 1)], "task")
    saver.prune([thread])
    assert counts(alias, thread) == {"checkpoints": 1, "blobs": 1, "items": 10, "writes": 1}
    saved = saver.get_tuple(config_of(thread))
    assert saved is not None
    assert saved.checkpoint["channel_values"] == {"messages": said[10:]}
    assert saved.parent_config is None
    assert len(saver.store.list_checkpoints(thread)) == (saver.projection == "full")
    assert len(saver.store.get_messages(thread)) == (20 if saver.projection == "full" else 0)  # the transcript stays


def test_what_was_pruned_is_sent_again_by_every_saver(saver: DjangoSaver, alias: str) -> None:
    thread, said = conversation(saver, 20)
    other = DjangoSaver(alias, projection=saver.projection)
    put(saver, config_of(thread), {"messages": []})
    other.prune([thread])
    assert counts(alias, thread)["items"] == 0
    put(saver, config_of(thread), {"messages": said})
    assert values_at(other, config_of(thread)) == {"messages": said}


def test_a_session_that_was_deleted_and_made_anew_is_sent_all(saver: DjangoSaver) -> None:
    thread, said = conversation(saver, 20)
    saver.store.delete_session(thread)
    put(saver, config_of(thread), {"messages": said})
    assert values_at(saver, config_of(thread)) == {"messages": said}
    assert len(saver.store.get_messages(thread)) == (20 if saver.projection == "full" else 0)


def test_pruning_beside_writing_loses_nothing(saver: DjangoSaver, alias: str) -> None:
    thread, said = conversation(saver, 10)
    pruner = DjangoSaver(alias)
    done = threading.Event()
    errors: list[BaseException] = []

    def prune() -> None:
        try:
            while not done.is_set():
                pruner.prune([thread])
        except BaseException as error:
            errors.append(error)
            raise

    worker = threading.Thread(target=prune)
    worker.start()
    try:
        for turn in range(60):
            said = [*said[1:], HumanMessage(f"more {turn}", id=f"more-{turn}")] if turn % 3 else [*said, said[0]]
            config = put(saver, config_of(thread), {"messages": [*said]})
            assert values_at(saver, config) == {"messages": said}
    finally:
        done.set()
        worker.join()
    assert errors == []
    assert values_at(saver, config_of(thread)) == {"messages": said}


def run_deltas(saver: DjangoSaver, thread: str, turns: int) -> Any:
    graph = graphs.deltas().compile(checkpointer=saver)
    for number in range(turns):
        graph.invoke({"log": [f"in {number}"], "count": 0}, config_of(thread))
    return graph


def test_pruning_keeps_what_a_delta_channel_is_built_of(saver: DjangoSaver, alias: str) -> None:
    for turns in range(1, 5):
        thread = new_thread()
        graph = run_deltas(saver, thread, turns)
        before = graph.get_state(config_of(thread)).values
        stored = counts(alias, thread)["checkpoints"]
        saver.prune([thread])
        assert counts(alias, thread)["checkpoints"] <= min(stored, 8)
        assert graph.get_state(config_of(thread)).values == before
        after = graph.invoke({"log": ["more"], "count": 0}, config_of(thread))
        assert after["log"][: len(before["log"])] == before["log"]


def test_a_call_of_a_sub_graph_goes_with_its_root(saver: DjangoSaver) -> None:
    thread = new_thread()
    first = put(saver, config_of(thread), {"a": 1}, id="1")
    put(saver, config_of(thread, "sub:old"), {"a": 1}, id="2", parents={"": "1"})
    put(saver, first, {"a": 2}, id="3")
    put(saver, config_of(thread, "sub:new"), {"a": 1}, id="4", parents={"": "3"})
    put(saver, config_of(thread, "sub:early"), {"a": 1}, id="5", parents={"": "9"})
    put(saver, config_of(thread, "lasting"), {"a": 1}, id="6", parents={"": "1"})
    saver.prune([thread])
    left = {one.config["configurable"]["checkpoint_ns"] for one in saver.list({"configurable": {"thread_id": thread}})}
    assert left == {"", "sub:new", "sub:early", "lasting"}


def test_deleting_runs_takes_their_values(saver: DjangoSaver, alias: str) -> None:
    thread = new_thread()
    first = put(saver, config_of(thread), {"messages": [*range(20)]}, run_id="one")
    put(saver, first, {"messages": [*range(10, 30)]}, run_id="two")
    saver.delete_for_runs(["one"])
    assert counts(alias, thread) == {"checkpoints": 1, "blobs": 1, "items": 20, "writes": 0}
    assert values_at(saver, config_of(thread)) == {"messages": [*range(10, 30)]}


def test_a_checkpoint_is_read_by_a_statement_that_is_planned_once(committed: None) -> None:
    saver = DjangoSaver("postgres")
    thread, _ = conversation(saver, 20)
    connections["postgres"].close()  # and with it the statements of other tests
    with connections["postgres"].cursor() as cursor:
        cursor.execute("ANALYZE")
        for _ in range(12):
            saver.get_tuple(config_of(thread))
            list(saver.list(config_of(thread), limit=10))
        cursor.execute("SELECT generic_plans FROM pg_prepared_statements WHERE statement LIKE '%WITH page AS%'")
        plans = [count for (count,) in cursor.fetchall()]
    assert len(plans) == 2
    assert min(plans) > 0
