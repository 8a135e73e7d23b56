"""The newest checkpoint of each namespace of one session, with what it says about its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.safestring import SafeString

from obsku_checkpoint.admin import results, units, values
from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.admin.node_results import failed_nodes
from obsku_checkpoint.admin.question import Question, asking, questions
from obsku_checkpoint.admin.stored import json_columns, stored_json
from obsku_checkpoint.graph.definition import nested_namespace
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.plain_text import plain
from obsku_checkpoint.records import CorruptValue

#: namespaces that are shown
NAMESPACES = 20


@dataclass(frozen=True, slots=True)
class Namespace:
    """How one of the session's graphs stands."""

    checkpoint: Any
    name: str
    address: str
    answer_address: str
    pending: list[str]
    failed: list[tuple[str, SafeString]]
    drawing: SafeString
    corrupt: SafeString
    questions: list[Question]

    @property
    def source(self) -> str:
        return plain(self.checkpoint.source, 40)

    @property
    def moment(self) -> SafeString:
        return units.moment(self.checkpoint.created_at)


def namespaces(database: str, newest: Sequence[Checkpoint], links: Links) -> list[Namespace]:
    """Of the checkpoints that `states` found; their results are read here, up to a bound."""
    ids = [checkpoint.pk for checkpoint in newest[:NAMESPACES]]
    rows = Checkpoint.objects.using(database).filter(pk__in=ids).defer("node_results")
    found = {row.pk: row for row in rows.annotate(**json_columns("node_results"))}
    spaces = [_namespace(found[id], links) for id in ids if id in found]
    inner = {nested_namespace(space.checkpoint.namespace, each.node) for space in spaces for each in space.questions}
    return [replace(space, questions=[]) if space.checkpoint.namespace in inner else space for space in spaces]


def _namespace(checkpoint: Any, links: Links) -> Namespace:
    stored = stored_json(checkpoint, "node_results")
    value: Any = stored.value if stored else None
    address = links.checkpoint(checkpoint.pk)
    failed = failed_nodes(value)
    return Namespace(
        checkpoint=checkpoint,
        name=plain(checkpoint.namespace, 80) or "main",
        address=address,
        answer_address=links.checkpoint(checkpoint.pk, "answer"),
        pending=[plain(name, 60) for name in results.pending_names(checkpoint.pending_nodes)],
        failed=[(plain(node, 60), values.tree(value[node].get("error"), entries=50)) for node in failed],
        drawing=results.drawn(value, checkpoint.pending_nodes, checkpoint.cycle_state, address),
        corrupt=values.corrupt(value) if isinstance(value, CorruptValue) else SafeString(""),
        questions=questions(checkpoint, value) if asking(checkpoint, value) else [],
    )
