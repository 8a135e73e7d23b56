"""`DjangoSaver`: LangGraph's checkpointer over the store's database."""

from __future__ import annotations

from obsku_checkpoint.contrib.langgraph.clearing import Clearing
from obsku_checkpoint.contrib.langgraph.leases import Leases
from obsku_checkpoint.contrib.langgraph.reading import Reading
from obsku_checkpoint.contrib.langgraph.writing import Writing


class DjangoSaver(Reading, Writing, Clearing, Leases):
    """Keeps the state of LangGraph's graphs; a thread is a session. Every method has an async twin.

    It works inside a caller's ``transaction.atomic()`` and outside one, from any number of threads, tasks and
    processes. A graph that is run inside ``atomic()`` is part of the transaction as ``async_to_sync(graph.ainvoke)``:
    ``invoke`` writes from threads of LangGraph's.
    """
