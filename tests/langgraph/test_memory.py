"""`DjangoStore` does what LangGraph's `InMemoryStore` does, and forgets in time."""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import Any

import pytest
from django.db import connections
from langgraph.store.base import BaseStore, GetOp, Op, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from obsku_checkpoint.contrib.langgraph import DjangoStore
from obsku_checkpoint.contrib.langgraph.retention import prune
from obsku_checkpoint.errors import ConfigurationError, InvalidRecordError, SerializationError

numbers = itertools.count()


@pytest.fixture
def store(alias: str) -> DjangoStore:
    return DjangoStore(alias, workspace_id=f"memory-{next(numbers)}")


@pytest.fixture(params=["ours", "theirs"])
def either(request: pytest.FixtureRequest, store: DjangoStore) -> BaseStore:
    """Whatever is asked of both, so that the expectations are LangGraph's."""
    return store if request.param == "ours" else InMemoryStore()


def keys(items: list[Any]) -> list[str]:
    return [item.key for item in items]


def test_items_come_back(either: BaseStore) -> None:
    value = {"text": "a\0é", "deep": {"list": [1, None, True, 1.5]}, "set": {1}, "big": 2**70}
    either.put(("users", "1"), "a", value)
    item = either.get(("users", "1"), "a")
    assert item is not None
    assert (item.namespace, item.key, item.value) == (("users", "1"), "a", value)
    assert item.created_at.tzinfo is not None
    assert either.get(("users", "1"), "b") is None
    assert either.get(("users",), "a") is None
    either.put(("users", "1"), "a", {"n": 1})
    item = either.get(("users", "1"), "a")
    assert item is not None
    assert item.value == {"n": 1}
    either.delete(("users", "1"), "a")
    either.delete(("users", "1"), "a")
    assert either.get(("users", "1"), "a") is None


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"n": {"$gt": 9}}, ["9.5", "10", "100"]),
    ({"n": {"$gte": 9}}, ["9", "9.5", "10", "100"]),
    ({"n": {"$lte": 10}}, ["9", "9.5", "10", "-1"]),
    ({"n": {"$lt": 9.5}}, ["9", "-1"]),
    ({"n": {"$gt": 9, "$lt": 100}}, ["9.5", "10"]),
    ({"n": 10}, ["10"]),
    ({"n": {"$eq": 10}}, ["10"]),
    ({"n": {"$ne": 10}}, ["9", "9.5", "100", "-1"]),
    ({"n": 10, "kind": "odd"}, []),
    ({"deep": {"a": 1}}, ["9", "9.5", "10", "100", "-1"]),
    ({"deep": {"a": {"$gt": 0}}}, ["9", "9.5", "10", "100", "-1"]),
    ({"deep": {"a": 2}}, []),
    ({"list": [1, {"b": 2}]}, ["9", "9.5", "10", "100", "-1"]),
    ({"list": [1]}, []),
    ({"missing": None}, ["9", "9.5", "10", "100", "-1"]),
    ({"kind": None}, []),
]


@pytest.mark.parametrize(("conditions", "expected"), FILTERS, ids=str)
def test_filters(either: BaseStore, conditions: dict[str, Any], expected: list[str]) -> None:
    for number in (9, 9.5, 10, 100, -1):
        more = {"kind": "x", "deep": {"a": 1, "c": 3}, "list": [1, {"b": 2}]}
        either.put(("n",), str(number), {"n": number, **more})
    assert keys(either.search(("n",), filter=conditions)) == expected


def test_what_is_not_a_number_is_neither_more_nor_less(store: DjangoStore) -> None:
    for key, value in {"text": "x", "none": None, "nan": math.nan, "ten": "10"}.items():
        store.put(("n",), key, {"n": value})
    assert keys(store.search(("n",), filter={"n": {"$gt": 1}})) == ["ten"]
    with pytest.raises(InvalidRecordError, match="unknown operator"):
        store.search(("n",), filter={"n": {"$like": 1}})


def test_searches_have_prefixes_pages_and_the_order_of_insertion(either: BaseStore) -> None:
    for namespace, key in ((("a",), "2"), (("a",), "1"), (("a", "b"), "3"), (("ab",), "4"), (("c", "a"), "5")):
        either.put(namespace, key, {"key": key})
    assert keys(either.search(("a",))) == ["2", "1", "3"]
    assert keys(either.search(())) == ["2", "1", "3", "4", "5"]
    assert keys(either.search((), limit=2, offset=1)) == ["1", "3"]
    assert keys(either.search((), filter={"key": {"$gt": 2}}, limit=2, offset=1)) == ["4", "5"]
    assert keys(either.search(("c",), query="anything")) == ["5"]
    assert either.search(("d",)) == []


