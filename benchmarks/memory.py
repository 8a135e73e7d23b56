"""``python -m benchmarks.memory``: searches of many vectors, beside the npm package and LangGraph's `PostgresStore`.

Fills a server of its own with facts in a hundred workspaces, the same in all systems: ours and the npm package share
the table, LangGraph has its own, and so has our store for LangGraph, `DjangoStore`. Then searches one workspace for the
ten nearest, system by system in turn, and prints for each the median and the share of the truly nearest that it found.
``--url`` takes an empty database of another server instead, or one that this program has filled before, with the same
``--vectors``.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import cast

import psycopg
from langgraph.store.base import IndexConfig
from langgraph.store.postgres import PostgresStore
from langgraph.store.postgres.base import PostgresIndexConfig

from benchmarks.server import CONFIGURATION
from obsku_checkpoint.contrib.langgraph import DjangoStore
from obsku_checkpoint.maintenance import index_embeddings
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.npm import package
from tests.npm.process import Npm
from tests.postgres_server import postgres_server

VECTORS, DIMENSION, WORKSPACES, CLUSTERS = 50_000, 384, 100, 1000
QUERIES, EVERYWHERE, ROUNDS, TOP = 30, 5, 3, 10
SETTINGS = f"{CONFIGURATION}\nmaintenance_work_mem = '2GB'\nshared_buffers = '1GB'"

Search = Callable[[list[float], int], list[str]]


class Vectors:
    """Around centers, as those of real texts are: some near to their center, some far; in any workspace."""

    def __init__(self) -> None:
        self.chance = random.Random(1)
        self.centers = [self._around() for _ in range(CLUSTERS)]
        self.noise = [self._around() for _ in range(2000)]

    def _around(self) -> list[float]:
        return [self.chance.gauss(0, 1) for _ in range(DIMENSION)]

    def next(self) -> list[float]:
        center, one, other = (self.chance.choice(these) for these in (self.centers, self.noise, self.noise))
        spread = self.chance.uniform(0.2, 0.8)
        vector = [x + spread * (y + z) for x, y, z in zip(center, one, other, strict=True)]
        length = math.hypot(*vector)
        return array("f", [number / length for number in vector]).tolist()


def fill(url: str, count: int) -> None:
    vectors = Vectors()
    with psycopg.connect(url) as connection, psycopg.connect(url) as other:
        connection.execute(
            "INSERT INTO store (prefix, key, value) SELECT 'w' || n %% %s, 'f' || n, '{\"text\": \"A fact\"}'"
            " FROM generate_series(0, %s - 1) AS n",
            [WORKSPACES, count],
        )
        connection.commit()
        with (
            connection.cursor().copy(
                "COPY facts (id, workspace_id, content, created_at, embedding) FROM STDIN"
            ) as ours,
            other.cursor().copy("COPY store_vectors (prefix, key, field_name, embedding) FROM STDIN") as theirs,
        ):
            for number in range(count):
                id, workspace = f"f{number}", f"w{number % WORKSPACES}"
                text = json.dumps(vectors.next(), separators=(",", ":"))
                ours.write_row((id, workspace, "A fact", number, text.encode()))
                theirs.write_row((workspace, id, "text", text))


#: of `DjangoStore`, from the facts
COPY = """
INSERT INTO langgraph_store (workspace_id, prefix, key, value, created_at, updated_at)
SELECT workspace_id, '["facts"]', id, '{"text":"A fact"}', created_at, created_at FROM facts;
INSERT INTO langgraph_vectors (item_id, workspace_id, prefix, path, created_at, embedding)
SELECT s.id, s.workspace_id, '["facts",', 'text', s.updated_at, f.embedding
FROM facts f JOIN langgraph_store s ON s.key = f.id
"""


def build_theirs(url: str, count: int) -> None:
    """LangGraph's index is there from the beginning; it is made anew behind the rows, as it is."""
    with psycopg.connect(url, autocommit=True) as connection:
        [(definition,)] = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE indexname = 'store_vectors_embedding_idx'"
        ).fetchall()
        connection.execute("DROP INDEX store_vectors_embedding_idx")
        fill(url, count)
        connection.execute(COPY)
        connection.execute("ANALYZE")
        began = time.monotonic()
        connection.execute(definition)
        seconds = time.monotonic() - began
        [(size,)] = connection.execute("SELECT pg_relation_size('store_vectors_embedding_idx')").fetchall()
        print(f"index of LangGraph: {seconds:.0f} s, {size / 1e6:.0f} MB")


def queries() -> list[list[float]]:
    """Each a little beside a vector such as the stored ones."""
    vectors = Vectors()
    vectors.chance.seed(2)
    return [vectors.next() for _ in range(QUERIES)]


