"""An agent in a process of its own: ``python -m tests.graph.agent URL SESSION LOG``; killed and resumed by a test.

Each node writes its name and key to the log when it is finished.
"""

from __future__ import annotations

import sys
import time
from itertools import chain, pairwise
from pathlib import Path

from obsku_checkpoint.graph import Context, Edge, Graph, resume, run
from obsku_checkpoint.postgres import PostgresCheckpointStore

WIDTH = 4


def graph(log: Path) -> Graph:
    """Rows of nodes, each of which waits for the two above it; then all of it once more."""

    def node(context: Context) -> int:
        time.sleep(0.003)
        with log.open("a") as file:
            file.write(f"{context.node} {context.idempotency_key}\n")
        return 1 + sum(map(int, context.outputs.values()))

    names = [[f"r{row}c{column}" for column in range(WIDTH)] for row in range(WIDTH)]
    edges = [Edge("start", name) for name in names[0]]
    for above, row in pairwise(names):
        edges += [Edge(above[place], name) for place, name in enumerate(row)]
        edges += [Edge(above[place - 1], name) for place, name in enumerate(row)]
    edges += [Edge(name, "end") for name in names[-1]]
    edges.append(Edge("end", "start", back=True, max_iterations=1))
    return Graph(entry="start", nodes=dict.fromkeys(["start", *chain(*names), "end"], node), edges=edges)


def main(url: str, session_id: str, log: str) -> None:
    with PostgresCheckpointStore(url) as store:
        begun = store.get_latest_checkpoint(session_id)
        start = resume if begun else run
        print("ready", flush=True)
        result = start(graph(Path(log)), checkpoint_store=store, session_id=session_id)
        print(result.outputs["end"], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
