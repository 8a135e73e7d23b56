"""A checkpoint: its nodes, what was pending, and the parents it descends from."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.models import Max, QuerySet

from obsku_checkpoint.admin import format, node_results, values
from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.admin.questions import questions
from obsku_checkpoint.admin.runs import graphs, runs
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.printable import plain

#: parents that are shown
LINEAGE = 25

_TABLE = Checkpoint._meta.db_table
_PARENTS = f"""
WITH RECURSIVE lineage (id, parent_id, depth) AS (
    SELECT id, parent_id, 0 FROM {_TABLE} WHERE id = %s
    UNION ALL SELECT c.id, c.parent_id, lineage.depth + 1 FROM {_TABLE} c JOIN lineage ON c.id = lineage.parent_id
    WHERE lineage.depth < {LINEAGE}
)
SELECT id FROM lineage WHERE depth > 0 ORDER BY depth
"""


def checkpoint_page(visible: QuerySet[Any], checkpoint: Checkpoint, links: Links) -> dict[str, Any]:
    """The context of the template. ``visible`` are the checkpoints that the request may see, without long columns."""
    run = runs(visible.db, [checkpoint.pk])[checkpoint.pk]
    row, state = run.checkpoint, run.state
    raw = links.checkpoint(row.pk, "raw")
    results = f"{raw}?part=node_results"
    shown = node_results.rows(state, results) if state else []
    return {
        "rows": shown,
        "left_out": run.left_out + (len(state.results) - len(shown) if state else 0),
        "drawing": node_results.drawn(state, graphs(visible.db, [state]), "") if state else "",
        "has_graph": state is not None and state.graph is not None,
        "input": values.tree(state.input, rest=results) if state and state.input is not None else "",
        "pending": [plain(name, 80) for name in state.pending] if state else [],
        "cycle": values.tree(run.cycle_state) if isinstance(run.cycle_state, dict) else "",
        "unread": [
            (name.replace("_", " "), values.tree(value, rest=f"{raw}?part={name}"), f"{raw}?part={name}")
            for name, value in run.unread
        ],
        "others": values.tree(run.others, rest=results) if run.others else "",
        "raw": results,
        "size": format.size(run.bytes),
        "moment": format.timestamp(row.created_at),
        "namespace": plain(row.namespace, 80) or "main",
        "node": plain(row.node_id or "", 80),
        "source": plain(row.source, 40),
        "lineage": lineage(visible, row, links),
        "is_newest": is_newest(visible.db, row),
        "questions": questions(state, results) if is_newest(visible.db, row) else [],
        **neighbours(visible, row, links),
    }


def is_newest(database: str, checkpoint: Any) -> bool:
    """Whether nothing follows it in its namespace."""
    own = Checkpoint.objects.using(database).filter(session_id=checkpoint.session_id, namespace=checkpoint.namespace)
    newest: int | None = own.aggregate(newest=Max("version"))["newest"]
    return bool(newest == checkpoint.version)


def lineage(visible: QuerySet[Any], checkpoint: Any, links: Links) -> list[dict[str, Any]]:
    """The parents, the nearest first. A ring of parents ends at the bound, each parent told once."""
    with connections[visible.db].cursor() as cursor:
        cursor.execute(_PARENTS, [checkpoint.pk])
        ids = [id for id in dict.fromkeys(id for (id,) in cursor.fetchall()) if id != checkpoint.pk]
    found = visible.in_bulk(ids)
    return [
        {
            "checkpoint": parent,
            "address": links.checkpoint(parent.pk),
            "namespace": plain(parent.namespace, 40) or "main",
            "node": plain(parent.node_id or "", 40),
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
