"""The statements of entities and facts, each whole: as SQLite takes them. `memory_sql_postgres` has PostgreSQL's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import orjson
from django.db import models

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.store.calls import Write, atomic
from obsku_checkpoint.store.rows import Row

#: of a score, as the statements round it
DECIMALS = 12

INSERT_ENTITY = """
INSERT INTO entities (
    id, session_id, workspace_id, name, type, attributes, relationships, created_at, updated_at, embedding
)
SELECT
    %(id)s, id, %(workspace_id)s, %(name)s, %(type)s, %(attributes)s, %(relationships)s, %(now)s, %(now)s,
    %(embedding)s
FROM sessions WHERE id = %(session_id)s
ON CONFLICT DO NOTHING
RETURNING id, session_id, workspace_id, name, type, attributes, relationships, created_at, updated_at, embedding
"""

#: the newest of this workspace, type and name, where the session exists
RENEW_ENTITY = """
UPDATE entities SET
    session_id = %(session_id)s, attributes = %(attributes)s, relationships = %(relationships)s, updated_at = %(now)s,
    embedding = %(embedding)s
WHERE id = (
    SELECT id FROM entities WHERE workspace_id IS %(workspace_id)s AND type = %(type)s AND name = %(name)s
    ORDER BY created_at DESC, id DESC LIMIT 1
) AND EXISTS (SELECT 1 FROM sessions WHERE id = %(session_id)s)
RETURNING id, session_id, workspace_id, name, type, attributes, relationships, created_at, updated_at, embedding
"""

UPDATE_ENTITY = """
UPDATE entities SET
    updated_at = %(now)s,
    name = CASE WHEN %(set_name)s THEN %(name)s ELSE name END,
    type = CASE WHEN %(set_type)s THEN %(type)s ELSE type END,
    workspace_id = CASE WHEN %(set_workspace_id)s THEN %(workspace_id)s ELSE workspace_id END,
    attributes = CASE WHEN %(set_attributes)s THEN %(attributes)s ELSE attributes END,
    relationships = CASE WHEN %(set_relationships)s THEN %(relationships)s ELSE relationships END,
    embedding = CASE WHEN %(set_embedding)s THEN %(embedding)s ELSE embedding END
WHERE id = %(id)s
RETURNING id, session_id, workspace_id, name, type, attributes, relationships, created_at, updated_at, embedding
"""

DELETE_ENTITY = "DELETE FROM entities WHERE id = %(id)s RETURNING id"

INSERT_FACT = """
INSERT INTO facts (id, workspace_id, content, confidence, source_session_id, created_at, embedding)
SELECT
    %(id)s, %(workspace_id)s, %(content)s, %(confidence)s, %(source_session_id)s, %(now)s, %(embedding)s
WHERE %(source_session_id)s IS NULL OR EXISTS (SELECT 1 FROM sessions WHERE id = %(source_session_id)s)
ON CONFLICT DO NOTHING
RETURNING id, workspace_id, content, confidence, source_session_id, created_at, embedding
"""

DELETE_FACT = "DELETE FROM facts WHERE id = %(id)s RETURNING id"

_FOLLOWED = """(
    SELECT coalesce(sum(length(CAST(e.relationships AS BLOB))), 0)
    FROM json_each(frontier) f JOIN entities e ON e.id = f.value
)"""
#: ``workspaces`` is a JSON array of those that may be seen, NULL for all. A row of ``walk`` is a step: the entities
#: that no earlier one reached, those of the earlier ones, and the bytes of relationships that were followed. A step
#: that would follow more than ``octets`` in sum reaches none; the first follows any number
REACHED = f"""
WITH RECURSIVE walk (distance, frontier, seen, octets) AS (
    SELECT 0, json_array(id), '[]', 0 FROM entities
    WHERE id = %(entity_id)s
        AND (%(workspaces)s IS NULL OR workspace_id IN (SELECT value FROM json_each(%(workspaces)s)))
    UNION ALL
    SELECT
        distance + 1,
        CASE WHEN distance = 0 OR octets + {_FOLLOWED} <= %(octets)s THEN (
            SELECT json_group_array(id) FROM (
                SELECT next.id
                FROM json_each(frontier) f
                JOIN entities e ON e.id = f.value
                JOIN json_each(CASE WHEN json_valid(e.relationships) THEN e.relationships ELSE '[]' END) edge
                JOIN entities next
                    ON next.id = CASE WHEN edge.type = 'object' THEN json_extract(edge.value, '$.targetId') END
                WHERE %(workspaces)s IS NULL OR next.workspace_id IN (SELECT value FROM json_each(%(workspaces)s))
                EXCEPT SELECT value FROM json_each(frontier)
                EXCEPT SELECT value FROM json_each(seen)
            )
        ) ELSE '[]' END,
        (
            SELECT json_group_array(value)
            FROM (SELECT value FROM json_each(seen) UNION ALL SELECT value FROM json_each(frontier))
        ),
        octets + {_FOLLOWED}
    FROM walk WHERE distance < %(depth)s AND frontier <> '[]'
), nearest (id, distance) AS (
    SELECT f.value, walk.distance FROM walk, json_each(walk.frontier) f WHERE walk.distance > 0
)
"""
RELATED = """
SELECT
    e.id, e.session_id, e.workspace_id, e.name, e.type, e.attributes, e.relationships, e.created_at, e.updated_at,
    e.embedding
