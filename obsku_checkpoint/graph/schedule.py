"""Which nodes this process may start, and which it has at work. None of it is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter
from itertools import chain

from obsku_checkpoint.graph.definition import Edge, Graph


class Schedule:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._sorter: TopologicalSorter[str] | None = None
        #: at work, in the order in which they were started
        self.running: dict[str, None] = {}
        #: may start -> the edges that led to it
        self.ready: dict[str, list[Edge]] = {}
        #: unfinished, and not started by this process any more: failed, or waiting for an answer
        self.held: set[str] = set()

    @property
    def is_sorted(self) -> bool:
        return self._sorter is not None

    def sort(self, pending: Collection[str]) -> None:
        """Begin anew with these nodes to run, and with those at work as they are."""
        open = {*pending, *self.held}
        self.ready.clear()
        waits = self._graph.waits_for
        self._sorter = TopologicalSorter({name: waits[name] & open for name in self._graph.order if name in open})
        self._sorter.prepare()

    def next_ones(self) -> Iterator[str]:
        """The nodes whose predecessors are all finished by now, but for those at work or held."""
        while self._sorter and (names := self._sorter.get_ready()):
            for name in names:
                if name not in self.held and name not in self.running:
                    yield name

    def start(self) -> dict[str, list[Edge]]:
        """The nodes that may start, with the edges that led there; they count as running until they are finished."""
        started, self.ready = self.ready, {}
        self.running |= dict.fromkeys(started)
        return started

    def finished(self, name: str) -> None:
        self.running.pop(name, None)
        if self._sorter:
            self._sorter.done(name)

    def hold(self, name: str) -> None:
        self.running.pop(name, None)
        self.held.add(name)

    def at_work(self) -> Iterator[str]:
        """The nodes at work, in the order in which they were started, and those about to begin."""
        return chain(self.running, self.ready)
