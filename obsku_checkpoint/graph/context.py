"""What a node is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from obsku_checkpoint.records import EntityRecord, FactRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What is known from before, as `Memory` has loaded it: for all nodes the same, and not to be changed."""

    #: text for a prompt: names, types and attributes of the entities, and the facts
    context: str = ""
    entities: tuple[EntityRecord, ...] = ()
    facts: tuple[FactRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The one argument that a node is called with. Its values are the node's own: it may change them."""

    #: what `run` was given
    input: Any
    #: predecessor -> its output; predecessors that were skipped, or whose edge was not taken, are left out.
    #: Where a back edge led here, its source is among them, with the output of the iteration before.
    outputs: dict[str, Any]
    session_id: str
    #: which of the session's graphs this is; a nested graph has one of its own
    namespace: str
    node: str
    #: how often the innermost cycle around the node has gone back: 0 the first time
    iteration: int
    #: the same when the node is run again (after a crash, a failure, an interrupt), another in each iteration, run
    #: and fork: for services that do a thing once for each key
    idempotency_key: str
    #: empty unless `run` or `resume` was given a `Memory`
    memory: Recalled = field(default_factory=Recalled)
