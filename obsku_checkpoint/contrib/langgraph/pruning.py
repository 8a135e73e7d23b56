"""What of a thread may go: pure functions of its checkpoints' keys."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A checkpoint, without its values."""

    namespace: str
    checkpoint_id: str
    parent_id: str | None
    #: of channels that hold a value
    channels: frozenset[str]
    #: delta channels, which are built of the ancestors' writes where they hold no value
    deltas: frozenset[str]
    #: namespace -> id of the checkpoint that a sub-graph's run belongs to
    parents: dict[str, str]
    run_id: str | None
    record_id: str | None

    @property
    def key(self) -> Key:
        return self.namespace, self.checkpoint_id


def entry(row: Sequence[Any]) -> Entry:
    """Of (namespace, checkpoint_id, parent_id, channels, metadata, run_id, record_id)."""
    namespace, checkpoint_id, parent_id, channels, metadata, run_id, record_id = row
    said = json.loads(metadata)
    parents, counters = said.get("parents"), said.get("counters_since_delta_snapshot")
    return Entry(
        namespace,
        checkpoint_id,
        parent_id,
        frozenset(json.loads(channels)),
        frozenset(counters) if isinstance(counters, dict) else frozenset(),
        parents if isinstance(parents, dict) else {},
        run_id,
        record_id,
    )


def kept(entries: Sequence[Entry], keep: int = 1) -> set[Key]:
    """The newest ``keep`` checkpoints of each namespace, and the ancestors that their delta channels are built of.

    A call of a sub-graph goes with the root checkpoint that it belongs to, once that one is stored.
    """
    by_namespace: dict[str, list[Entry]] = defaultdict(list)
    for one in sorted(entries, key=lambda one: one.checkpoint_id, reverse=True):
        by_namespace[one.namespace].append(one)
    by_key = {one.key: one for one in entries}
    roots = {one.checkpoint_id for one in by_namespace.get("", ())[:keep]}
    heads: list[Entry] = []
    for namespace, ordered in by_namespace.items():
        root = ordered[0].parents.get("")
        if ":" in namespace and root is not None and ("", root) in by_key and root not in roots:
            continue
        heads += ordered[:keep]
    found = {one.key for one in heads}
    for head in heads:
        found |= _needed(head, by_key)
    return found


def _needed(head: Entry, by_key: dict[Key, Entry]) -> set[Key]:
    wanted, found, one = head.deltas - head.channels, set(), head
    while wanted and one.parent_id is not None and (parent := by_key.get((one.namespace, one.parent_id))):
        if parent.key in found:
            break
        found.add(parent.key)
        wanted -= parent.channels
        one = parent
    return found
