"""The first page of a session: its figures, how each of its namespaces stands, and what it asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.utils.safestring import SafeString

from obsku_checkpoint.admin import format, node_results, values
from obsku_checkpoint.admin.drawings.sparkline import sparkline
from obsku_checkpoint.admin.large_columns import json_columns, stored_json
from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.admin.node_results import failed_nodes
from obsku_checkpoint.admin.questions import Question, asking, questions
from obsku_checkpoint.admin.session.counts import figures
from obsku_checkpoint.admin.session.status import State
from obsku_checkpoint.admin.session.transcript import entries, messages_of
from obsku_checkpoint.models import Checkpoint, Message, Session
from obsku_checkpoint.printable import plain
from obsku_checkpoint.records import CorruptValue
from obsku_checkpoint.run_state import nested_namespace

#: messages of the sparkline
SPARK = 150
#: messages that are shown in short
LAST = 4


def overview(database: str, session: Session, state: State, links: Links) -> dict[str, Any]:
    """The context of the template."""
    found = figures(database, [session.pk])[session.pk]
    last = list(messages_of(database, session.pk).newest_first()[:LAST])[::-1]
    lasted = format.span(session.created_at, session.updated_at)
    return {
        "told": {name: f"{number:,}" for name, number in asdict(found).items()},
        "lasted": format.duration(lasted) if lasted is not None else "",
        "created": format.timestamp(session.created_at),
        "updated": format.timestamp(session.updated_at),
        "namespaces": namespaces(database, state.newest, links),
        "more_namespaces": max(0, len(state.newest) - NAMESPACES),
        "sparkline": _tokens(database, session.pk),
        "last": [(entry, links.message(session.pk, entry.id)) for entry in entries(last)],
        "about": {"workspace": plain(session.workspace_id or "none", 200), "directory": plain(session.directory, 500)},
        "metadata": _metadata(database, session),
    }


def _tokens(database: str, session_id: str) -> SafeString:
    rows = Message.objects.using(database).in_session(session_id).newest_first().values_list("tokens_in", "tokens_out")
    counted = [(tokens_in or 0, tokens_out or 0) for tokens_in, tokens_out in rows[:SPARK]]
    return sparkline([pair for pair in reversed(counted) if any(pair)])


def _metadata(database: str, session: Session) -> SafeString:
    row = (
        Session.objects.using(database)
        .filter(pk=session.pk)
        .defer("metadata")
        .annotate(**json_columns("metadata"))
        .first()
    )
    stored = stored_json(row, "metadata") if row else None
    return values.tree(stored.value) if stored else SafeString("")


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
        return format.timestamp(self.checkpoint.created_at)


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
        pending=[plain(name, 60) for name in node_results.pending_names(checkpoint.pending_nodes)],
        failed=[(plain(node, 60), values.tree(value[node].get("error"), entries=50)) for node in failed],
        drawing=node_results.drawn(value, checkpoint.pending_nodes, checkpoint.cycle_state, address),
        corrupt=values.corrupt(value) if isinstance(value, CorruptValue) else SafeString(""),
        questions=questions(checkpoint, value) if asking(checkpoint, value) else [],
    )
