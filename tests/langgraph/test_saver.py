"""What LangGraph's suite does not ask: the orders in which calls come, and what values, ids and filters hold."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections, transaction
from langgraph.types import Interrupt

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.errors import IdConflictError, InvalidRecordError, SerializationError, StoreUnavailableError
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.langgraph import graphs
from tests.langgraph.steps import checkpoint_of, config_of, new_thread, put, values_at

TABLES = ("checkpoints", "blobs", "items", "writes", "messages", "threads")


def rows_of(alias: str, thread_id: str) -> dict[str, int]:
    counts = {}
    with connections[alias].cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT count(*) FROM langgraph_{table} WHERE session_id = %s", [thread_id])
            counts[table] = cursor.fetchone()[0]
    return counts


def in_threads(count: int, work: Any) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def test_writes_come_before_their_checkpoint_many_at_once(saver: DjangoSaver) -> None:
    thread = new_thread()
    config = config_of(thread, checkpoint_id="1")
    in_threads(8, lambda number: saver.put_writes(config, [("a", number)], f"task-{number}"))
    put(saver, config_of(thread), {"a": 0}, id="1")
    saved = saver.get_tuple(config_of(thread))
    assert saved is not None
    assert saved.pending_writes == [(f"task-{number}", "a", number) for number in range(8)]


def test_checkpoints_and_writes_of_a_new_thread_come_at_once(saver: DjangoSaver) -> None:
    for _ in range(5):
        thread = new_thread()

        def work(number: int, thread: str = thread) -> None:
            if number:
                saver.put_writes(config_of(thread, checkpoint_id="1"), [("a", number)], f"task-{number}")
            else:
                put(saver, config_of(thread), {"a": 0}, id="1")

        in_threads(5, work)
        saved = saver.get_tuple(config_of(thread))
        assert saved is not None
        assert len(saved.pending_writes or ()) == 4


def test_writes_come_after_the_next_checkpoint(saver: DjangoSaver) -> None:
    thread = new_thread()
    first = put(saver, config_of(thread), {"a": 1})
    put(saver, first, {"a": 2})
    saver.put_writes(first, [("a", 3)], "late")
    saved = saver.get_tuple(first)
    assert saved is not None
    assert saved.pending_writes == [("late", "a", 3)]


def test_special_writes_are_replaced_and_others_are_not_also_in_one_call(saver: DjangoSaver) -> None:
    config = put(saver, config_of(new_thread()), {"a": 1})
    saver.put_writes(config, [("__resume__", "first"), ("a", "first")], "task")
    saver.put_writes(config, [("__resume__", ["second"]), ("a", "second")], "task")
    saved = saver.get_tuple(config)
    assert saved is not None
    assert saved.pending_writes == [("task", "__resume__", ["second"]), ("task", "a", "first")]


def test_writes_stand_in_the_order_of_their_tasks_paths(saver: DjangoSaver) -> None:
    config = put(saver, config_of(new_thread()), {"a": 1})
    for task, path in (("z", "~1"), ("a", "~2"), ("m", "")):
        saver.put_writes(config, [("a", 1), ("b", 2)], task, path)
    saved = saver.get_tuple(config)
    assert saved is not None
    assert [write[0] for write in saved.pending_writes or ()] == ["m", "m", "z", "z", "a", "a"]


def test_no_id_is_the_newest(saver: DjangoSaver) -> None:
    thread = new_thread()
    put(saver, put(saver, config_of(thread), {"a": 1}), {"a": 2})
    assert values_at(saver, {"configurable": {"thread_id": thread, "checkpoint_id": None}}) == {"a": 2}
    assert values_at(saver, {"configurable": {"thread_id": thread}}) == {"a": 2}


def test_a_checkpoint_without_new_versions_has_the_values_of_its_parents(saver: DjangoSaver) -> None:
    thread = new_thread()
    values = {"text": "x" * 1000, "list": [*range(20)], "small": 1}
    versions: dict[str, Any] = dict.fromkeys(values, saver.get_next_version(None, None))
    first = saver.put(config_of(thread), checkpoint_of(values, versions), {"source": "loop", "step": 1}, versions)
    fork = saver.put(first, checkpoint_of(values, versions), {"source": "fork", "step": 2}, {})
    assert values_at(saver, fork) == values


def test_one_id_in_two_namespaces_and_two_threads(saver: DjangoSaver) -> None:
    one, other = new_thread(), new_thread()
    places = [config_of(one), config_of(one, "sub:1"), config_of(other)]
    for number, place in enumerate(places):
        put(saver, place, {"a": number, "b": [number] * 20}, id="same")
    for number, place in enumerate(places):
        assert values_at(saver, place) == {"a": number, "b": [number] * 20}


@pytest.mark.parametrize("text", ["a_b", "a:b|c:d", "a/b", "100%", "%s", "'\"", "é\u2028\U0001f600", "_%"])
def test_ids_of_any_text(saver: DjangoSaver, text: str) -> None:
    thread = new_thread(text)
    config = put(saver, config_of(thread, text), {text: [text] * 10}, id=text, key=text)
    saver.put_writes(config, [(text, text)], text, text)
    saved = saver.get_tuple(config)
    assert saved is not None
    assert saved.config == config
    assert saved.checkpoint["channel_values"] == {text: [text] * 10}
    assert saved.pending_writes == [(text, text, text)]
    assert [one.config for one in saver.list(config_of(thread, text), filter={"key": text})] == [config]


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_an_id_that_no_text_column_holds_is_refused(saver: DjangoSaver, text: str) -> None:
    with pytest.raises(InvalidRecordError, match="thread_id"):
        put(saver, config_of(text), {"a": 1})
    with pytest.raises(InvalidRecordError, match="thread_id"):
        saver.get_tuple(config_of(text))
    with pytest.raises(InvalidRecordError, match="thread_id: is missing"):
        saver.get_tuple({"configurable": {}})


VALUES: list[Any] = [
    "a\0b", {"a": "\0"}, math.inf, 2**64, -(2**63) - 1, 2**1000, b"\0\xff", bytearray(b"x"), "é" * 100, {1: 2}, {1, 2},
    None, True, 1.5, "", [], {}, "x" * 100_000, [[1, [2]]], ["\0"] * 20,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back(saver: DjangoSaver, value: Any) -> None:
    config = put(saver, config_of(new_thread()), {"a": value})
    saver.put_writes(config, [("a", value)], "task")
    saved = saver.get_tuple(config)
    assert saved is not None
    assert saved.checkpoint["channel_values"] == {"a": value}
    assert saved.pending_writes == [("task", "a", value)]


def test_not_a_number_comes_back(saver: DjangoSaver) -> None:
    config = put(saver, config_of(new_thread()), {"a": math.nan, "b": [math.nan] * 10}, score=math.nan)
    saved = saver.get_tuple(config)
    assert saved is not None
    assert math.isnan(saved.checkpoint["channel_values"]["a"])
    assert math.isnan(saved.checkpoint["channel_values"]["b"][9])
    assert math.isnan(saved.metadata["score"])  # type: ignore[typeddict-item]  # a key of our own


def test_a_lone_surrogate_becomes_a_question_mark_as_with_langgraphs_own(saver: DjangoSaver) -> None:
    config = put(saver, config_of(new_thread()), {"a": "x\ud800" * 50}, deep={"text": "y\ud800"})
    saved = saver.get_tuple(config)
    assert saved is not None
    assert saved.checkpoint["channel_values"]["a"] == "x?" * 50
    assert saved.metadata["deep"] == {"text": "y?"}  # type: ignore[typeddict-item]  # as above


def test_metadata_come_back(saver: DjangoSaver) -> None:
    said: dict[str, Any] = {"deep": {"nul": "\0", "big": 2**60, "set": {1}}, "list": [1, None, 1.5, True], "text": "é"}
    config = put(saver, config_of(new_thread()), {"a": 1}, **said)
    saved = saver.get_tuple(config)
    assert saved is not None
    assert {key: saved.metadata[key] for key in said} == said  # type: ignore[literal-required]  # as above


def test_filters(saver: DjangoSaver) -> None:
    thread = new_thread()
    kinds: list[Any] = [True, 1, 0, False, "1", None, {"a": 1, "b": [2]}, [1, 2], 1.5]
    for number, kind in enumerate(kinds):
        put(saver, config_of(thread), {"a": 1}, id=str(number), kind=kind)
    put(saver, config_of(thread), {"a": 1}, id="missing")

    def found(**conditions: Any) -> list[str]:
        listed = saver.list(config_of(thread), filter=conditions)
        return [one.checkpoint["id"] for one in listed]

    assert found(kind=True) == ["0"]
    assert found(kind=1) == found(kind=1.0) == ["1"]
    assert found(kind="1") == ["4"]
    assert found(kind=None) == ["missing", "5"]
    assert found(kind={"b": [2], "a": 1}) == ["6"]
    assert found(kind={"a": 1}) == []
    assert found(kind=[1, 2]) == ["7"]
    assert found(kind=[1]) == []
    assert found(kind=1.5, step=1) == ["8"]
    assert found(kind=1.5, step=2) == []


def test_a_list_over_all_threads_has_pages_before_and_limits(saver: DjangoSaver) -> None:
    mark = new_thread("mark")
    ids = [f"{number:04}" for number in range(150)]
    for id in ids:
        put(saver, config_of(f"{mark}-{int(id) % 3}"), {"a": id}, id=id, mark=mark)
    listed = [one.checkpoint["id"] for one in saver.list(None, filter={"mark": mark})]
    assert listed == ids[::-1]
    before = config_of("any", checkpoint_id="0100")
    listed = [one.checkpoint["id"] for one in saver.list(None, filter={"mark": mark}, before=before, limit=90)]
    assert listed == ids[10:100][::-1]
    assert [*saver.list(None, filter={"mark": mark}, limit=0)] == []


def test_a_list_goes_on_while_checkpoints_are_written(saver: DjangoSaver) -> None:
    thread = new_thread()
    for number in range(40):
        put(saver, config_of(thread), {"a": number}, id=f"{number:04}")
    listed = []
    for one in saver.list(config_of(thread)):
        listed.append(one.checkpoint["id"])
        put(saver, config_of(thread), {"a": 1}, id=f"new-{one.checkpoint['id']}")
    assert listed == [f"{number:04}" for number in range(40)][::-1]


def test_a_deleted_thread_leaves_nothing(saver: DjangoSaver, alias: str) -> None:
    thread = new_thread()
    for namespace in ("", "sub:1", "sub:1|deep:2"):
        config = put(saver, config_of(thread, namespace), {"a": [*range(20)]})
        saver.put_writes(config, [("__interrupt__", (Interrupt("?"),))], "task")
    assert rows_of(alias, thread)["checkpoints"] == 3
    saver.delete_thread(thread)
    assert rows_of(alias, thread) == dict.fromkeys(TABLES, 0)
    assert saver.store.get_session(thread) is None


def test_a_thread_is_copied_only_to_where_none_is(saver: DjangoSaver) -> None:
    one, other = new_thread(), new_thread()
    config = put(saver, config_of(one), {"a": [*range(20)], "b": "x"})
    put(saver, config_of(other), {"a": 1})
    with pytest.raises(IdConflictError):
        saver.copy_thread(one, other)
    assert values_at(saver, config_of(other)) == {"a": 1}
    copy = new_thread()
    saver.copy_thread(one, copy)
    saver.delete_thread(one)
    assert values_at(saver, config_of(copy)) == {"a": [*range(20)], "b": "x"}
    config["configurable"]["thread_id"] = copy
    put(saver, config, {"a": [*range(21)]})
    assert values_at(saver, config_of(copy)) == {"a": [*range(21)]}


def test_eight_writers_in_one_namespace_lose_nothing(saver: DjangoSaver) -> None:
    thread = new_thread()

    def work(writer: int) -> None:
        for number in range(10):
            put(saver, config_of(thread), {"a": [writer, number, *range(20)]}, id=f"{writer}-{number}")

    in_threads(8, work)
    assert len([*saver.list(config_of(thread))]) == 80
    records = saver.store.list_checkpoints(thread)
    if saver.projection == "full":
        assert [one.version for one in records] == [*range(80, 0, -1)]
        times = [one.created_at for one in records]
        assert times == sorted(times, reverse=True)
        assert len(set(times)) == 80
    else:
        assert records == []


def test_the_same_checkpoint_again_is_stored_once(saver: DjangoSaver) -> None:
    thread = new_thread()
    put(saver, config_of(thread), {"a": 1}, id="1", tag="first")
    put(saver, config_of(thread), {"a": 2}, id="1", tag="second")
    (saved,) = saver.list(config_of(thread))
    assert saved.checkpoint["channel_values"] == {"a": 2}
    assert saved.metadata["tag"] == "second"  # type: ignore[typeddict-item]  # a key of our own
    assert len(saver.store.list_checkpoints(thread)) == (saver.projection == "full")


def test_inside_the_callers_transaction(saver: DjangoSaver, alias: str) -> None:
    thread = new_thread()
    elements = [f"{number}" * 100 for number in range(20)]
    put(saver, config_of(thread), {"a": 1}, id="0")
    with pytest.raises(KeyError), transaction.atomic(using=alias):
        put(saver, config_of(thread), {"a": elements}, id="1")
        with pytest.raises(SerializationError):
            put(saver, config_of(thread), {"a": object()}, id="2")
        assert values_at(saver, config_of(thread)) == {"a": elements}
        raise KeyError
    assert values_at(saver, config_of(thread)) == {"a": 1}
    put(saver, config_of(thread), {"a": elements}, id="3")  # what was taken back is sent again
    assert values_at(saver, config_of(thread)) == {"a": elements}


def test_a_graph_in_the_callers_transaction(saver: DjangoSaver, alias: str) -> None:
    config = config_of(new_thread())
    graph = graphs.tool_loop().compile(checkpointer=saver)
    with pytest.raises(KeyError), transaction.atomic(using=alias):
        async_to_sync(graph.ainvoke)(graphs.question(1), config)
        assert saver.get_tuple(config) is not None
        raise KeyError
    assert saver.get_tuple(config) is None


def test_a_thread_of_another_workspace_is_neither_read_nor_written(alias: str) -> None:
    ours, theirs = DjangoSaver(alias, workspace_id="ours"), DjangoSaver(alias, workspace_id="theirs")
    thread = new_thread()
    config = put(theirs, config_of(thread), {"a": 1})
    assert ours.get_tuple(config) is None
    assert [*ours.list(config_of(thread))] == []
    assert config not in [one.config for one in ours.list(None)]
    with pytest.raises(IdConflictError):
        put(ours, config_of(thread), {"a": 2})
    with pytest.raises(IdConflictError):
        ours.put_writes(config, [("a", 2)], "task")
    ours.delete_thread(thread)
    ours.prune([thread], strategy="delete")
    ours.copy_thread(thread, new_thread())
    ours.delete_for_runs(["run"])
    assert values_at(theirs, config) == {"a": 1}
    assert values_at(DjangoSaver(alias), config_of(thread, workspace_id="theirs")) == {"a": 1}
    session = theirs.store.get_session(thread)
    assert session is not None
    assert session.workspace_id == "theirs"


def test_threads_leave_no_connection_open(saver: DjangoSaver, alias: str) -> None:
    def work(number: int) -> bool:
        put(saver, config_of(new_thread()), {"a": 1})
        return connections[alias].connection is None

    assert all(in_threads(3, work))


def test_a_database_that_is_away_is_said_in_our_words(committed: None) -> None:
    with PostgresCheckpointStore("postgresql://me@localhost:1/none", timeout=2) as store:
        saver = DjangoSaver(store)
        for call in (lambda: put(saver, config_of("t"), {"a": 1}), lambda: saver.get_tuple(config_of("t"))):
            with pytest.raises(StoreUnavailableError):
                call()

        async def run() -> None:
            with pytest.raises(StoreUnavailableError):
                await saver.aget_tuple(config_of("t"))
            with pytest.raises(StoreUnavailableError):
                await saver.aput_writes(config_of("t", checkpoint_id="1"), [("a", 1)], "task")

        asyncio.run(run())


def test_over_djangos_own_cursor(saver: DjangoSaver, alias: str) -> None:
    """As with DEBUG, a tool that watches queries, or a backend of somebody else's: its answers are text."""
    config = config_of(new_thread())
    connections[alias].force_debug_cursor = True
    try:
        stored = put(saver, config, {"a": b"\x00\xff", "b": ["x"] * 20})
        assert values_at(saver, stored) == {"a": b"\x00\xff", "b": ["x"] * 20}
    finally:
        connections[alias].force_debug_cursor = False
