"""A checkpoint: its nodes, what was pending, and the parents it descends from."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.models import Max, QuerySet
from django.utils.safestring import SafeString

from obsku_checkpoint.admin import format, node_results, values
from obsku_checkpoint.admin.large_columns import json_columns, stored_json
from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.admin.questions import asking, questions
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.printable import plain
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
SELECT id FROM lineage WHERE depth > 0 ORDER BY depth
"""


#: the columns of JSON
_SHAPES: dict[str, type] = {"node_results": dict, "cycle_state": dict, "pending_nodes": list}


def checkpoint_page(visible: QuerySet[Any], checkpoint: Checkpoint, links: Links) -> dict[str, Any]:
    """The context of the template. ``visible`` are the checkpoints that the request may see, without long columns."""
    columns: dict[str, Any] = {}
    for name in _SHAPES:
        columns |= json_columns(name)
    row = visible.annotate(**columns).get(pk=checkpoint.pk)
    found = {name: stored_json(row, name) for name in _SHAPES}
    value, cycle, pending = ((stored.value if stored else None) for stored in found.values())
    unread = [
        (name.replace("_", " "), values.tree(stored.value), f"{links.checkpoint(row.pk, 'raw')}?part={name}")
        for name, stored in found.items()
        if stored and (isinstance(stored.value, CorruptValue) or not isinstance(stored.value, _SHAPES[name]))
    ]
    newest = is_newest(visible.db, row)
    return {
        "rows": node_results.rows(value),
        "drawing": node_results.drawn(value, pending, cycle, ""),
        "pending": [plain(name, 80) for name in node_results.pending_names(pending)],
        "cycle": values.tree(cycle) if isinstance(cycle, dict) else SafeString(""),
        "unread": unread,
        "raw": f"{links.checkpoint(row.pk, 'raw')}?part=node_results",
        "size": format.size(found["node_results"].bytes) if found["node_results"] else "",
        "moment": format.timestamp(row.created_at),
        "namespace": plain(row.namespace, 80) or "main",
        "node": plain(row.node_id or "", 80),
        "source": plain(row.source, 40),
        "lineage": lineage(visible, row, links),
        "is_newest": newest,
        "questions": questions(row, value) if newest and asking(row, value) else [],
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
