"""A checkpoint, its parent, the parent's parent, …: the statement that pages of the API and of the admin share.

It ends before the first one that is gone, or of a session that may not be seen: what is beyond is not even looked at.
A ring of parents goes round until the bound; whoever reads it takes each checkpoint once.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models.expressions import RawSQL

from obsku_checkpoint.querysets import SessionQuerySet

SQL = """
WITH RECURSIVE lineage (id, parent_id, depth) AS (
    SELECT c.id, c.parent_id, 0 FROM checkpoints c WHERE c.id = %s AND EXISTS ({visible})
    UNION ALL
    SELECT c.id, c.parent_id, lineage.depth + 1
    FROM lineage JOIN checkpoints c ON c.id = lineage.parent_id
    WHERE lineage.depth < %s AND EXISTS ({visible})
)
SELECT id, depth FROM lineage
"""


def lineage(visible: SessionQuerySet, checkpoint_id: str, depth: int) -> tuple[str, list[Any]] | None:
    """The statement for at most so many parents, and its parameters; None where no session may be seen.

    Its rows are (id, depth), in no order.
    """
    own = visible.filter(id=RawSQL("c.session_id", ())).order_by().values("id")
    try:
        condition, parameters = own.query.get_compiler(visible.db).as_sql()
    except EmptyResultSet:
        return None
    return SQL.format(visible=condition), [checkpoint_id, *parameters, depth, *parameters]
