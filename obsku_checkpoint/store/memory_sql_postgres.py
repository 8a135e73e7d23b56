"""The statements of entities and facts as PostgreSQL takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import models

from obsku_checkpoint import embeddings
from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.store import memory_index
from obsku_checkpoint.store.memory_sql import DECIMALS, MemorySql, searching
from obsku_checkpoint.store.rows import Row

#: the lock on the session is its foreign key's: without it, one that is deleted meanwhile would be an error
INSERT_ENTITY = """
INSERT INTO entities (
    id, session_id, workspace_id, name, type, attributes, relationships, created_at, updated_at, embedding
)
SELECT
    %(id)s::text, s.id, %(workspace_id)s::text, %(name)s::text, %(type)s::text, %(attributes)s::text,
    %(relationships)s::text, %(now)s::bigint, %(now)s::bigint, %(embedding)s::bytea
FROM sessions s WHERE s.id = %(session_id)s::text FOR KEY SHARE
ON CONFLICT DO NOTHING
RETURNING id, session_id, workspace_id, name, type, attributes, relationships, created_at, updated_at, embedding
"""

#: to the end of the transaction; the statement after it sees what others have saved before
LOCK_NAME = """
SELECT pg_advisory_xact_lock(hashtextextended(
    json_build_array('entities', %(workspace_id)s::text, %(type)s::text, %(name)s::text)::text, 0
))::text
"""

RENEW_ENTITY = """
WITH session AS (
    SELECT id FROM sessions WHERE id = %(session_id)s::text FOR KEY SHARE
)
UPDATE entities SET
    session_id = session.id, attributes = %(attributes)s::text, relationships = %(relationships)s::text,
    updated_at = %(now)s::bigint, embedding = %(embedding)s::bytea
FROM session
WHERE entities.id = (
    SELECT id FROM entities
    WHERE workspace_id IS NOT DISTINCT FROM %(workspace_id)s::text AND type = %(type)s::text AND name = %(name)s::text
    ORDER BY created_at DESC, id DESC LIMIT 1
)
RETURNING
    entities.id, entities.session_id, workspace_id, name, type, attributes, relationships, created_at, updated_at,
    embedding
"""

UPDATE_ENTITY = """
UPDATE entities SET
    updated_at = %(now)s::bigint,
    name = CASE WHEN %(set_name)s::boolean THEN %(name)s::text ELSE name END,
    type = CASE WHEN %(set_type)s::boolean THEN %(type)s::text ELSE type END,
    workspace_id = CASE WHEN %(set_workspace_id)s::boolean THEN %(workspace_id)s::text ELSE workspace_id END,
    attributes = CASE WHEN %(set_attributes)s::boolean THEN %(attributes)s::text ELSE attributes END,
    relationships = CASE WHEN %(set_relationships)s::boolean THEN %(relationships)s::text ELSE relationships END,
    embedding = CASE WHEN %(set_embedding)s::boolean THEN %(embedding)s::bytea ELSE embedding END
WHERE id = %(id)s::text
RETURNING id, session_id, workspace_id, name, type, attributes, relationships, created_at, updated_at, embedding
"""

INSERT_FACT = """
WITH source AS (
    SELECT id FROM sessions WHERE id = %(source_session_id)s::text FOR KEY SHARE
)
INSERT INTO facts (id, workspace_id, content, confidence, source_session_id, created_at, embedding)
SELECT
    %(id)s::text, %(workspace_id)s::text, %(content)s::text, %(confidence)s::real, %(source_session_id)s::text,
    %(now)s::bigint, %(embedding)s::bytea
