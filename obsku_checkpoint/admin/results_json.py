"""The results of nodes, taken apart by the database: a page reads how a run stands, and not what its nodes put out.

``node_results`` of many megabytes are never sent to Python: the database sends each entry field by field, and of a
field, or a part of it, that is large only its size and its beginning. The statements can be pasted into psql and
sqlite3; what they send is the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import DatabaseError, connections, transaction

from obsku_checkpoint.admin.large_columns import Large
from obsku_checkpoint.codec import loads_or_corrupt
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.records import CorruptValue

#: entries of a checkpoint that are read: those of nodes that failed or are not finished first
ENTRIES = 400
#: bytes of a field that is read whole, and characters of the beginning of a larger one
FIELD, HEAD = 8_000, 2_000
#: the same for entries that are no node's: the run's own, with its graph
RESERVED = 400_000
#: fields of an entry, and parts of a large field
PARTS = 40

_TABLE = Checkpoint._meta.db_table

# PostgreSQL's JSON functions refuse escaped NULs and lone surrogates. Writers escape no others, so that these become
# U+FFFD; an escaped backslash before such letters stays valid. The type is json: jsonb would build the whole value.
_POSTGRES = f"""
WITH texts (id, results) AS (
    SELECT id, CAST(CASE WHEN strpos(node_results, '\\u0000') > 0 OR strpos(node_results, '\\ud') > 0
                         OR strpos(node_results, '\\uD') > 0
                    THEN regexp_replace(node_results, '\\\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{{2}})', '\\\\ufffd', 'g')
                    ELSE node_results END AS json)
    FROM {_TABLE} WHERE id = ANY(%s)
), entries (id, node, value, place, rank, total) AS (
    SELECT t.id, e.key, CASE WHEN json_typeof(e.value) = 'object' THEN e.value ELSE '{{}}' END, e.place,
           row_number() OVER (PARTITION BY t.id ORDER BY
               CASE WHEN starts_with(e.key, '#') THEN 0
                    WHEN e.value ->> 'status' IN ('failed', 'pending', 'running') THEN 1 ELSE 2 END, e.place DESC),
           count(*) OVER (PARTITION BY t.id)
    FROM texts t, json_each(CASE WHEN json_typeof(t.results) = 'object' THEN t.results ELSE '{{}}' END)
                  WITH ORDINALITY AS e (key, value, place)
), fields (id, node, place, total, field, value, text, bytes, most) AS (
    SELECT e.id, e.node, e.place, e.total, f.key, f.value, CAST(f.value AS text), octet_length(CAST(f.value AS text)),
           CASE WHEN starts_with(e.node, '#') THEN {RESERVED} ELSE {FIELD} END
    FROM entries e LEFT JOIN LATERAL (SELECT * FROM json_each(e.value) LIMIT {PARTS + 1}) f ON true
    WHERE e.rank <= %s
)
SELECT f.id, f.node, f.total, f.field, f.bytes, CASE WHEN f.bytes <= f.most THEN f.text ELSE left(f.text, {HEAD}) END,
       CASE WHEN f.bytes > f.most AND json_typeof(f.value) = 'object' THEN (
           SELECT CAST(json_agg(json_build_array(p.key, octet_length(p.text),
               CASE WHEN octet_length(p.text) <= f.most THEN p.text ELSE left(p.text, {HEAD}) END)) AS text)
           FROM (SELECT key, CAST(value AS text) AS text FROM json_each(f.value) LIMIT {PARTS + 1}) p
       ) END
