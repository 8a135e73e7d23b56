"""What a saver knows the database to hold of the threads that it wrote to, so that it need not send that again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from obsku_checkpoint.run_state import GraphReference

#: threads; items and messages of one, and its namespaces
THREADS, ITEMS, NAMESPACES = 1000, 50_000, 100


@dataclass(slots=True)
class Known:
    #: of the thread; as long as it is the thread's, what is known is true. None where nothing is known.
    epoch: int | None
    #: hashes of items
    items: set[bytes] = field(default_factory=set)
    #: ids of messages
    messages: set[str] = field(default_factory=set)
    #: namespace -> node -> when it ended
    times: dict[str, Mapping[str, int]] = field(default_factory=dict)
    #: where the graph is that runs, if it is known; its back edges, and how often each has been taken
    graph: GraphReference | None = None
    back_edges: Sequence[tuple[str, str]] = ()
    iterations: Mapping[str, int] = field(default_factory=dict)


class KnownThreads:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: OrderedDict[str, Known] = OrderedDict()

    def of(self, thread_id: str) -> Known | None:
        with self._lock:
            if known := self._threads.get(thread_id):
                self._threads.move_to_end(thread_id)
            return known

    def learn(
        self,
        thread_id: str,
        epoch: int,
        *,
        items: Iterable[bytes],
        messages: Iterable[str],
        times: Mapping[str, Mapping[str, int]],
        graph: GraphReference | None,
        back_edges: Sequence[tuple[str, str]],
        iterations: Mapping[str, int],
    ) -> None:
        with self._lock:
            known = self._threads.pop(thread_id, None)
            if known is None or known.epoch != epoch or len(known.items) + len(known.messages) > ITEMS:
                known = Known(epoch)
            self._threads[thread_id] = known
            known.items.update(items)
            known.messages.update(messages)
            if len(known.times) > NAMESPACES:
                known.times.clear()
            known.times.update(times)
            known.graph = graph or known.graph
            known.back_edges = back_edges or known.back_edges
            known.iterations = iterations or known.iterations
            while len(self._threads) > THREADS:
                self._threads.popitem(last=False)

    def forget(self, thread_id: str) -> None:
        with self._lock:
            self._threads.pop(thread_id, None)