def test_a_search_looks_at_more_than_a_page(store: DjangoStore) -> None:
    store.batch([PutOp(("n",), f"{number:04}", {"n": number}) for number in range(1200)])
    assert keys(store.search(("n",), filter={"n": {"$gte": 1100}}, limit=3, offset=1)) == ["1101", "1102", "1103"]


def test_namespaces(either: BaseStore) -> None:
    for namespace in (("a", "b", "c"), ("a", "b"), ("a", "x", "c"), ("z",)):
        either.put(namespace, "k", {})
    assert either.list_namespaces() == [("a", "b"), ("a", "b", "c"), ("a", "x", "c"), ("z",)]
    assert either.list_namespaces(prefix=("a", "b")) == [("a", "b"), ("a", "b", "c")]
    assert either.list_namespaces(suffix=("c",)) == [("a", "b", "c"), ("a", "x", "c")]
    assert either.list_namespaces(prefix=("a", "*"), suffix=("c",)) == [("a", "b", "c"), ("a", "x", "c")]
    assert either.list_namespaces(max_depth=1) == [("a",), ("z",)]
    assert either.list_namespaces(limit=1, offset=1) == [("a", "b", "c")]


def test_a_batch_reads_first_and_the_last_put_wins(either: BaseStore) -> None:
    either.put(("n",), "k", {"n": 0})
    ops: list[Op] = [PutOp(("n",), "k", {"n": 1}), GetOp(("n",), "k"), PutOp(("n",), "k", {"n": 2}), SearchOp(("n",)),
           PutOp(("n",), "gone", {}), PutOp(("n",), "gone", None)]  # fmt: skip
    results: list[Any] = either.batch(ops)
    assert [results[0], results[2]] == [None, None]
    assert results[1].value == {"n": 0}
    assert [item.value for item in results[3]] == [{"n": 0}]
    assert [item.value for item in either.search(("n",))] == [{"n": 2}]


def test_async(either: BaseStore) -> None:
    async def run() -> Any:
        await either.aput(("n",), "k", {"n": 1})
        item = await either.aget(("n",), "k")
        found = await either.asearch(("n",), filter={"n": 1})
        await either.adelete(("n",), "k")
        return item and item.value, keys(found), await either.alist_namespaces(prefix=("none",))

    assert asyncio.run(run()) == ({"n": 1}, ["k"], [])


def test_a_sync_call_on_an_event_loop_says_what_to_write(store: DjangoStore) -> None:
    async def run() -> None:
        with pytest.raises(ConfigurationError, match=r"store\.abatch\(…\)` instead of `store\.batch\("):
            store.get(("n",), "k")

    asyncio.run(run())


def test_workspaces_do_not_see_each_other(alias: str, store: DjangoStore) -> None:
    store.put(("n",), "k", {"n": 1})
    other = DjangoStore(alias, workspace_id="another")
    assert other.get(("n",), "k") is None
    assert other.search(("n",)) == []
    other.delete(("n",), "k")
    assert store.get(("n",), "k") is not None


def expire(store: DjangoStore, minutes: float) -> None:
    """So many minutes pass."""
    with connections[store.store.using].cursor() as cursor:
        cursor.execute(
            "UPDATE langgraph_store SET expires_at = expires_at - %s WHERE workspace_id = %s",
            [round(minutes * 60_000), store.workspace_id],
        )


def test_items_live_as_long_as_they_are_to(store: DjangoStore) -> None:
    store.put(("n",), "short", {"n": 1}, ttl=1)
    store.put(("n",), "long", {"n": 1}, ttl=10)
    store.put(("n",), "forever", {"n": 1})
    expire(store, 2)
    assert store.get(("n",), "short") is None
    assert keys(store.search(("n",), refresh_ttl=False)) == ["long", "forever"]
    expire(store, 7)
    assert store.get(("n",), "long") is not None  # which refreshes it
    expire(store, 7)
    assert store.get(("n",), "long", refresh_ttl=False) is not None
    expire(store, 7)
    assert keys(store.search(("n",))) == ["forever"]
    assert store.list_namespaces() == [("n",)]
    assert prune(store.store.using, workspace_id=store.workspace_id)["expired_items"] == 2
    store.put(("n",), "short", {"n": 2})
    assert keys(store.search(("n",))) == ["forever", "short"]


def test_what_cannot_be_stored_is_refused(store: DjangoStore) -> None:
    with pytest.raises(SerializationError):
        store.put(("n",), "k", {"n": object()})
    with pytest.raises(InvalidRecordError, match="key"):
        store.put(("n",), "a\0", {})
    with pytest.raises(InvalidRecordError, match="operations"):
        store.batch(["nonsense"])  # type: ignore[list-item]  # what is refused
