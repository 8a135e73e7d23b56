"""The results of nodes, taken apart by the database: a page reads how a run stands, and not what its nodes put out.

``node_results`` of many megabytes are never sent to Python: the database sends each entry field by field, and of a
field, or a part of it, that is large only its size and its beginning. The statements can be pasted into psql and
sqlite3; what they send is the same, but for numbers of more than 64 bits, which SQLite rounds, and for
sizes of texts, which it counts without escapes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.db import DatabaseError, connections, transaction

from obsku_checkpoint.admin.large_columns import BytesIn, Large
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
#: bytes, and one value more, in which escapes that PostgreSQL refuses are replaced: 10 to 100 ms a megabyte
REPLACED = 20_000_000

_TABLE = Checkpoint._meta.db_table

# A value is unpacked and parsed as seldom as can be: OFFSET and LIMIT keep PostgreSQL from doing it again at each
# place of use. The type is json: jsonb would build the whole value. No window orders the entries, as that would
# write them to the disk.
# Its JSON functions refuse escaped NULs and lone surrogates, which become U+FFFD where that is asked for; an escaped
# backslash before such letters stays valid, and so do the pairs.
_POSTGRES = f"""
WITH texts (id, results) AS (
    SELECT c.id, r.results
    FROM {_TABLE} c,
         LATERAL (SELECT c.node_results || '' AS text OFFSET 0) t,
         LATERAL (SELECT CAST(CASE WHEN CAST(%s AS boolean)
                                   THEN regexp_replace(
                                       t.text, '\\\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{{2}})', '\\\\ufffd', 'g')
                                   ELSE t.text END AS json) AS results OFFSET 0) r
    WHERE c.id = ANY(%s)
), entries (id, node, value, place, total) AS (
    SELECT t.id, e.key, CASE WHEN json_typeof(e.value) = 'object' THEN e.value ELSE '{{}}' END, e.place, e.total
    FROM texts t, LATERAL (
        SELECT key, value, place, count(*) OVER () AS total
        FROM json_each(CASE WHEN json_typeof(t.results) = 'object' THEN t.results ELSE '{{}}' END)
             WITH ORDINALITY AS j (key, value, place)
        ORDER BY CASE WHEN starts_with(key, '#') THEN 0
                      WHEN value ->> 'status' IN ('failed', 'pending', 'running') THEN 1 ELSE 2 END, place DESC
        LIMIT %s
    ) e
), fields (id, node, place, total, field, value, text, bytes, most) AS (
    SELECT e.id, e.node, e.place, e.total, f.key, f.value, f.text, octet_length(f.text),
           CASE WHEN starts_with(e.node, '#') THEN {RESERVED} ELSE {FIELD} END
    FROM entries e LEFT JOIN LATERAL (
        SELECT key, value, CAST(value AS text) AS text FROM json_each(e.value) LIMIT {PARTS + 1}
    ) f ON true
)
SELECT f.id, f.node, f.total, f.field, f.bytes, CASE WHEN f.bytes <= f.most THEN f.text ELSE left(f.text, {HEAD}) END,
       CASE WHEN f.bytes > f.most AND json_typeof(f.value) = 'object' THEN (
           SELECT CAST(json_agg(json_build_array(p.key, octet_length(p.text),
               CASE WHEN octet_length(p.text) <= f.most THEN p.text ELSE left(p.text, {HEAD}) END)) AS text)
           FROM (SELECT key, CAST(value AS text) AS text FROM json_each(f.value) LIMIT {PARTS + 1}) p
       ) END
