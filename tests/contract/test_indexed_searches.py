"""Searches through pgvector's index give what exact searches give, and no row is in anybody's way."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections, transaction

from obsku_checkpoint.models import Fact
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import FactRecord, Scored
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.testing import Corrupt
from obsku_checkpoint.testing.memory_search import SearchConformance
from tests.pgvector import skip_without_pgvector

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

DIMENSION = 16
ROWS = 1200


@pytest.fixture(scope="module")
def indexed_store(database_of_its_own: str) -> Iterator[PostgresCheckpointStore]:
    """pgvector stands in a schema that nobody's search path has."""
    with PostgresCheckpointStore(database_of_its_own) as store:
        store.setup()
        with psycopg.connect(database_of_its_own, autocommit=True) as connection:
            skip_without_pgvector(connection)
            connection.execute("CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions")
        for dimension in (1, 2, 3, DIMENSION, 64):
            call_command("checkpoints", "index-embeddings", f"--dimension={dimension}", database=store.using)
        yield store


class TestIndexedStore(SearchConformance):
    @pytest.fixture
    def store(self, indexed_store: PostgresCheckpointStore) -> CheckpointStore:
        return indexed_store

    @pytest.fixture
    def corrupt(self, corrupt_in_database_of_its_own: Corrupt) -> Corrupt:
        return corrupt_in_database_of_its_own


def vectors(seed: int, count: int) -> list[list[float]]:
    """About a few directions, the same for every seed, each of a length of its own."""
    chance = random.Random(0)
    centers = [[chance.gauss(0, 1) for _ in range(DIMENSION)] for _ in range(12)]
    chance.seed(seed)
    made = []
    for _ in range(count):
        length = 10 ** chance.uniform(-3, 3)
        made.append([length * (number + chance.gauss(0, 0.3)) for number in chance.choice(centers)])
    return made


def cosine(one: list[float], other: list[float]) -> float:
    return sum(map(float.__mul__, one, other)) / math.hypot(*one) / math.hypot(*other)


@pytest.fixture(scope="module")
def many(indexed_store: PostgresCheckpointStore) -> dict[str, tuple[str, list[float]]]:
    """Facts of two workspaces: more than are looked at one by one. id -> workspace and vector."""
    facts = {f"fact {number}": (f"many {number % 2}", one) for number, one in enumerate(vectors(1, ROWS))}
    for id, (workspace, vector) in facts.items():
        indexed_store.save_fact(id, id=id, workspace_id=workspace, embedding=vector)
    with connections[indexed_store.using].cursor() as cursor:
        # The planner knows the same in every run, and not what the server has found out in its own time.
        cursor.execute("ALTER TABLE facts SET (autovacuum_enabled = false)")
        cursor.execute("ANALYZE facts")
    return facts


IN_ALL, IN_WORKSPACES = f"facts_embedding_{DIMENSION}", f"facts_embedding_{DIMENSION}_workspace"


def scans(store: Any, index: str) -> int:
    connection: Any = connections[store.using]
    with connection.cursor() as cursor:
        if connection.pg_version >= 150000:
            cursor.execute("SELECT pg_stat_force_next_flush()")
        else:
            time.sleep(1)  # figures are sent every half a second
        cursor.execute(
            "SELECT sum(idx_scan)::int FROM pg_stat_user_indexes WHERE indexrelname = %s",
            [index],
        )
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize(
    ("filters", "index", "each"),
    [
        ({"workspace_id": "many 1"}, IN_WORKSPACES, 1),
        ({"workspaces": ["many 0", "many 1"]}, IN_WORKSPACES, 2),
        ({"workspaces": ["many 0", "many 1", *map(str, range(7))]}, IN_ALL, 1),
        ({}, IN_ALL, 1),
    ],
)
def test_the_index_finds_what_an_exact_search_finds(
    indexed_store: PostgresCheckpointStore,
    many: dict[str, tuple[str, list[float]]],
    filters: dict[str, Any],
    index: str,
    each: int,
) -> None:
    before, hits, queries = scans(indexed_store, index), 0, vectors(2, 20)
    for query in queries:
        exact = sorted(
            (cosine(query, vector), id)
            for id, (workspace, vector) in many.items()
            if filters.get("workspace_id", workspace) == workspace
        )[:-11:-1]
        found = indexed_store.nearest(Fact, query, **filters)
        hits += len({id for id, _ in found} & {id for _, id in exact})
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
        for id, score in found:
            assert score == pytest.approx(cosine(query, many[id][1]))
        least = found[4][1]
        near = indexed_store.nearest(Fact, query, threshold=least, **filters)
        assert near == [one for one in found if one[1] >= least]
    assert hits / len(queries) >= 9.5
    assert scans(indexed_store, index) == before + 2 * each * len(queries)


