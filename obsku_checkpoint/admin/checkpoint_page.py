"""A checkpoint: its nodes, what was pending, and the parents it descends from."""

from __future__ import annotations

from typing import Any

from django.db.models import Max
from django.utils.safestring import SafeString

from obsku_checkpoint.admin import results, units, values
from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.admin.question import asking, questions
from obsku_checkpoint.admin.stored import json_columns, stored_json
from obsku_checkpoint.admin.text import plain
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.records import CorruptValue

#: parents that are shown
LINEAGE = 25

_TABLE = Checkpoint._meta.db_table
_PARENTS = f"""
WITH RECURSIVE lineage (id, parent_id, depth) AS (
    SELECT id, parent_id, 0 FROM {_TABLE} WHERE id = %s
    UNION ALL SELECT c.id, c.parent_id, lineage.depth + 1 FROM {_TABLE} c JOIN lineage ON c.id = lineage.parent_id
    WHERE lineage.depth < {LINEAGE}
)
SELECT c.id, c.session_id, c.namespace, c.version, c.step, c.node_id, c.source, c.created_at, lineage.depth
FROM lineage JOIN {_TABLE} c ON c.id = lineage.id WHERE lineage.depth > 0 ORDER BY lineage.depth
"""


def checkpoint_page(database: str, checkpoint: Checkpoint, links: Links) -> dict[str, Any]:
    """The context of the template. ``checkpoint`` need not have its long columns."""
    own = (
        Checkpoint.objects.using(database)
        .filter(pk=checkpoint.pk)
        .defer("node_results", "cycle_state", "pending_nodes")
    )
    row = own.annotate(
        **json_columns("node_results"), **json_columns("cycle_state"), **json_columns("pending_nodes")
    ).get()
    found = {name: stored_json(row, name) for name in ("node_results", "cycle_state", "pending_nodes")}
    value, cycle, pending = ((stored.value if stored else None) for stored in found.values())
    unread = [
        (name.replace("_", " "), values.tree(stored.value), f"{links.checkpoint(row.pk, 'raw')}?part={name}")
        for name, stored in found.items()
        if stored and (isinstance(stored.value, CorruptValue) or not isinstance(stored.value, _SHAPES[name]))
    ]
    newest = is_newest(database, row)
    return {
        "rows": results.rows(value),
        "drawing": results.drawn(value, pending, cycle, ""),
        "pending": [plain(name, 80) for name in results.pending_names(pending)],
        "cycle": values.tree(cycle) if isinstance(cycle, dict) else SafeString(""),
        "unread": unread,
        "raw": f"{links.checkpoint(row.pk, 'raw')}?part=node_results",
        "size": units.size(found["node_results"].bytes) if found["node_results"] else "",
        "moment": units.moment(row.created_at),
        "namespace": plain(row.namespace, 80) or "main",
        "node": plain(row.node_id or "", 80),
        "lineage": lineage(database, row, links),
        "is_newest": newest,
        "questions": questions(row, value) if newest and asking(row, value) else [],
        **neighbours(database, row, links),
    }


_SHAPES: dict[str, type] = {"node_results": dict, "cycle_state": dict, "pending_nodes": list}


def is_newest(database: str, checkpoint: Any) -> bool:
    """Whether nothing follows it in its namespace."""
    own = Checkpoint.objects.using(database).filter(session_id=checkpoint.session_id, namespace=checkpoint.namespace)
    newest: int | None = own.aggregate(newest=Max("version"))["newest"]
    return bool(newest == checkpoint.version)


def lineage(database: str, checkpoint: Any, links: Links) -> list[dict[str, Any]]:
    """The parents, the nearest first. A ring of parents ends at the bound, each parent told once."""
    told: dict[str, dict[str, Any]] = {}
    for parent in Checkpoint.objects.using(database).raw(_PARENTS, [checkpoint.pk]):
        if parent.pk != checkpoint.pk and parent.pk not in told:
            told[parent.pk] = {
                "checkpoint": parent,
                "address": links.checkpoint(parent.pk),
                "namespace": plain(parent.namespace, 40) or "main",
                "node": plain(parent.node_id or "", 40),
                "moment": units.moment(parent.created_at),
                "elsewhere": links.session(parent.session_id) if parent.session_id != checkpoint.session_id else "",
            }
    return list(told.values())


def neighbours(database: str, checkpoint: Any, links: Links) -> dict[str, Any]:
    """The versions before and after this one in its namespace."""
    own = Checkpoint.objects.using(database).filter(session_id=checkpoint.session_id, namespace=checkpoint.namespace)
    before = own.filter(version__lt=checkpoint.version).order_by("-version").values_list("pk", flat=True).first()
    after = own.filter(version__gt=checkpoint.version).order_by("version").values_list("pk", flat=True).first()
    return {
        "before": before and links.checkpoint(before),
        "after": after and links.checkpoint(after),
        "before_id": before,
    }
