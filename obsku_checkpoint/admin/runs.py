"""Checkpoints with what they say of their runs, read within bounds.

A result of usual size is read whole. A larger one is taken apart by the database (`results_json`), so that status,
error, question and times of each node are known whatever its output weighs. What was left unread is known as well.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast

from obsku_checkpoint.admin.large_columns import Beginning, BytesIn, Large, json_columns, stored_json
from obsku_checkpoint.admin.results_json import ENTRIES, results_in_parts
from obsku_checkpoint.codec import loads_or_corrupt
from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.records import STATE, CorruptValue
from obsku_checkpoint.run_state import GraphReference, RunGraph, RunState, is_reserved, read

#: bytes of ``node_results`` that are read whole, of one checkpoint and of all of a page
WHOLE, WHOLE_IN_SUM = 100_000, 6_000_000
#: bytes that the database takes apart for a page
TAKEN_APART = 200_000_000
#: the same for what a page reads of many checkpoints of one session, each of which repeats those before it
HISTORY = 60_000_000
#: bytes of the names of pending nodes, and of a cycle's state
NAMES = 60_000

_JSON = json.JSONDecoder()
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Run:
    """One checkpoint. Values that are too large to be read whole are `Large`."""

    #: the `Checkpoint`, without its large columns
    checkpoint: Any
    node_results: Any
    pending_nodes: Any
    cycle_state: Any
    #: of ``node_results``
    bytes: int
    #: entries of ``node_results`` that were not read
    left_out: int
    #: False where ``node_results`` was not read at all, as the page reads enough
    was_read: bool

    @property
    def id(self) -> str:
        return str(self.checkpoint.pk)

    @property
    def node_id(self) -> str | None:
        node: str | None = self.checkpoint.node_id
        return node

    @property
    def source(self) -> str:
        return str(self.checkpoint.source)

    @property
    def namespace(self) -> str:
        return str(self.checkpoint.namespace)

    @cached_property
    def state(self) -> RunState | None:
        """None where it cannot be told: the columns are damaged, or were not read."""
        try:
            return read(self) if self.was_read else None
        except CheckpointCorruptionError:
            return None

    @property
    def others(self) -> dict[str, Any]:
        """What else ``node_results`` holds: entries that are no results."""
        if self.state is None or not isinstance(self.node_results, dict):
            return {}
        known = self.state.results
        return {
            name: entry
            for name, entry in self.node_results.items()
            if name not in known and not (isinstance(name, str) and is_reserved(name))
        }

    @property
    def unread(self) -> list[tuple[str, Any]]:
        """The columns that hold something else than they should, with what that is."""
        shapes: dict[str, type] = {"node_results": dict, "cycle_state": dict, "pending_nodes": list}
        found = [(name, getattr(self, name)) for name in shapes]
        return [(name, value) for name, value in found if not isinstance(value, shapes[name]) and value is not None]


def is_within_adapters(state: RunState, namespace: str) -> bool:
    """Whether it is a part of a run that an adapter goes on with as a whole: the namespaces are the adapter's."""
    return bool(namespace) and state.by is not None


def runs(
    database: str,
    ids: Sequence[str],
    *,
    entries: int = ENTRIES,
    taken_apart: int | None = None,
    known: Iterable[Run] = (),
) -> dict[str, Run]:
    """Checkpoint id -> its run, of those that exist; where all is too much to read, the first are read.

    ``entries`` bounds the nodes of each that are read where its results are large, ``taken_apart`` the bytes of large
    results (`TAKEN_APART`). What is ``known`` is not read again.
    """
    read = {run.id: run for run in known if run.was_read}
    found = {id: read[id] for id in ids if id in read}
    if wanted := [id for id in ids if id not in found]:
        found |= _read(database, wanted, entries, TAKEN_APART if taken_apart is None else taken_apart)
    return found