FROM nearest JOIN entities e ON e.id = nearest.id
ORDER BY nearest.distance, e.created_at DESC, e.id DESC
"""

#: ``query`` is a JSON array: a direction. A vector's numbers are divided by the largest of them, whatever their sizes
SEARCH = """
WITH query (place, number) AS MATERIALIZED (
    SELECT key, value FROM json_each(%(query)s)
), stored (id, text) AS MATERIALIZED (
    SELECT t.id, CAST(t.embedding AS text) FROM {table} t WHERE t.embedding IS NOT NULL{conditions}
), vectors (id, text, largest) AS MATERIALIZED (
    SELECT id, text, (
        SELECT max(abs(CAST(n.value AS real)))
        FROM json_each(
            CASE WHEN json_valid(stored.text) THEN
                CASE WHEN json_type(stored.text) = 'array' THEN stored.text ELSE '[]' END
            ELSE '[]' END
        ) n
        HAVING count(*) = %(dimension)s AND min(n.type IN ('integer', 'real')) = 1
    ) FROM stored
), scores (id, score) AS (
    SELECT vectors.id, round(coalesce(
        sum(n.value * 1.0 / largest * query.number)
            / nullif(sqrt(sum((n.value * 1.0 / largest) * (n.value * 1.0 / largest))), 0),
        0), 12)
    FROM vectors
    JOIN json_each(CASE WHEN vectors.largest <= 1.7976931348623157e308 THEN vectors.text ELSE '[]' END) n
    JOIN query ON query.place = n.key
    GROUP BY vectors.id
)
SELECT {columns}, scores.score
FROM scores JOIN {table} t ON t.id = scores.id
WHERE scores.score >= %(threshold)s
ORDER BY scores.score DESC, t.created_at DESC, t.id DESC LIMIT %(top_k)s
"""


@cache
def searching(
    sql: str,
    model: type[models.Model],
    wanted: tuple[str, ...],
    conditions: tuple[str, ...] = (),
    rows: str = "{table}",
) -> str:
    """A `SEARCH` in the rows ``t`` of a table for which all ``conditions`` hold; it returns the columns ``wanted``."""
    table = model._meta.db_table
    return sql.format(
        table=table,
        rows=rows.format(table=table),
        columns=", ".join(f"t.{column}" for column in wanted),
        conditions="".join(f" AND {condition}" for condition in conditions),
    )


class MemorySql:
    """The statements that differ between the databases."""

    insert_entity = INSERT_ENTITY
    renew_entity = RENEW_ENTITY
    update_entity = UPDATE_ENTITY
    insert_fact = INSERT_FACT
    #: before a statement that reads `nearest`
    reached = REACHED
    search = SEARCH
    of_workspaces = "workspace_id IN (SELECT value FROM json_each(%(workspaces)s))"
    at_least = "confidence >= %s"

    def nearest(
        self,
        model: type[models.Model],
        wanted: tuple[str, ...],
        conditions: tuple[str, ...],
        parameters: Mapping[str, Any],
    ) -> Steps[Sequence[Row]]:
        """The columns ``wanted`` of the rows of a search, with their scores behind.

        ``parameters`` are those of the conditions, ``query`` (a direction), ``dimension``, ``threshold``, ``top_k`` and
        ``near``: the workspaces that are searched, None where that is all.
        """
        query = {**parameters, "query": orjson.dumps(parameters["query"]).decode()}
        del query["near"]  # SQLite binds no list, which DEBUG has Django try
        return (yield searching(self.search, model, wanted, conditions), query)  # type: ignore[no-any-return]  # rows

    def upsert_entity(self, entity: Mapping[str, Any]) -> Steps[Row | None]:
        """The row of the entity, made or renewed; None where the session does not exist, or the id is another's."""

        def steps() -> Steps[Row | None]:
            yield from self._lock_name(entity)
            rows = (yield Write(self.renew_entity, entity)) or (yield Write(self.insert_entity, entity))
            return rows[0] if rows else None

        return (yield from atomic(steps))

    def _lock_name(self, entity: Mapping[str, Any]) -> Steps[None]:
        """Keep others from saving an entity of the same name meanwhile. SQLite's only writer has no need to."""
        return
        yield

    def texts(self, values: Sequence[str]) -> Any:
        """The parameter that texts are bound as."""
        return orjson.dumps(values).decode()
