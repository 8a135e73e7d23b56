"""``python -m benchmarks.graph``: what running a graph costs beside the checkpoints that it saves.

A chain and a fan of nodes that do no work, on PostgreSQL; beside them the same checkpoints, saved by the store alone.
The rounds are taken in turn; the figures are medians.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import Any

from benchmarks.server import server
from obsku_checkpoint.graph import Context, Edge, Graph, run
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.records import CheckpointRecord, NodeResult

#: of the store's own throughput
WANTED = 0.7


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


def save_alone(store: PostgresCheckpointStore, last: CheckpointRecord) -> None:
    """The checkpoints of the run that ended with ``last``, one after the other."""
    session = store.create_session("/srv/agent")
    results: dict[str, NodeResult] = {}
    pending = list(last.node_results)
    parent = store.save_checkpoint(session.id, step=0, node_results={}, pending_nodes=pending, version=1)
    for node, result in last.node_results.items():
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
                _measure(store, graph, name, options)


def _measure(store: PostgresCheckpointStore, graph: Graph, name: str, options: argparse.Namespace) -> None:
    last = run(graph, checkpoint_store=store).checkpoint
    size = last.version
    ways: dict[str, Callable[[], Any]] = {
        "store alone": lambda: save_alone(store, last),
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


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graph", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
