"""Run a graph of nodes with checkpoints: resume it after a crash, interrupt it with a question, fork it. No Django.

* `definition.py`: what a graph is made of, and which graphs are refused
* `context.py`: what a node is given; `questions.py`: how it asks a question, and which answer is given to it
* `memory.py`: what a run knows from before, and what it leaves behind
* `execution.py`: the state machine of a run: what follows from a node that has ended; does no work itself
* `stored_run.py`: the part of its state that checkpoints hold; `node_results.py`: of that, the nodes' results
* `cycles.py`: how often its cycles have gone back; `answering.py`: how answers reach the questions
* `schedule.py`: the part that is this process's own: which nodes may start, and which are at work
* `engine.py`: does the work: starts nodes, waits for them, saves; `attempts.py`: one node, with its retries
* `callers.py`: in which thread the store and the callbacks are called
* `enclosing.py`: how a fork inside a nested graph goes on
* `runs.py`: `run`, `resume` and their async forms; `editing.py`: `edit`
* `results.py`: what a node and a run come to, and what the caller is told meanwhile; `mermaid.py`: drawings
"""

from __future__ import annotations

from obsku_checkpoint.graph.context import Context, Recalled
from obsku_checkpoint.graph.definition import Edge, Graph, Node
from obsku_checkpoint.graph.editing import aedit, edit
from obsku_checkpoint.graph.memory import Findings, Memory
from obsku_checkpoint.graph.questions import interrupt
from obsku_checkpoint.graph.results import Event, RunResult
from obsku_checkpoint.graph.runs import aresume, arun, resume, run

__all__ = [
    "Context",
    "Edge",
    "Event",
    "Findings",
    "Graph",
    "Memory",
    "Node",
    "Recalled",
    "RunResult",
    "aedit",
    "aresume",
    "arun",
    "edit",
    "interrupt",
    "resume",
    "run",
]
