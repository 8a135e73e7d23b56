"""A fork of a session takes the state of its graph along: from the forked checkpoint the graph goes on in both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.contrib.langgraph import copying, pruning
from obsku_checkpoint.contrib.langgraph.pruning import Entry, Key
from obsku_checkpoint.contrib.langgraph.sql import sql_of
from obsku_checkpoint.contrib.langgraph.sql_clearing import ASKING, ENTRIES, OF_RECORD
from obsku_checkpoint.store.extensions import Forked, on_fork, resumers, states


def copy_state(forked: Forked) -> Steps[None]:
    """Copy the checkpoint that the record is of, with its ancestors and their sub-graphs' runs.

    The tasks of the checkpoint itself are to run anew, so nothing that they wrote is taken along but what they ask.
    """
    if forked.checkpoint_id is None or forked.new_checkpoint_id is None:
        return  # of a message: the graph begins anew
    rows = yield OF_RECORD, {"record_id": forked.checkpoint_id}
    if not rows:
        return
    origin, namespace, checkpoint_id, record_id = rows[0]
    session = {"session_id": origin}
    entries = [pruning.entry(row) for row in (yield ENTRIES, session)]
    asking = {(row[0], row[1]) for row in (yield ASKING, session)}
    point = (namespace, checkpoint_id)
    chosen, points = taken_along(entries, point, asking)
    records = [(record_id, forked.new_checkpoint_id)]
    keys = [one.key for one in chosen]
    yield from copying.copied_state(sql_of(forked.using), origin, forked.session_id, keys, records, sorted(points))


on_fork["langgraph_checkpoints"] = copy_state
resumers["langgraph"] = f"{__package__}.answering.resume"
states["langgraph"] = f"{__package__}.viewing.state"


def taken_along(entries: Sequence[Entry], point: Key, asking: set[Key]) -> tuple[list[Entry], set[Key]]:
    """The checkpoints that a fork from ``point`` needs, and those of them whose tasks are to run anew."""
    by_key = {one.key: one for one in entries}
    chain = dict.fromkeys(_ancestors(point, by_key))
    root = by_key[point].parents.get("")
    if point[0] and root is not None:
        chain |= dict.fromkeys(_ancestors(("", root), by_key))
    chosen, points = [by_key[key] for key in chain], {point}
    inside: dict[str, list[Entry]] = {}
    for one in sorted(entries, key=lambda one: one.checkpoint_id):
        root = one.parents.get("")
        if one.key in chain or not one.namespace or ("", root) not in chain:
            continue
        if ("", root) == point:
            inside.setdefault(one.namespace, []).append(one)  # it stands where it asked first, or begins anew
        else:
            chosen.append(one)
    for ordered in inside.values():
        first = next((index for index, one in enumerate(ordered) if one.key in asking), None)
        if first is not None:
            chosen += ordered[: first + 1]
            points.add(ordered[first].key)
    return chosen, points


def _ancestors(key: Key, by_key: dict[Key, Entry]) -> Iterator[Key]:
    """The checkpoint itself first."""
    seen: set[Key] = set()
    while key in by_key and key not in seen:
        seen.add(key)
        yield key
        key = (key[0], by_key[key].parent_id or "")
