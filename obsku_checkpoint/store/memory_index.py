r"""Vectors of one dimension in HNSW indexes of pgvector's, and searches through them.

The indexes stand on expressions over the shared column, and hold the rows whose text pgvector surely takes, so that no
row of another dimension, or without a vector, makes a write fail, whoever writes. One holds the vectors' directions,
for searches in all workspaces. The other has behind each 64 numbers that say the workspace, twice as heavy: so the
graph of each workspace's vectors is nearly one of its own, and a search in it does not pass through those of all others
(which a search in all could not pass through any more). A table whose rows are only ever searched in one workspace has
the latter alone. All in 16 bits, as an index only proposes candidates: they are scored and ordered as a search without
an index does.

pgvector's settings are set in the search's own statement, to the end of its transaction, and set back in it: nothing
is left in the caller's transaction, or behind a pooler.
"""

from __future__ import annotations

from functools import cache

from django.db import models

#: numbers that say the workspace
SIGNATURE = 64
#: of a vector that can be indexed; pgvector's HNSW takes 4,000 numbers of 16 bits
DIMENSIONS = range(1, 4000 - SIGNATURE + 1)
#: workspaces of a request that are searched one by one at most
SIGNED = 8
#: as many rows are rather looked at one by one, which is exact
FEW = 200
#: so many as well, if their square is not above three times the number of rows among which an index would look for
#: them: it would pass by so many others that it takes longer, and finds less
SPARSE = 500
#: candidates beyond those that are asked for: the index judges by numbers of 16 bits. Where all of them are equally
#: near, so many are taken that the newest ones are likely to be among them
MORE = (5, 300)
#: what a scan keeps in sight (``hnsw.ef_search``)
WIDTH = "200"
#: rows that pgvector looks at in one scan at most, unless somebody has changed ``hnsw.max_scan_tuples``
SCANNED = 20_000

#: numbers as JSON writers write them, none too large for 32 bits
_NUMBER = r"-?(?:[0-9]{1,21}(?:\.[0-9]+)?|[0-9](?:\.[0-9]+)?[eE](?:-[0-9]{1,3}|\+?[12]?[0-9]))"
USUAL = rf"^\[ ?{_NUMBER}(?:, ?{_NUMBER})*\]$"

#: of unit length times the root of 2: the bits of a hash
_SIGNATURE = """(
    '[' || rtrim(replace(replace(replace(
        hashtextextended({workspace}, 0)::bit(64)::text, '1', '+'), '0', '-+'), '+', '0.1767767,'), ',') || ']'
)::{schema}.vector(64)"""

_INDEXED = """(
    {schema}.l2_normalize(encode(embedding, 'escape')::{schema}.vector({dimension})){signature}
)::{schema}.halfvec({length})"""

_CONDITION = """
    array_length(string_to_array(encode(embedding, 'escape'), ','), 1) = {dimension}
    AND (encode(embedding, 'escape') COLLATE "C") ~ '{usual}'"""

CREATE = f"""
CREATE INDEX CONCURRENTLY {{name}} ON {{table}} USING hnsw (({_INDEXED}) {{schema}}.halfvec_ip_ops)
WHERE {_CONDITION}
"""

#: the schema of pgvector where all ``indexes`` can be used, whether the rows that the conditions leave are so few that
#: they are looked at one by one, and whether a scan may end before it has seen all. More than a few are counted by what
#: their own columns say, which is quick
LOOK = """
WITH wanted AS (
    SELECT count(*) AS rows FROM (SELECT FROM {table} t WHERE true{own_conditions} LIMIT %(sparse)s::bigint + 1) counted
)
SELECT
    quote_ident(n.nspname),
    (SELECT count(*) FROM (SELECT FROM {table} t WHERE true{conditions} LIMIT %(few)s::bigint + 1) counted)
        <= %(few)s::bigint
    OR (
        SELECT CASE WHEN rows > %(sparse)s::bigint OR rows * rows / 3 > c.reltuples THEN false ELSE rows * rows / 3 <= (
            SELECT count(*) FROM (SELECT FROM {table} WHERE {within} LIMIT (SELECT rows * rows / 3 FROM wanted)) others
        ) END
        FROM wanted, pg_class c WHERE c.oid = to_regclass('{table}')
    ),
    max(pg_relation_size(i.indexrelid)) / (2 * %(dimension)s::bigint) > %(scanned)s::bigint
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
CROSS JOIN pg_extension e
JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE i.indrelid = to_regclass('{table}') AND c.relname = ANY (%(indexes)s::text[]) AND i.indisvalid
    AND e.extname = 'vector'
GROUP BY n.nspname
HAVING count(*) = cardinality(%(indexes)s::text[])
"""