def test_the_async_twin_finds_the_same(
    indexed_store: PostgresCheckpointStore, many: dict[str, tuple[str, list[float]]]
) -> None:
    [query] = vectors(3, 1)

    async def search() -> list[Scored[FactRecord]]:
        try:
            return await indexed_store.asearch_facts(query, workspace_id="many 0", top_k=5)
        finally:
            await indexed_store.aclose()

    found = asyncio.run(search())
    assert found == indexed_store.search_facts(query, workspace_id="many 0", top_k=5)
    ids = indexed_store.nearest(Fact, query, workspace_id="many 0", top_k=5)
    assert [(one.record.id, one.score) for one in found] == ids


def test_of_equally_near_ones_the_newest_come_first(
    indexed_store: PostgresCheckpointStore, many: dict[str, tuple[str, list[float]]]
) -> None:
    [vector] = vectors(5, 1)
    for number in range(250):
        indexed_store.save_fact("again", id=f"again {number:03}", workspace_id="again", embedding=vector)
    found = indexed_store.search_facts(vector, workspace_id="again", top_k=3)
    assert [one.record.id for one in found] == ["again 249", "again 248", "again 247"]


def test_nothing_is_left_in_the_callers_transaction(
    indexed_store: PostgresCheckpointStore, many: dict[str, tuple[str, list[float]]]
) -> None:
    settings = "SELECT current_setting('hnsw.iterative_scan'), current_setting('hnsw.ef_search')"
    store = DjangoCheckpointStore(indexed_store.using)
    with transaction.atomic(using=store.using), connections[store.using].cursor() as cursor:
        store.search_facts([1.0] * DIMENSION)
        cursor.execute("SET LOCAL hnsw.ef_search = 77")
        assert len(store.search_facts([1.0] * DIMENSION, workspace_id="many 1")) == 10
        cursor.execute(settings)
        assert cursor.fetchone() == ("off", "77")
    with connections[store.using].cursor() as cursor:
        cursor.execute(settings)
        assert cursor.fetchone() == ("off", "40")


def test_an_index_that_is_not_finished_is_in_nobodys_way(
    indexed_store: PostgresCheckpointStore, many: dict[str, tuple[str, list[float]]]
) -> None:
    [query] = vectors(4, 1)
    found = indexed_store.search_facts(query, workspace_id="many 0", top_k=3)

    def valid(valid: bool) -> None:
        with connections[indexed_store.using].cursor() as cursor:
            cursor.execute(
                "UPDATE pg_index SET indisvalid = %s WHERE indexrelid = %s::regclass",
                [valid, IN_WORKSPACES],
            )

    valid(False)
    before = scans(indexed_store, IN_WORKSPACES)
    assert indexed_store.search_facts(query, workspace_id="many 0", top_k=3) == found
    for id, vector in {"too large": [1e300] * DIMENSION, "zeros": [0.0] * DIMENSION, "other": [1.0]}.items():
        indexed_store.save_fact(id, id=id, workspace_id="unfinished", embedding=vector)
    assert [one.record.id for one in indexed_store.search_facts([1.0] * DIMENSION, workspace_id="unfinished")] == [
        "too large",
        "zeros",
    ]
    assert scans(indexed_store, IN_WORKSPACES) == before
    call_command("checkpoints", "index-embeddings", f"--dimension={DIMENSION}", database=indexed_store.using)
    assert indexed_store.search_facts(query, workspace_id="many 0", top_k=3) == found
    assert scans(indexed_store, IN_WORKSPACES) == 1  # of the new index
