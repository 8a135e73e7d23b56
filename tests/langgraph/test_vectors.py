"""`DjangoStore` finds items by what they mean, as LangGraph's `InMemoryStore` does."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connections
from langchain_core.embeddings import Embeddings
from langgraph.store.base import BaseStore, IndexConfig, Item, PutOp, SearchItem, SearchOp
from langgraph.store.memory import InMemoryStore

from obsku_checkpoint.contrib.langgraph import DjangoStore
from obsku_checkpoint.contrib.langgraph.models import Vector
from obsku_checkpoint.contrib.langgraph.retention import prune
from obsku_checkpoint.errors import ConfigurationError, InvalidRecordError, SerializationError
from obsku_checkpoint.maintenance import erase
from tests.embedder import DIMENSION, embedder

numbers = itertools.count()

INDEX: IndexConfig = {"dims": DIMENSION, "embed": embedder.embed, "fields": ["text", "tags[*]"]}
WORDS = [
    *("apple", "pear", "plum", "grape", "melon", "lemon", "bread", "butter"),
    *("cheese", "salt", "pepper", "sugar", "coffee", "tea", "milk", "honey"),
]


class Counting(Embeddings):
    """Says the same as the others, and remembers what it was asked, and how."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def embed_query(self, text: str) -> list[float]:
        self.asked.append(("query", text))
        return embedder.embed([text])[0]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked.append(("documents", texts))
        return embedder.embed(texts)

    async def aembed_query(self, text: str) -> list[float]:
        self.asked.append(("aquery", text))
        return embedder.embed([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked.append(("adocuments", texts))
        return embedder.embed(texts)


def store_of(alias: str, index: IndexConfig | None = INDEX, **options: Any) -> DjangoStore:
    return DjangoStore(alias, workspace_id=f"vectors-{next(numbers)}", index=index, **options)


@pytest.fixture
def store(alias: str) -> DjangoStore:
    return store_of(alias)


@pytest.fixture(params=["ours", "theirs"])
def either(request: pytest.FixtureRequest, store: DjangoStore) -> BaseStore:
    """Whatever is asked of both, so that the expectations are LangGraph's."""
    return store if request.param == "ours" else InMemoryStore(index=INDEX)


def keys(items: Sequence[Item]) -> list[str]:
    return [item.key for item in items]


def found(items: Sequence[SearchItem]) -> list[tuple[str, float | None]]:
    return [(item.key, None if item.score is None else round(item.score, 6)) for item in items]


def vectors(store: DjangoStore) -> list[tuple[str, str]]:
    rows = Vector.objects.using(store.store.using).filter(workspace_id=store.workspace_id)
    return sorted(rows.values_list("prefix", "path"))


def test_the_nearest_come_first_and_what_has_no_vector_comes_last(either: BaseStore) -> None:
    either.put(("a",), "none", {"text": "apple"}, index=False)
    either.put(("a",), "apple", {"text": "apple pear"})
    either.put(("a", "b"), "plum", {"text": "plum", "tags": ["bread", "apple"]})
    either.put(("a",), "number", {"text": 7})
    either.put(("a",), "no text", {"other": "apple"})
    either.put(("ab",), "elsewhere", {"text": "apple"})
    found = either.search(("a",), query="apple")
    assert keys(found) == ["plum", "apple", "number", "none", "no text"]
    assert [one.score for one in found] == [pytest.approx(1), pytest.approx(math.sqrt(0.5)), 0, None, None]
    assert (found[0].namespace, found[0].value["text"]) == (("a", "b"), "plum")
    assert {*keys(either.search((), query="apple", limit=2))} == {"plum", "elsewhere"}
    assert keys(either.search(("a",), query="apple", limit=1, offset=1)) == ["apple"]
    assert keys(either.search(("a",), query="apple", filter={"text": {"$ne": "plum"}}, limit=1)) == ["apple"]
    assert [one.score for one in either.search(("a",))] == [None] * 5
    assert keys(either.search(("a",), query="apple", limit=0)) == []


def test_each_put_says_which_paths_are_embedded(either: BaseStore) -> None:
    value = {"text": "apple", "note": {"deep": "pear", "list": [{"is": "plum"}, {"is": "grape"}]}}
    either.put(("n",), "a", value, index=["note.deep"])
    either.put(("n",), "b", value, index=["note.list[*].is"])
    either.put(("n",), "c", value, index=["note.list[-1].is", "note.{deep,none}"])
    either.put(("n",), "d", value, index=[])
    for query, first in {"pear": {"a", "c"}, "plum": {"b"}, "grape": {"b", "c"}, "apple": set[str]()}.items():
        found = either.search(("n",), query=query)
        assert {one.key for one in found if one.score == pytest.approx(1)} == first
        assert found[-1].key == "d"


def test_the_whole_value_is_embedded_where_no_field_is_named(alias: str) -> None:
    store = store_of(alias, {"dims": DIMENSION, "embed": embedder.embed})
    store.put(("n",), "plain", {"text": "apple"})
    store.put(("n",), "rich", {"text": "apple pear", "seen": {1}, "at": datetime(2026, 1, 2, tzinfo=UTC), "raw": b"x"})
    store.put(("n",), "named", {"text": "plum"}, index=["$"])
    assert {one.key: (one.score or 0) > 0.1 for one in store.search(("n",), query="apple")} == {
        "plain": True,
        "rich": True,
        "named": False,
    }
    assert vectors(store) == [('["n",', "$")] * 3


def test_random_operations_give_what_langgraph_gives(alias: str) -> None:
    """Of equally near ones either may come first."""
    chance = random.Random(19)
    ours, theirs = store_of(alias), InMemoryStore(index=INDEX)
    namespaces = [("a",), ("a", "b"), ("a", "b", "c"), ("ab",), ("z", "a")]

    def text() -> str:
        return " ".join(chance.choices(WORDS, k=chance.randint(1, 6)))

    for turn in range(150):
        place = chance.choice(namespaces), str(chance.randrange(12))
        theirs.delete(*place)  # it would keep vectors of paths that the new value does not have
        if chance.random() < 0.2:
            ours.delete(*place)
            continue
        value: dict[str, Any] = {"text": text(), "n": chance.randrange(5), "note": text()}
        if chance.random() < 0.4:
            value["tags"] = [text() for _ in range(chance.randint(0, 4))]
        if chance.random() < 0.1:
            del value["text"]
        index: Any = chance.choice([None, None, None, False, ["note"], ["note", "text"]])
        for store in (ours, theirs):
            store.put(*place, value, index=index)
        prefix = chance.choice([(), ("a",), ("a", "b"), ("z",), ("none",)])
        filter = chance.choice([None, {"n": {"$gte": 3}}, {"n": 0}, {"n": 9}])
        query = text()
        here, there = (one.search(prefix, query=query, filter=filter, limit=200) for one in (ours, theirs))
        assert [one.score for one in here] == [one.score and pytest.approx(one.score) for one in there]
        scores = {(one.namespace, one.key): one.score and pytest.approx(one.score) for one in there}
        assert {(one.namespace, one.key): one.score for one in here} == scores
        if turn % 10 == 0:
            pages = [ours.search(prefix, query=query, filter=filter, limit=7, offset=7 * page) for page in range(9)]
            assert [item for page in pages for item in page] == here


def test_async(alias: str) -> None:
    counting = Counting()
    store = store_of(alias, {"dims": DIMENSION, "embed": counting, "fields": ["text"]})

    async def run() -> Any:
        await store.abatch([PutOp(("n",), str(number), {"text": WORDS[number % 3]}) for number in range(6)])
        return await store.abatch([SearchOp(("n",), query="pear"), SearchOp(("n",), query="plum", limit=1)])

    pear, plum = asyncio.run(run())
    assert [one.score for one in pear[:3]] == [1, 1, 0]
    assert [one.value for one in plum] == [{"text": "plum"}]
    assert counting.asked == [("adocuments", ["apple", "pear", "plum"]), ("aquery", "pear"), ("aquery", "plum")]
    assert [one.score for one in store.search(("n",), query="pear", limit=2)] == [1, 1]
    store.batch([SearchOp(("n",), query="pear"), SearchOp(("n",), query="pear"), SearchOp(("n",))])
    assert counting.asked[3:] == [("query", "pear")] * 2


def test_an_async_function_embeds_in_async_calls(alias: str) -> None:
    async def embed(texts: Sequence[str]) -> list[list[float]]:
        await asyncio.sleep(0)
        return embedder.embed(texts)

    store = store_of(alias, {"dims": DIMENSION, "embed": embed, "fields": ["text"]})

    async def run() -> list[str]:
        await store.aput(("n",), "a", {"text": "apple"})
        await store.aput(("n",), "b", {"text": "pear"})
        return keys(await store.asearch(("n",), query="pear", limit=1))

    assert asyncio.run(run()) == ["b"]
    with pytest.raises(ConfigurationError, match=r"index\.embed is an async function"):
        store.search(("n",), query="pear")
    assert store.get(("n",), "a") is not None
    store.put(("n",), "c", {"text": "no vector"}, index=False)


def test_a_put_replaces_the_vectors_that_the_item_had(store: DjangoStore) -> None:
    store.put(("n",), "k", {"text": "apple", "tags": ["pear", "plum"]})
    assert vectors(store) == [('["n",', "tags[*].0"), ('["n",', "tags[*].1"), ('["n",', "text")]
    store.put(("n",), "k", {"text": "grape"})
    assert vectors(store) == [('["n",', "text")]
    assert found(store.search(("n",), query="apple")) == [("k", 0)]
    store.put(("n",), "k", {"text": "grape"}, index=False)
    assert vectors(store) == []
    assert found(store.search(("n",), query="grape")) == [("k", None)]


def test_a_vector_of_an_earlier_value_does_not_count(alias: str, store: DjangoStore) -> None:
    """A store without an index has changed the item, in the same millisecond perhaps."""
    plain = DjangoStore(alias, workspace_id=store.workspace_id)
    for _ in range(20):
        store.put(("n",), "k", {"text": "apple"})
        assert found(store.search(("n",), query="apple")) == [("k", 1)]
        plain.put(("n",), "k", {"text": "pear"})
        assert found(store.search(("n",), query="apple")) == [("k", None)]
    assert found(plain.search(("n",), query="apple")) == [("k", None)]


def test_writers_at_once_leave_the_vector_of_what_is_stored(store: DjangoStore) -> None:
    def write(word: str) -> None:
        try:
            for number in range(15):
                store.put(("n",), "k", {"text": word, "tags": WORDS[number % 3 : 3]})
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=[word]) for word in WORDS[10:13]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    item = store.get(("n",), "k")
    assert item is not None
    assert found(store.search(("n",), query=item.value["text"])) == [("k", 1)]
    assert len(vectors(store)) == 1 + len(item.value["tags"])


def test_vectors_go_with_their_items(store: DjangoStore) -> None:
    for number in range(4):
        store.put(("n",), str(number), {"text": "apple"}, ttl=1 if number < 2 else None)
    store.delete(("n",), "3")
    with connections[store.store.using].cursor() as cursor:
        cursor.execute(
            "UPDATE langgraph_store SET expires_at = expires_at - 120000 WHERE workspace_id = %s", [store.workspace_id]
        )
    assert keys(store.search(("n",), query="apple")) == ["2"]
    assert len(vectors(store)) == 3
    assert prune(store.store.using, workspace_id=store.workspace_id)["expired_items"] == 2
    assert len(vectors(store)) == 1


def test_a_search_refreshes_times_to_live(store: DjangoStore) -> None:
    for word in WORDS[:3]:
        store.put(("n",), word, {"text": word}, ttl=10)

    def minutes_pass(minutes: int) -> None:
        with connections[store.store.using].cursor() as cursor:
            cursor.execute(
                "UPDATE langgraph_store SET expires_at = expires_at - %s WHERE workspace_id = %s",
                [minutes * 60_000, store.workspace_id],
            )

    minutes_pass(7)
    assert keys(store.search(("n",), query="pear", limit=1)) == ["pear"]
    assert keys(store.search(("n",), query="plum", limit=1, refresh_ttl=False)) == ["plum"]
    minutes_pass(7)
    assert keys(store.search(("n",), query="plum")) == ["pear"]


def test_vectors_of_another_dimension_are_in_nobodys_way(alias: str, store: DjangoStore) -> None:
    """The model was changed: old items come last until they are put again."""
    store.put(("n",), "old", {"text": "apple"})
    other: IndexConfig = {"dims": 2, "embed": lambda texts: [[len(text), 1.0] for text in texts], "fields": ["text"]}
    newer = DjangoStore(alias, workspace_id=store.workspace_id, index=other)
    newer.put(("n",), "new", {"text": "pear"})
    assert found(store.search(("n",), query="apple")) == [("old", 1), ("new", None)]
    assert found(newer.search(("n",), query="four")) == [("new", 1), ("old", None)]
    with connections[alias].cursor() as cursor:
        cursor.execute("UPDATE langgraph_vectors SET embedding = %s WHERE path = 'text'", [b"[1, x"])
    assert found(newer.search(("n",), query="four")) == [("old", None), ("new", None)]


def test_workspaces_do_not_see_each_other(alias: str, store: DjangoStore) -> None:
    store.put(("n",), "k", {"text": "apple"})
    assert store_of(alias).search(("n",), query="apple") == []


def test_what_a_filter_leaves_is_found_behind_what_is_nearer(store: DjangoStore) -> None:
    """And each item once, however many of its texts are near."""
    ops = [PutOp(("n",), f"{number:03}", {"text": "apple", "tags": ["apple"] * 5, "n": number}) for number in range(60)]
    store.batch([*ops, PutOp(("n",), "far", {"text": "pear apple plum", "n": 1000})])
    assert keys(store.search(("n",), query="apple", filter={"n": {"$gt": 59}}, limit=1)) == ["far"]
    near = store.search(("n",), query="apple", limit=60)
    assert len({*keys(near)}) == 60
    assert {one.score for one in near} == {1}
    assert keys(store.search(("n",), query="apple", limit=5, offset=60)) == ["far"]


def test_numbers_of_arrays_are_taken(alias: str) -> None:
    class Array:
        def __init__(self, numbers: list[float]) -> None:
            self.numbers = numbers

        def tolist(self) -> list[float]:
            return self.numbers

    def embed(texts: Sequence[str]) -> Any:
        return [Array(vector) for vector in embedder.embed(texts)]

    store = store_of(alias, {"dims": DIMENSION, "embed": embed, "fields": ["text"]})
    store.put(("n",), "k", {"text": "apple"})
    assert found(store.search(("n",), query="apple")) == [("k", 1)]


@pytest.mark.parametrize(
    ("index", "error", "said"),
    [
        ("openai:small", ConfigurationError, "index is LangGraph's IndexConfig, a dict, not str"),
        ({"embed": embedder.embed}, InvalidRecordError, "index.dims"),
        ({"dims": 0, "embed": embedder.embed}, InvalidRecordError, "index.dims"),
        ({"dims": 16_001, "embed": embedder.embed}, InvalidRecordError, "index.dims"),
        ({"dims": 64}, ConfigurationError, "index.embed takes"),
        ({"dims": 64, "embed": 5}, ConfigurationError, "index.embed takes"),
        ({"dims": 64, "embed": "nobody:has-this"}, ConfigurationError, "index.embed cannot be used"),
        ({"dims": 64, "embed": embedder.embed, "fields": "text"}, InvalidRecordError, "index.fields"),
        ({"dims": 64, "embed": embedder.embed, "fields": ["text", 5]}, InvalidRecordError, r"index.fields\[1\]"),
    ],
)
def test_what_cannot_be_an_index_is_said(index: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        DjangoStore("default", index=index)


@pytest.mark.parametrize(
    ("embed", "said"),
    [
        (lambda texts: embedder.embed(texts)[1:], "index.embed: made 0 vectors of 1 texts"),
        (lambda texts: [[1.0]] * len(texts), "index.dims: is 64, but index.embed makes 1 numbers"),
        (lambda texts: ["x"] * len(texts), "index.embed"),
        (lambda texts: [[math.nan] * 64] * len(texts), r"index.embed\[0\]"),
    ],
)
def test_what_an_embedder_makes_wrong_is_said(alias: str, embed: Callable[[Any], Any], said: str) -> None:
    store = store_of(alias, {"dims": 64, "embed": embed, "fields": ["text"]})
    with pytest.raises(InvalidRecordError, match=said):
        store.put(("n",), "k", {"text": "apple"})
    assert store.get(("n",), "k") is None


def test_an_embedder_is_asked_only_for_what_can_be_stored_and_its_errors_are_the_callers(alias: str) -> None:
    counting = Counting()
    store = store_of(alias, {"dims": DIMENSION, "embed": counting, "fields": ["text"]})
    with pytest.raises(SerializationError):
        store.put(("n",), "k", {"text": "apple", "n": object()})
    with pytest.raises(InvalidRecordError, match="index"):
        store.batch([PutOp(("n",), "k", {"text": "apple"}, index="text")])  # type: ignore[arg-type]  # what is refused
    store.put(("n",), "k", {"text": "apple"}, index=False)
    store.get(("n",), "k")
    store.search(("n",))
    assert counting.asked == []

    def away(texts: Sequence[str]) -> list[list[float]]:
        raise ConnectionError("the model is away")

    store = store_of(alias, {"dims": DIMENSION, "embed": away, "fields": ["text"]})
    with pytest.raises(ConnectionError, match="away"):
        store.put(("n",), "k", {"text": "apple"})
    assert store.search(("n",)) == []


def test_a_workspace_is_erased_with_its_memory(alias: str) -> None:
    memory, other = store_of(alias), store_of(alias)
    for each in (memory, other):
        each.put(("users",), "1", {"text": "apple"})
    workspace = memory.workspace_id
    assert erase(alias, workspace_id=workspace, dry_run=True) == {"langgraph_store": 1}
    assert memory.get(("users",), "1") is not None
    assert erase(alias, workspace_id=workspace) == {"langgraph_store": 1}
    assert memory.get(("users",), "1") is None
    assert not Vector.objects.using(alias).filter(workspace_id=workspace).exists()
    assert [item.key for item in other.search(("users",), query="apple")] == ["1"]