FROM fields f ORDER BY f.id, f.place
"""

# Texts are sent as bytes: a lone surrogate would make them undecodable. A text that is not JSON has no entries.
_SQLITE = f"""
WITH texts (id, results) AS (
    SELECT id, CASE WHEN json_valid(node_results) AND json_type(node_results) = 'object'
               THEN node_results ELSE '{{}}' END
    FROM {_TABLE} WHERE id IN (SELECT value FROM json_each(%s))
), entries (id, node, value, place, rank, total) AS MATERIALIZED (
    SELECT t.id, e.key, CASE WHEN e.type = 'object' THEN e.value ELSE '{{}}' END, e.id,
           row_number() OVER (PARTITION BY t.id ORDER BY
               CASE WHEN substr(e.key, 1, 1) = '#' THEN 0
                    WHEN e.type = 'object' AND json_extract(e.value, '$.status') IN ('failed', 'pending', 'running')
                    THEN 1 ELSE 2 END, e.id DESC),
           count(*) OVER (PARTITION BY t.id)
    FROM texts t, json_each(t.results) e
), fields (id, node, place, total, field, type, text, bytes, most) AS MATERIALIZED (
    SELECT e.id, e.node, e.place, e.total, f.key, f.type,
           CASE WHEN f.type IN ('object', 'array') THEN f.value
                WHEN f.type IN ('true', 'false') THEN f.type ELSE json_quote(f.value) END,
           length(CAST(CASE WHEN f.type IN ('object', 'array') THEN f.value ELSE json_quote(f.value) END AS BLOB)),
           CASE WHEN substr(e.node, 1, 1) = '#' THEN {RESERVED} ELSE {FIELD} END
    FROM entries e LEFT JOIN json_each(e.value) f ON f.id IS NOT NULL
    WHERE e.rank <= %s
)
SELECT f.id, CAST(f.node AS BLOB), f.total, CAST(f.field AS BLOB), f.bytes,
       CAST(CASE WHEN f.bytes <= f.most THEN f.text ELSE substr(f.text, 1, {HEAD}) END AS BLOB),
       CASE WHEN f.bytes > f.most AND f.type = 'object' THEN (
           SELECT CAST(json_group_array(json_array(
               p.key, length(CAST(p.text AS BLOB)),
               CASE WHEN length(CAST(p.text AS BLOB)) <= f.most THEN p.text ELSE substr(p.text, 1, {HEAD}) END
           )) AS BLOB)
           FROM (SELECT key, CASE WHEN type IN ('object', 'array') THEN CAST(value AS text)
                                  WHEN type IN ('true', 'false') THEN type ELSE json_quote(value) END AS text
                 FROM json_each(f.text) LIMIT {PARTS + 1}) p
       ) END
FROM fields f ORDER BY f.id, f.place
"""


class Results(NamedTuple):
    """One checkpoint's ``node_results``, in which `Large` stands for what was not read whole."""

    value: Any
    #: entries that were not read
    left_out: int


def results_in_parts(database: str, ids: Sequence[str], entries: int = ENTRIES) -> dict[str, Results]:
    """Checkpoint id -> its results; a `CorruptValue` where the database cannot read them as a JSON object."""
    try:
        with transaction.atomic(using=database):
            return _read(database, ids, entries)
    except DatabaseError:
        if len(ids) == 1:
            return {ids[0]: Results(CorruptValue(text="", reason="the database cannot read it as JSON"), 0)}
    # One of them is not JSON, and PostgreSQL does not say which.
    return {id: results for one in ids for id, results in results_in_parts(database, [one], entries).items()}


def _read(database: str, ids: Sequence[str], entries: int) -> dict[str, Results]:
    found: dict[str, dict[str, Any]] = {id: {} for id in ids}
    totals = dict.fromkeys(ids, 0)
    with connections[database].cursor() as cursor:
        if connections[database].vendor == "postgresql":
            cursor.execute(_POSTGRES, [list(ids), entries])
        else:
            cursor.execute(_SQLITE, [json.dumps(list(ids)), entries])
        for id, node, total, field, bytes, head, parts in cursor:
            totals[id] = total
            entry = found[id].setdefault(_text(node), {})
            if parts is not None:
                within: dict[str, Any] = {}
                entry[_text(field)] = within
                for key, part_bytes, part_head in json.loads(_text(parts)):
                    _put(within, key, part_head, part_bytes, bytes)
            elif field is not None:
                _put(entry, _text(field), head, bytes, bytes)
    return {id: Results(value, totals[id] - len(value)) for id, value in found.items()}


def _put(into: dict[str, Any], name: str, head: str | bytes, bytes: int, all: int) -> None:
    """What is beyond `PARTS` is left out, which a last key says, with the size of them ``all``."""
    if len(into) < PARTS:
        text = _text(head)
        into[name] = Large(bytes, text) if len(text.encode()) < bytes else loads_or_corrupt(text)
    else:
        into["…"] = Large(all, "")


def _text(sent: str | bytes) -> str:
    return sent.decode(errors="replace") if isinstance(sent, bytes) else sent
