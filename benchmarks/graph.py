"""``python -m benchmarks.graph``: what running a graph costs beside the checkpoints that it saves.

A chain and a fan of nodes that do no work, on PostgreSQL; beside them the same checkpoints, saved by the store alone.
The rounds are taken in turn; the figures are medians. Then the bytes that a run stores, and how many of them are its
own entry, which is no node's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from statistics import median
from typing import Any

import psycopg

from benchmarks.server import server
from obsku_checkpoint.graph import Context, Edge, Graph, run
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.records import CheckpointRecord, NodeResult
from obsku_checkpoint.run_state import read

#: of the store's own throughput
WANTED = 0.7

#: bytes of the results and names of nodes, and of the run's own entries with their key
SIZE = """
SELECT sum(octet_length(node_results) - own + octet_length(pending_nodes)), sum(own)
FROM (
    SELECT node_results, pending_nodes, octet_length('"#run":,' || (node_results::json -> '#run')::text) AS own
    FROM checkpoints WHERE session_id = %s
) checkpoints
"""


def no_work(context: Context) -> int:
    return len(context.outputs)


def chain(size: int) -> Graph:
    names = [f"node-{number}" for number in range(size)]
    edges = [Edge(*pair) for pair in pairwise(names)]
    return Graph(entry=names[0], nodes=dict.fromkeys(names, no_work), edges=edges)


def fan(size: int) -> Graph:
    names = [f"node-{number}" for number in range(size)]
    edges = [Edge(names[0], name) for name in names[1:-1]] + [Edge(name, names[-1]) for name in names[1:-1]]
    return Graph(entry=names[0], nodes=dict.fromkeys(names, no_work), edges=edges)


def save_alone(store: PostgresCheckpointStore, nodes: Mapping[str, NodeResult]) -> None:
    """The checkpoints of the run that ended with these results, one after the other."""
    session = store.create_session("/srv/agent")
    results: dict[str, NodeResult] = {}
    pending = list(nodes)
    parent = store.save_checkpoint(session.id, step=0, node_results={}, pending_nodes=pending, version=1)
    for node, result in nodes.items():
        results[node] = result
        pending.remove(node)
        parent = store.save_checkpoint(
            session.id,
            step=parent.step + 1,
            node_results=results,
            pending_nodes=pending,
            version=parent.version + 1,
            node_id=node,
            parent_id=parent.id,
        )


def rate(size: int, call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return size / (time.perf_counter() - begin)


def main() -> None:
    options = _options()
    with server() as database:
        database.create_tables()
        with PostgresCheckpointStore(database.url(database.shared)) as store:
            for graph, name in ((chain(options.nodes), "chain"), (fan(options.nodes), "fan")):
                last = _measure(store, graph, name, options)
                _measure_size(database.url(database.shared), last, name)


def _measure(store: PostgresCheckpointStore, graph: Graph, name: str, options: argparse.Namespace) -> CheckpointRecord:
    last = run(graph, checkpoint_store=store).checkpoint
    size, nodes = last.version, read(last).results
    ways: dict[str, Callable[[], Any]] = {
        "store alone": lambda: save_alone(store, nodes),
        "run": lambda: run(graph, checkpoint_store=store),
        "run, one at a time": lambda: run(graph, checkpoint_store=store, max_concurrency=1),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, call in ways.items():
            rates[way].append(rate(size, call))
    alone = median(rates["store alone"])
    for way, figures in rates.items():
        share = median(figures) / alone
        verdict = (
            "" if way == "store alone" else f"   {'holds' if share >= WANTED else 'FAILS'}  {share:4.0%} of the store"
        )
        print(f"{name:6} {size:5} checkpoints  {way:20} {median(figures):8,.0f}/s{verdict}", flush=True)
    return last


def _measure_size(url: str, last: CheckpointRecord, name: str) -> None:
    with psycopg.connect(url) as connection:
        row = connection.execute(SIZE, [last.session_id]).fetchone()
    assert row
    whole, own = row
    print(f"{name:6} {last.version:5} checkpoints  {whole:,} bytes, {own / whole:.2%} more for the run")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graph", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
