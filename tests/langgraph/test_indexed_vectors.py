"""`DjangoStore` searches through pgvector's index, beside LangGraph's `PostgresStore`."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from langgraph.store.base import IndexConfig, PutOp
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres import PostgresStore

from obsku_checkpoint.contrib.langgraph import DjangoStore
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.pgvector import skip_without_pgvector

DIMENSION = 16
ITEMS = 1200
INDEX = f"langgraph_vectors_embedding_{DIMENSION}_workspace"


def embed(texts: Sequence[str]) -> list[list[float]]:
    """A text is its vector."""
    return [json.loads(text) for text in texts]


INDEXED: IndexConfig = {"dims": DIMENSION, "embed": embed, "fields": ["text"]}


def texts(seed: int, count: int) -> list[str]:
    """About a few directions, the same for every seed."""
    chance = random.Random(0)
    centers = [[chance.gauss(0, 1) for _ in range(DIMENSION)] for _ in range(12)]
    chance.seed(seed)
    made = []
    for _ in range(count):
        vector = [number + chance.gauss(0, 0.3) for number in chance.choice(centers)]
        made.append(json.dumps([round(number / math.hypot(*vector), 4) for number in vector]))
    return made


def places() -> list[tuple[tuple[str, ...], str, dict[str, Any]]]:
    return [
        (("users", str(number % 3)), f"{number:04}", {"text": text, "n": number % 100})
        for number, text in enumerate(texts(1, ITEMS))
    ]


@pytest.fixture(scope="module")
def url(postgres_database: Callable[[], str]) -> str:
    url = postgres_database()
    with psycopg.connect(url, autocommit=True) as connection:
        skip_without_pgvector(connection)
        connection.execute("CREATE EXTENSION vector")
    return url


@pytest.fixture(scope="module")
def checkpoints(url: str) -> Iterator[PostgresCheckpointStore]:
    with PostgresCheckpointStore(url) as store:
        store.setup()
        call_command("checkpoints", "index-embeddings", f"--dimension={DIMENSION}", database=store.using)
        yield store


@pytest.fixture(scope="module")
def ours(checkpoints: PostgresCheckpointStore) -> DjangoStore:
    store = DjangoStore(checkpoints, index=INDEXED)
    store.batch([PutOp(*place) for place in places()])
    DjangoStore(checkpoints, workspace_id="other", index=INDEXED).batch([PutOp(*place) for place in places()])
    with connections[checkpoints.using].cursor() as cursor:
        # The planner knows the same in every run, and not what the server has found out in its own time.
        for table in ("langgraph_vectors", "langgraph_store"):
            cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
            cursor.execute(f"ANALYZE {table}")
    return store


@pytest.fixture(scope="module")
def in_memory() -> InMemoryStore:
    store = InMemoryStore(index=INDEXED)
    store.batch([PutOp(*place) for place in places()])
    return store


def scans(store: DjangoStore) -> int:
    connection: Any = connections[store.store.using]
    with connection.cursor() as cursor:
        if connection.pg_version < 150000:
            pytest.skip("before PostgreSQL 15 nobody can have its figures at once")
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s", [INDEX])
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("prefix", [(), ("users",), ("users", "1")])
def test_the_index_finds_what_langgraph_finds(
    ours: DjangoStore, in_memory: InMemoryStore, prefix: tuple[str, ...]
) -> None:
    before, hits, queries = scans(ours), 0, texts(2, 20)
    for query in queries:
        here, there = (store.search(prefix, query=query) for store in (ours, in_memory))
        assert [one.score for one in here] == sorted((one.score or 0 for one in here), reverse=True)
        scores = {one.key: one.score for one in there}
        hits += len([one for one in here if one.score == pytest.approx(scores.get(one.key), abs=1e-9)])
    assert hits / len(queries) >= 9.5
    assert scans(ours) == before + len(queries)


def test_a_filter_goes_on_until_it_has_found_enough(ours: DjangoStore, in_memory: InMemoryStore) -> None:
    for query in texts(3, 10):
        here, there = (
            store.search(("users", "2"), query=query, filter={"n": {"$lt": 10}}, limit=5) for store in (ours, in_memory)
        )
        assert [one.key for one in here] == [one.key for one in there]
        assert [one.score for one in here] == pytest.approx([one.score for one in there])


def test_few_are_looked_at_one_by_one(ours: DjangoStore) -> None:
    before, few = scans(ours), texts(4, 20)
    ours.batch([PutOp(("few",), str(number), {"text": text}) for number, text in enumerate(few)])
    for number, text in enumerate(few):
        assert ours.search(("few",), query=text, limit=1)[0].key == str(number)
    assert scans(ours) == before


def test_so_are_some_more_among_many(ours: DjangoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    some = texts(7, 60)
    for workspace in (ours, DjangoStore(ours.store, workspace_id="some", index=INDEXED)):
        workspace.batch([PutOp(("some",), str(number), {"text": text}) for number, text in enumerate(some)])
    monkeypatch.setattr("obsku_checkpoint.store.memory_index.FEW", 20)
    before = scans(ours)
    assert ours.search(("some",), query=some[5], limit=1)[0].key == "5"  # 60 times 60 is below three times 1,200
    assert scans(ours) == before
    assert workspace.search(("some",), query=some[5], limit=1)[0].key == "5"
    assert scans(ours) == before + 1


def test_items_that_have_changed_or_are_gone_are_not_found_through_the_index(
    checkpoints: PostgresCheckpointStore,
) -> None:
    store = DjangoStore(checkpoints, workspace_id="changing", index=INDEXED)
    plain = DjangoStore(checkpoints, workspace_id="changing")
    [near] = texts(5, 1)
    store.batch([PutOp(*place) for place in places()[:400]])
    store.put(("users", "0"), "changed", {"text": near})
    store.put(("users", "0"), "expired", {"text": near}, ttl=1)
    store.put(("users", "0"), "there", {"text": near})
    plain.put(("users", "0"), "changed", {"text": "other"})
    with connections[checkpoints.using].cursor() as cursor:
        cursor.execute("UPDATE langgraph_store SET expires_at = 1 WHERE key = 'expired'")
    found = store.search(("users",), query=near, limit=3)
    assert found[0].key == "there"
    assert {"changed", "expired"}.isdisjoint(one.key for one in found)


def test_beside_langgraphs_postgres_store(url: str, ours: DjangoStore) -> None:
    index: Any = {**INDEXED, "ann_index_config": {"kind": "flat"}}
    with PostgresStore.from_conn_string(url, index=index) as theirs:
        theirs.setup()
        theirs.batch([PutOp(*place) for place in places()])
        for query in texts(6, 10):
            for filter in (None, {"n": {"$gt": 50}}):
                here, there = (
                    store.search(("users", "1"), query=query, filter=filter, limit=5) for store in (ours, theirs)
                )
                assert [one.key for one in here] == [one.key for one in there]
                for one, other in zip(here, there, strict=True):
                    assert one.score == pytest.approx(other.score, abs=1e-6)
                    assert (one.namespace, one.value) == (other.namespace, other.value)
