"""Run a graph of nodes with checkpoints: resume it after a crash, interrupt it with a question, fork it. No Django.

* `definition.py`: what a graph is made of, and which graphs are refused
* `context.py`: what a node is given, and how it asks a question
* `execution.py`: the state of a run: which nodes may start, what the next checkpoint holds; does no work itself
* `node_results.py`: the part of it that a checkpoint's ``node_results`` hold
* `engine.py`: does the work: starts nodes, waits for them, saves; `attempts.py`: one node, with its retries
* `callers.py`: in which thread the store and the callbacks are called
* `runs.py`: `run`, `resume` and their async forms; `editing.py`: `edit`
* `results.py`: what a node and a run come to; `events.py`: what the caller is told meanwhile; `mermaid.py`: drawings
"""

from __future__ import annotations

from obsku_checkpoint.graph.context import Context, interrupt
from obsku_checkpoint.graph.definition import Edge, Graph, Node
from obsku_checkpoint.graph.editing import aedit, edit
from obsku_checkpoint.graph.events import Event
from obsku_checkpoint.graph.results import RunResult
from obsku_checkpoint.graph.runs import aresume, arun, resume, run

__all__ = [
    "Context",
    "Edge",
    "Event",
    "Graph",
    "Node",
    "RunResult",
    "aedit",
    "aresume",
    "arun",
    "edit",
    "interrupt",
    "resume",
    "run",
]
