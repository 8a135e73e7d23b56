"""A checkpoint: its nodes, what was pending, and the parents it descends from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections
from django.db.models import Max, QuerySet
from django.utils.module_loading import import_string

from obsku_checkpoint.admin import format, node_results, values
from obsku_checkpoint.admin.checkpoint.name import GOES_ON, STATUS_WORDS, checkpoint_name
from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.admin.questions import questions
from obsku_checkpoint.admin.runs import Run, graphs, is_within_adapters, runs
from obsku_checkpoint.admin.session.messages import entries, messages_of
from obsku_checkpoint.admin.values import text_of
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.printable import plain
from obsku_checkpoint.querysets import SessionQuerySet
from obsku_checkpoint.store.extensions import states
from obsku_checkpoint.store.lineage import lineage

#: parents that are shown
LINEAGE = 25
#: messages that are shown
MESSAGES = 5
#: entries of a channel's value that are shown
VALUES = 200


def checkpoint_page(
    visible: QuerySet[Any], sessions: SessionQuerySet, checkpoint: Checkpoint, links: Links
) -> dict[str, Any]:
    """The context of the template.

    ``visible`` are the checkpoints that the request may see, without long columns, ``sessions`` the sessions.
    """
    run = runs(visible.db, [checkpoint.pk])[checkpoint.pk]
    row = run.checkpoint
    raw = links.checkpoint(row.pk, "raw")
    results = f"{raw}?part=node_results"
    return {
        "unread": [
            (name.replace("_", " "), values.tree(value, rest=f"{raw}?part={name}"), f"{raw}?part={name}")
            for name, value in run.unread
        ],
        "others": values.tree(run.others, rest=results) if run.others else "",
        "raw": results,
        "size": format.size(run.bytes),
        "moment": format.timestamp(row.created_at),
        "source": plain(row.source, 40),
        "lineage": parents(visible, sessions, row, links),
        "messages_of_step": _messages(visible, row, links),
        **_run(visible.db, run, results, newest=is_newest(visible.db, row)),
        **neighbours(visible, row, links),
    }


def _run(database: str, run: Run, results: str, *, newest: bool) -> dict[str, Any]:
    """What the checkpoint says of its run; nothing where it cannot be read. ``results``: where all of them are."""
    state = run.state
    if state is None:
        return {}
    rows = node_results.rows(state, results)
    return {
        "status": state.status,
        "status_word": STATUS_WORDS[state.status],
        "rows": rows,
        "left_out": run.left_out + len(state.results) - len(rows),
        "drawing": node_results.drawn(state, graphs(database, [state]), ""),
        "has_graph": state.graph is not None,
        "input": "" if state.input is None else values.tree(state.input, rest=results),
        "pending": [plain(name, 80) for name in state.pending],
        "working": [plain(name, 80) for name in state.working],
        "iterations": [(plain(edge, 120), text_of(count, 40)) for edge, count in state.iterations.items()],
        "questions": questions(state, results) if newest else [],
        "can_go_on": newest and state.status in GOES_ON and not is_within_adapters(state, run.namespace),
        "values_of_state": _state(database, run, state.by),
    }


def _state(database: str, run: Run, by: str | None) -> list[dict[str, Any]]:
    """The channels of the state that an adapter keeps beside the checkpoint."""
    if by not in states:
        return []
    try:
        found: Callable[[str, str], Sequence[Any]] = import_string(states[by])
    except ImportError:
        return []  # its framework is not installed here
    return [
        {
            "channel": plain(channel, 120),
            "type": plain(type, 40),
            "size": "" if size is None else format.size(size),
            "value": values.tree(value, entries=VALUES) if is_read else "",
            "left_out": left_out,
        }
        for channel, type, size, value, left_out, is_read in found(database, run.id)
    ]


def _messages(visible: QuerySet[Any], row: Any, links: Links) -> dict[str, Any]:
    """Those that were written since the version before."""
    before = visible.filter(session_id=row.session_id, namespace=row.namespace, version__lt=row.version)
    last = before.order_by("-version").values_list("created_at", flat=True).first()
    own = messages_of(visible.db, row.session_id).up_to(row)
    if last is not None:
        own = own.filter(created_at__gt=last)
    first = list(own.oldest_first()[: MESSAGES + 1])
    shown = [(entry, links.message(row.session_id, entry.id)) for entry in entries(first[:MESSAGES])]
    return {"shown": shown, "more": len(first) > MESSAGES}


def is_newest(database: str, checkpoint: Any) -> bool:
    """Whether nothing follows it in its namespace."""
    own = Checkpoint.objects.using(database).filter(session_id=checkpoint.session_id, namespace=checkpoint.namespace)
    newest: int | None = own.aggregate(newest=Max("version"))["newest"]
    return bool(newest == checkpoint.version)


def parents(visible: QuerySet[Any], sessions: SessionQuerySet, checkpoint: Any, links: Links) -> list[dict[str, Any]]:
    """The nearest first, as far as they may be seen, each once."""
    statement = lineage(sessions, checkpoint.pk, LINEAGE)
    if statement is None:
        return []
    with connections[visible.db].cursor() as cursor:
        cursor.execute(*statement)
        rows = sorted(cursor.fetchall(), key=lambda row: row[1])
    ids = [id for id in dict.fromkeys(id for id, _depth in rows) if id != checkpoint.pk]
    found = visible.in_bulk(ids)
    return [
        {
            "checkpoint": parent,
            "address": links.checkpoint(parent.pk),
            "name": checkpoint_name(parent),
            "source": plain(parent.source, 40),
            "moment": format.timestamp(parent.created_at),
            "elsewhere": links.session(parent.session_id) if parent.session_id != checkpoint.session_id else "",
        }
        for id in ids
        if (parent := found.get(id))
    ]


def neighbours(visible: QuerySet[Any], checkpoint: Any, links: Links) -> dict[str, Any]:
    """The versions before and after this one in its namespace."""
    own: Any = visible.filter(session_id=checkpoint.session_id, namespace=checkpoint.namespace)
    before = own.filter(version__lt=checkpoint.version).newest_version_first().values_list("pk", flat=True).first()
    after = (
        own.filter(version__gt=checkpoint.version).newest_version_first().reverse().values_list("pk", flat=True).first()
    )
    return {
        "before": before and links.checkpoint(before),
        "after": after and links.checkpoint(after),
    }