@contextmanager
def database(url: str | None) -> Iterator[str]:
    if url:
        yield url
    else:
        with postgres_server(SETTINGS) as own:
            yield own


def true_nearest(url: str, query: list[float], workspace: str | None) -> list[str]:
    """By pgvector, row by row."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT id FROM facts WHERE workspace_id = %(workspace)s::text OR %(workspace)s::text IS NULL"
            " ORDER BY encode(embedding, 'escape')::vector <=> %(query)s::vector, created_at DESC LIMIT %(top)s",
            {"workspace": workspace, "query": str(query), "top": TOP},
        ).fetchall()
    return [id for (id,) in rows]


def compare(systems: dict[str, Search], truth: list[list[str]], asked: list[list[float]], title: str) -> None:
    times: dict[str, list[float]] = {name: [] for name in systems}
    hits = dict.fromkeys(systems, 0)
    for turn in range(ROUNDS):
        for number, query in enumerate(asked):
            for name, search in systems.items():
                began = time.perf_counter()
                found = search(query, number)
                times[name].append(time.perf_counter() - began)
                if not turn:
                    hits[name] += len({*found} & {*truth[number]})
    print(f"\n{title}\n{'':16}{'median':>10}{'p95':>10}{'recall@10':>12}")
    for name, taken in times.items():
        last = sorted(taken)[int(len(taken) * 0.95)]
        recall = hits[name] / len(asked) / TOP
        print(f"{name:16}{median(taken) * 1000:7.1f} ms{last * 1000:7.1f} ms{recall:12.3f}")


def workspace_of(number: int) -> str:
    return f"w{number * 7 % WORKSPACES}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--vectors", type=int, default=VECTORS, help=f"{VECTORS:,} by default")
    parser.add_argument("--url", help="a database to use")
    arguments = parser.parse_args()
    asked: list[list[float]] = queries()
    asked_now: list[list[float]] = []

    with database(arguments.url) as url, PostgresCheckpointStore(url) as ours, ExitStack() as ending:
        ours.setup()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        index: IndexConfig = {
            "dims": DIMENSION,
            "embed": lambda texts: [asked_now[-1]] * len(texts),
            "fields": ["text"],
        }
        with PostgresStore.from_conn_string(url, index=cast("PostgresIndexConfig", index)) as theirs:
            theirs.setup()
            with psycopg.connect(url) as connection:
                [(there,)] = connection.execute("SELECT count(*) FROM facts").fetchall()
            if there != arguments.vectors:
                build_theirs(url, arguments.vectors)
            for made in index_embeddings(ours.using, dimension=DIMENSION):
                print(f"{made.name}: {made.seconds:.0f} s, {made.bytes / 1e6:.0f} MB")

            def in_ours(query: list[float], number: int) -> list[str]:
                found = ours.search_facts(query, workspace_id=workspace_of(number), top_k=TOP, threshold=-1)
                return [one.record.id for one in found]

            def in_langgraph(query: list[float], number: int) -> list[str]:
                asked_now.append(query)
                return [item.key for item in theirs.search((workspace_of(number),), query="?", limit=TOP)]

            def in_npm(query: list[float], number: int) -> list[str]:
                options = {"workspaceId": workspace_of(number), "topK": TOP, "threshold": -1}
                found = npm("searchFactsSemantic", query, options)
                return [dict(fact[1])["id"] for fact in found[1]]

            django_stores = [DjangoStore(ours, workspace_id=f"w{number}", index=index) for number in range(WORKSPACES)]

            def in_django_store(query: list[float], number: int) -> list[str]:
                asked_now.append(query)
                store = django_stores[int(workspace_of(number)[1:])]
                return [item.key for item in store.search(("facts",), query="?", limit=TOP)]

            systems: dict[str, Search] = {"ours": in_ours, "DjangoStore": in_django_store, "LangGraph": in_langgraph}
            try:
                npm = Npm(package.command(Path(package.__file__).with_name("driver.js")), url)
                ending.callback(npm.close)
                systems["npm package"] = in_npm
            except package.CannotBeInstalledError as error:
                print(f"npm package: left out, {error}")
            truth = [true_nearest(url, query, workspace_of(number)) for number, query in enumerate(asked)]
            compare(
                systems, truth, asked, f"one workspace of {WORKSPACES}, {arguments.vectors:,} vectors of {DIMENSION}"
            )

            def everywhere(query: list[float], number: int) -> list[str]:
                return [one.record.id for one in ours.search_facts(query, top_k=TOP, threshold=-1)]

            few = asked[:EVERYWHERE]
            compare({"ours": everywhere}, [true_nearest(url, query, None) for query in few], few, "all workspaces")


if __name__ == "__main__":
    main()