#: the candidates of an index, those of each workspace from a scan of its own: none where others' vectors are nearer, as
#: they are when a scan has lost its way to the workspace. The condition is put so that no other index serves it; the
#: vector that a scan begins with is known when the settings are set, and the settings are set back when all candidates
#: are known
THROUGH_INDEX = f"""
WITH before AS MATERIALIZED (
    SELECT current_setting('hnsw.iterative_scan') AS iterative_scan, current_setting('hnsw.ef_search') AS ef_search
), asked AS MATERIALIZED (
    SELECT
        near.workspace,
        (
            %(query)s::float8[]::{{schema}}.vector({{dimension}}){{asked_signature}}
        )::{{schema}}.halfvec({{length}}) AS vector
    FROM before CROSS JOIN {{near}} AS near (workspace)
    WHERE set_config('hnsw.iterative_scan', 'relaxed_order', true) <> ''
        AND set_config('hnsw.ef_search', %(width)s::text, true) <> ''
), nearest AS MATERIALIZED (
    SELECT found.id, found.is_there FROM asked CROSS JOIN LATERAL (
        SELECT id, {{is_there}} AS is_there, {_INDEXED} OPERATOR({{schema}}.<#>) asked.vector AS distance
        FROM {{table}} t
        WHERE {_CONDITION} AND (({{is_there}}) IS FALSE OR (true{{conditions}}) IS TRUE)
        ORDER BY distance LIMIT %(candidates)s::bigint
    ) found
    ORDER BY found.distance LIMIT %(candidates)s::bigint
), candidates AS MATERIALIZED (
    SELECT
        CASE WHEN bool_and(is_there) THEN array_agg(id) END AS ids,
        set_config('hnsw.iterative_scan', (SELECT iterative_scan FROM before), true),
        set_config('hnsw.ef_search', (SELECT ef_search FROM before), true)
    FROM nearest
)"""

#: the candidates of a look at all rows: pgvector reads and scores ten times as fast as PostgreSQL, in 32 bits, which
#: the margin makes up for. What is not usual text is a candidate
ONE_BY_ONE = """
WITH rough AS MATERIALIZED (
    SELECT
        t.id,
        CASE WHEN stored.text COLLATE "C" ~ '{usual}' THEN -(
            {schema}.l2_normalize(stored.text::{schema}.vector({dimension}))
            OPERATOR({schema}.<#>) %(query)s::float8[]::{schema}.vector({dimension})
        ) END AS score
    FROM {table} t
    CROSS JOIN LATERAL (SELECT encode(t.embedding, 'escape') AS text OFFSET 0) stored
    WHERE t.embedding IS NOT NULL{conditions} AND cardinality(string_to_array(stored.text, ',')) = {dimension}
), candidates AS MATERIALIZED (
    SELECT array_agg(id) AS ids FROM rough
    WHERE score IS NULL OR score >= coalesce((
        SELECT score FROM rough WHERE score IS NOT NULL ORDER BY score DESC OFFSET %(top_k)s::bigint - 1 LIMIT 1
    ), -2) - 0.0001
)"""

#: half as long on the way as bytes are
_USUAL_TEXT = "encode(t.embedding, 'escape') AS embedding"

#: the rows of candidates
ROWS = "\nSELECT {columns} FROM candidates JOIN {table} t ON t.id = ANY (candidates.ids)"

CANDIDATES = "(SELECT t.* FROM candidates JOIN {table} t ON t.id = ANY (candidates.ids))"


def kinds(model: type[models.Model]) -> tuple[bool, ...]:
    """Of each index that a table's vectors of one dimension have: whether it knows workspaces (``by_workspace``)."""
    return (False, True) if model._meta.get_field("workspace_id").null else (True,)


def name(table: str, dimension: int, *, by_workspace: bool) -> str:
    return f"{table}_embedding_{dimension}" + ("_workspace" if by_workspace else "")


@cache
def said(
    sql: str,
    model: type[models.Model],
    dimension: int,
    schema: str,
    conditions: tuple[str, ...] = (),
    wanted: tuple[str, ...] = (),
    *,
    by_workspace: bool = False,
) -> str:
    """The statement for the vectors of a table that have this dimension, and the index for workspaces or for all.

    ``schema`` is pgvector's, quoted; `ROWS` has the columns ``wanted``.
    """
    table = model._meta.db_table

    def signature(workspace: str) -> str:
        said = _SIGNATURE.format(workspace=workspace, schema=schema)
        return f" OPERATOR({schema}.||) {said}" if by_workspace else ""

    return sql.format(
        name=name(table, dimension, by_workspace=by_workspace),
        table=table,
        schema=schema,
        columns=", ".join(_USUAL_TEXT if column == "embedding" else f"t.{column}" for column in wanted),
        dimension=dimension,
        length=dimension + SIGNATURE if by_workspace else dimension,
        usual=USUAL,
        signature=signature("coalesce(workspace_id, '')"),
        asked_signature=signature("near.workspace"),
        near="unnest(%(near)s::text[])" if by_workspace else "(VALUES (NULL))",
        own_conditions="".join(f" AND {condition}" for condition in conditions if not condition.startswith("EXISTS")),
        within="workspace_id = ANY (%(near)s::text[])" if by_workspace else "true",
        is_there="coalesce(workspace_id = asked.workspace, false)" if by_workspace else "true",
        conditions="".join(f" AND {condition}" for condition in conditions),
    )