FROM fields f ORDER BY f.id, f.place
"""

# Nothing long goes through a window, a sort or a table in between, which SQLite would write to the disk.
# Texts are sent as bytes: a lone surrogate would make them undecodable. A text that is not JSON has no entries.
_ENTRIES = """json_each(CASE WHEN json_valid(c.node_results) AND json_type(c.node_results) = 'object'
                              THEN c.node_results ELSE '{}' END) e"""
_SQLITE = f"""
WITH ranked (id, place, rank, total) AS MATERIALIZED (
    SELECT c.id, e.id,
           row_number() OVER (PARTITION BY c.id ORDER BY
               CASE WHEN substr(e.key, 1, 1) = '#' THEN 0
                    WHEN e.type = 'object' AND json_extract(e.value, '$.status') IN ('failed', 'pending', 'running')
                    THEN 1 ELSE 2 END, e.id DESC),
           count(*) OVER (PARTITION BY c.id)
    FROM {_TABLE} c, {_ENTRIES}
    WHERE c.id IN (SELECT value FROM json_each(%s))
), fields (id, node, place, total, field, type, value, bytes, most) AS NOT MATERIALIZED (
    SELECT c.id, e.key, e.id, r.total, f.key, f.type, f.value,
           length(CAST(f.value AS BLOB)) + CASE f.type WHEN 'text' THEN 2 ELSE 0 END,
           CASE WHEN substr(e.key, 1, 1) = '#' THEN {RESERVED} ELSE {FIELD} END
    FROM (SELECT DISTINCT id FROM ranked) found
         CROSS JOIN {_TABLE} c ON c.id = found.id
         CROSS JOIN {_ENTRIES}
         CROSS JOIN ranked r ON r.id = c.id AND r.place = e.id AND r.rank <= %s
         LEFT JOIN json_each(CASE WHEN e.type = 'object' THEN e.value ELSE '{{}}' END) f ON f.id IS NOT NULL
)
SELECT f.id, CAST(f.node AS BLOB), f.total, CAST(f.field AS BLOB), coalesce(f.bytes, 4),
       CAST(CASE WHEN f.type IN ('true', 'false', 'null') THEN f.type
                 WHEN f.bytes > f.most AND f.type = 'text'
                     THEN substr(json_quote(substr(f.value, 1, {HEAD})), 1, {HEAD})
                 WHEN f.bytes > f.most THEN substr(f.value, 1, {HEAD})
                 WHEN f.type IN ('object', 'array') THEN f.value
                 ELSE json_quote(f.value) END AS BLOB),
       CASE WHEN f.bytes > f.most AND f.type = 'object' THEN (
           SELECT CAST(json_group_array(json_array(
               p.key, length(CAST(p.text AS BLOB)),
               CASE WHEN length(CAST(p.text AS BLOB)) <= f.most THEN p.text ELSE substr(p.text, 1, {HEAD}) END
           )) AS BLOB)
           FROM (SELECT key, CASE WHEN type IN ('object', 'array') THEN CAST(value AS text)
                                  WHEN type IN ('true', 'false') THEN type ELSE json_quote(value) END AS text
                 FROM json_each(f.value) LIMIT {PARTS + 1}) p
       ) END
FROM fields f ORDER BY f.id, f.place
"""


class Results(NamedTuple):
    """One checkpoint's ``node_results``, in which `Large` stands for what was not read whole."""

    value: Any
    #: entries that were not read
    left_out: int


def results_in_parts(database: str, ids: Sequence[str], entries: int = ENTRIES) -> dict[str, Results]:
    """Checkpoint id -> its results; a `CorruptValue` where the database cannot read them as a JSON object.

    Left out are those beyond `REPLACED`.
    """
    try:
        return _read(database, ids, entries)
    except DatabaseError:  # of one of them, and PostgreSQL does not say which
        return dict(_one_by_one(database, ids, entries))


def _one_by_one(database: str, ids: Sequence[str], entries: int) -> Iterator[tuple[str, Results]]:
    sizes = dict(Checkpoint.objects.using(database).filter(pk__in=ids).values_list("pk", BytesIn("node_results")))
    left = REPLACED
    for id in ids:
        try:
            yield from _read(database, [id], entries).items()
        except DatabaseError:
            if left <= 0:
                continue
            left -= sizes.get(id, 0)
            try:
                yield from _read(database, [id], entries, replacing=True).items()
            except DatabaseError:
                yield id, Results(CorruptValue(text="", reason="the database cannot read it as JSON"), 0)


def _read(database: str, ids: Sequence[str], entries: int, *, replacing: bool = False) -> dict[str, Results]:
    found: dict[str, dict[str, Any]] = {id: {} for id in ids}
    totals = dict.fromkeys(ids, 0)
    with transaction.atomic(using=database), connections[database].cursor() as cursor:
        if connections[database].vendor == "postgresql":
            cursor.execute(_POSTGRES, [replacing, list(ids), entries])
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