def _read(database: str, ids: Sequence[str], entries: int, taken_apart: int) -> dict[str, Run]:
    columns = {**json_columns("pending_nodes", NAMES), **json_columns("cycle_state", NAMES)}
    own: Any = Checkpoint.objects.using(database).filter(pk__in=ids)
    rows = own.defer(*STATE).annotate(**columns, bytes=BytesIn("node_results")).in_bulk(ids)
    whole, parts = _chosen([(id, rows[id].bytes) for id in ids if id in rows], taken_apart)
    texts = own.filter(pk__in=whole).values_list("pk", Cast("node_results", TextField())) if whole else ()
    results: dict[str, tuple[Any, int]] = {id: (loads_or_corrupt(text), 0) for id, text in texts}
    if parts:
        for id, (value, left_out) in results_in_parts(database, parts, entries).items():
            results[id] = (_readable(value), left_out)
    return {
        id: Run(
            checkpoint=row,
            node_results=results.get(id, (None, 0))[0],
            pending_nodes=_pending(row),
            cycle_state=stored.value if (stored := stored_json(row, "cycle_state")) else None,
            bytes=row.bytes,
            left_out=results.get(id, (None, 0))[1],
            was_read=id in results,
        )
        for id, row in rows.items()
    }


def graphs(database: str, states: Sequence[RunState]) -> dict[str, RunGraph]:
    """Digest -> the graph, of the runs of which it is known."""
    known = {state.graph.digest: state.graph for state in states if isinstance(state.graph, RunGraph)}
    wanted = {
        state.graph.checkpoint_id
        for state in states
        if isinstance(state.graph, GraphReference) and state.graph.digest not in known
    }
    holders = [run.state for run in runs(database, sorted(wanted), entries=1).values()] if wanted else []
    for state in holders:
        if state and isinstance(state.graph, RunGraph):
            known[state.graph.digest] = state.graph
    return known


def _chosen(sizes: Sequence[tuple[str, int]], most: int) -> tuple[list[str], list[str]]:
    """Those to read whole, and those to take apart."""
    whole, parts = list[str](), list[str]()
    sent = apart = 0
    for id, size in sizes:
        if size <= WHOLE and sent + size <= WHOLE_IN_SUM:
            whole.append(id)
            sent += size
        elif not parts or apart + size <= most:
            parts.append(id)
            apart += size
    return whole, parts


def _pending(row: Any) -> Any:
    """The names; where they are too many to be read, the first."""
    stored = stored_json(row, "pending_nodes")
    if stored is None or not isinstance(stored.value, Large):
        return stored.value if stored else None
    names = [loads_or_corrupt(text) for text in _STRING.findall(stored.value.head)]
    return [name for name in names if not isinstance(name, CorruptValue)]


def _readable(value: Any) -> Any:
    """Of an error that is too large to be read whole, the text of its beginning; of a question, what begins it."""
    for entry in value.values() if isinstance(value, dict) else ():
        if not isinstance(entry, dict):
            continue
        if "error" in entry:
            error = entry["error"]
            parts = {name: _cut(part) for name, part in error.items()} if isinstance(error, dict) else _cut(error)
            entry["error"] = parts
        if isinstance(asked := entry.get("questions"), dict):
            entry["questions"] = {path: _question(question) for path, question in asked.items()}
    return value


def _question(value: Any) -> Any:
    """A question that is too large to be read whole: its entries as far as its beginning has them."""
    if not isinstance(value, Large):
        return value
    question: dict[str, Any] = {}
    place = 1
    with contextlib.suppress(ValueError):  # cut
        while value.head[place - 1 : place] in ("{", ","):
            name, place = _JSON.raw_decode(value.head, place)
            begin = place + 1  # behind the colon
            question[str(name)] = Large(value.bytes - len(value.head[:begin].encode()), value.head[begin:])
            _entry, place = _JSON.raw_decode(value.head, begin)
            question[str(name)] = loads_or_corrupt(value.head[begin:place])
            place += 1
    return question


def _cut(value: Any) -> Any:
    return Beginning(value) if isinstance(value, Large) else value