WHERE %(source_session_id)s::text IS NULL OR EXISTS (SELECT FROM source)
ON CONFLICT DO NOTHING
RETURNING id, workspace_id, content, confidence, source_session_id, created_at, embedding
"""

#: relationships are read by a pattern: PostgreSQL's JSON functions fail on text that is not JSON, and on the escapes of
#: NULs and lone surrogates, which no id has
REACHED = r"""
WITH RECURSIVE walk (distance, frontier, seen, octets) AS (
    SELECT 0, ARRAY[id], ARRAY[]::text[], 0::bigint FROM entities
    WHERE id = %(entity_id)s::text
        AND (%(workspaces)s::text[] IS NULL OR workspace_id = ANY (%(workspaces)s::text[]))
    UNION ALL
    SELECT
        walk.distance + 1,
        CASE WHEN walk.distance = 0 OR followed.octets <= %(octets)s::bigint THEN ARRAY(
            SELECT next.id FROM entities next
            WHERE next.id = ANY (ARRAY(
                SELECT edge.target[1]::json #>> '{}'
                FROM entities e
                CROSS JOIN LATERAL regexp_matches(
                    e.relationships,
                    '"targetId"\s*:\s*("(?:[^"\\\x01-\x1f]|\\["\\/bfnrt]|\\u(?!0000|[dD][89a-fA-F])[0-9a-fA-F]{4})*")',
                    'g'
                ) AS edge (target)
                WHERE e.id = ANY (walk.frontier)
                EXCEPT SELECT unnest(walk.frontier)
                EXCEPT SELECT unnest(walk.seen)
            )) AND (%(workspaces)s::text[] IS NULL OR next.workspace_id = ANY (%(workspaces)s::text[]))
        ) ELSE '{}' END,
        walk.seen || walk.frontier,
        followed.octets
    FROM walk
    CROSS JOIN LATERAL (
        SELECT walk.octets + coalesce(sum(octet_length(e.relationships)), 0)::bigint AS octets
        FROM entities e WHERE e.id = ANY (walk.frontier)
    ) followed
    WHERE walk.distance < %(depth)s::integer AND walk.frontier <> '{}'
), nearest (id, distance) AS (
    SELECT f.id, walk.distance FROM walk CROSS JOIN LATERAL unnest(walk.frontier) AS f (id) WHERE walk.distance > 0
)
"""

#: ``query`` is a direction. Text that has another number of commas is not looked at; text of usual numbers is cast at
#: once; of other JSON arrays of numbers, which PostgreSQL's floats may refuse, each is divided by the largest of them
SEARCH = r"""
SELECT {columns}, scored.score
FROM {rows} t
CROSS JOIN LATERAL (SELECT encode(t.embedding, 'escape') AS text OFFSET 0) stored
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN cardinality(string_to_array(stored.text, ',')) <> %(dimension)s::integer THEN NULL
        WHEN stored.text ~ (
            '^\s*\[\s*-?(?:0|[1-9][0-9]{{0,21}})(?:\.[0-9]{{1,60}})?(?:[eE][-+]?[0-9]{{1,2}})?'
            '(?:\s*,\s*-?(?:0|[1-9][0-9]{{0,21}})(?:\.[0-9]{{1,60}})?(?:[eE][-+]?[0-9]{{1,2}})?)*\s*\]\s*$'
        ) THEN replace(replace(stored.text, '[', '{{'), ']', '}}')::float8[]
        WHEN stored.text ~ (
            '^\s*\[\s*-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{{1,3}})?'
            '(?:\s*,\s*-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{{1,3}})?)*\s*\]\s*$'
        ) AND stored.text !~ '[0-9.]{{250}}'
        THEN (
            SELECT CASE WHEN max(largest) <= 1.7976931348623157e308::numeric
                THEN array_agg(coalesce(round(number / nullif(largest, 0), 60), 0)::float8 ORDER BY place) END
            FROM (
                SELECT number, place, max(abs(number)) OVER () AS largest
                FROM (
                    SELECT n.text::numeric AS number, n.place
                    FROM unnest(string_to_array(translate(stored.text, '[]', ''), ','))
                        WITH ORDINALITY AS n (text, place)
                ) numbers
            ) sized
        )
    END AS numbers OFFSET 0
) vector
CROSS JOIN LATERAL (
    SELECT round(
        coalesce(sum(n.stored * n.query) / nullif(sqrt(sum(n.stored * n.stored)), 0), 0)::numeric, 12
    )::float8 AS score
    FROM unnest(vector.numbers, %(query)s::float8[]) AS n (stored, query)
) scored
WHERE t.embedding IS NOT NULL{conditions} AND vector.numbers IS NOT NULL AND scored.score >= %(threshold)s::float8
ORDER BY scored.score DESC, t.created_at DESC, t.id DESC LIMIT %(top_k)s::bigint
"""


class PostgresMemorySql(MemorySql):
    insert_entity = INSERT_ENTITY
    renew_entity = RENEW_ENTITY
    update_entity = UPDATE_ENTITY
    insert_fact = INSERT_FACT
    reached = REACHED
    search = SEARCH
    of_workspaces = "workspace_id = ANY (%(workspaces)s::text[])"
    at_least = "confidence >= %s::real"

    def _lock_name(self, entity: Mapping[str, Any]) -> Steps[None]:
        yield LOCK_NAME, entity

    def texts(self, values: Sequence[str]) -> Any:
        return list(values)

    def nearest(
        self,
        model: type[models.Model],
        wanted: tuple[str, ...],
        conditions: tuple[str, ...],
        parameters: Mapping[str, Any],
    ) -> Steps[Sequence[Row]]:
        query = {**parameters, "query": "{" + ",".join(map(repr, parameters["query"])) + "}"}
        if parameters["dimension"] in memory_index.DIMENSIONS and any(parameters["query"]):
            rows = yield from self._nearest_with_pgvector(model, wanted, conditions, query, parameters["query"])
            if rows is not None:
                return rows
        return (yield searching(self.search, model, wanted, conditions), query)  # type: ignore[no-any-return]  # rows

    def _nearest_with_pgvector(
        self,
        model: type[models.Model],
        wanted: tuple[str, ...],
        conditions: tuple[str, ...],
        query: dict[str, Any],
        direction: list[float],
    ) -> Steps[Sequence[Row] | None]:
        """None where there are no indexes of the dimension that can be used."""
        dimension, top_k = query["dimension"], query["top_k"]
        names = tuple(dict.fromkeys((*wanted, *SCORED_BY)))
        near = 0 < len(query["near"] or ()) <= memory_index.SIGNED
        said = partial(
            memory_index.said, model=model, dimension=dimension, conditions=conditions, wanted=names, by_workspace=False
        )
        kinds = memory_index.kinds(model)
        indexes = [memory_index.name(model._meta.db_table, dimension, by_workspace=one) for one in kinds]
        look = {
            **query,
            "few": max(memory_index.FEW, top_k),
            "sparse": memory_index.SPARSE,
            "scanned": memory_index.SCANNED,
            "indexes": indexes,
        }
        found = yield said(memory_index.LOOK, schema="", by_workspace=near), look
        if not found:
            return None
        [(schema, is_few, may_end_early)] = found
        if not is_few:
            best: Sequence[Row] = ()
            if near:
                through = partial(said, schema=schema, by_workspace=True)
                best = yield from _through_index(through, query, names, direction)
            if not best and False in kinds:
                best = yield from _through_index(partial(said, schema=schema), query, names, direction)
            if len(best) >= top_k or not may_end_early:
                found = [row for row in best[:top_k] if row[-1] >= query["threshold"]]
                return [(*row[: len(wanted)], row[-1]) for row in found]
        scored = searching(self.search, model, wanted, rows=memory_index.CANDIDATES)
        return (yield said(memory_index.ONE_BY_ONE, schema=schema) + scored, query)  # type: ignore[no-any-return]  # rows


def _through_index(
    said: Callable[[str], str], query: Mapping[str, Any], names: Sequence[str], direction: Sequence[float]
) -> Steps[Sequence[Row]]:
    """The candidates of an index, best first."""
    top_k, best = query["top_k"], list[Row]()
    for more in memory_index.MORE:
        candidates = {**query, "candidates": top_k + more, "width": memory_index.WIDTH}
        rows = yield said(memory_index.THROUGH_INDEX + memory_index.ROWS), candidates
        best = _best_first(names, rows, direction)
        if len(best) < top_k + more or best[top_k - 1][-1] > best[-1][-1]:
            break  # no equally near one is left out
    return best


#: the columns that the order of a search depends on
SCORED_BY = ("id", "created_at", "embedding")


def _best_first(names: Sequence[str], rows: Sequence[Row], direction: Sequence[float]) -> list[Row]:
    """A few candidates as `SEARCH` would order them, with their scores behind: here it takes a tenth."""
    id, created_at, embedding = map(names.index, SCORED_BY)
    scored = []
    for row in rows:
        vector = embeddings.loaded(row[embedding])
        scored.append((*row, round(embeddings.cosine(direction, vector), DECIMALS) if vector else 0.0))
    return sorted(scored, key=lambda row: (row[-1], row[created_at], row[id]), reverse=True)
