"""Indexes that searches of vectors go through, made while everybody works on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connections

from obsku_checkpoint import conf
from obsku_checkpoint.errors import ConfigurationError, InvalidRecordError
from obsku_checkpoint.maintenance.tables import with_embeddings
from obsku_checkpoint.store import failures, memory_index

#: of pgvector: the first whose scans go on where a filter leaves too few rows
OLDEST = (0, 8)

EXTENSION = """
SELECT e.extversion, quote_ident(n.nspname)
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'
"""

#: whether it can be used, whether somebody is building it, and its size
STATE = """
SELECT
    i.indisvalid,
    EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid),
    pg_relation_size(i.indexrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = to_regclass(%s) AND c.relname = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingIndex:
    table: str
    name: str
    #: False where it was there
    made: bool
    seconds: float
    bytes: int


def index_embeddings(
    using: str | None = None, *, dimension: int, begin: Callable[[str], None] | None = None
) -> Iterator[EmbeddingIndex]:
    """Make the indexes of the vectors with this many numbers, where they are not there yet: of entities and of facts,
    one each for searches in all workspaces, and one for searches in some; of the adapters' tables, which are searched
    in one workspace, the latter.

    Reads and writes go on meanwhile (``CREATE INDEX CONCURRENTLY``). What an attempt before left unfinished is made
    anew. ``begin`` is called with the name of each index that is about to be made. `ConfigurationError` on SQLite,
    without pgvector 0.8, inside a transaction, and while another process makes the same index; `InvalidRecordError`
    for a dimension beyond 3,936.
    """
    using = using or conf.current().DATABASE
    if dimension not in memory_index.DIMENSIONS:
        raise InvalidRecordError("dimension", f"must be from 1 to {memory_index.DIMENSIONS[-1]}: {dimension}")
    connection = connections[using]
    if connection.vendor != "postgresql":
        raise ConfigurationError("embeddings are indexed on PostgreSQL only: elsewhere every search is exact")
    if connection.in_atomic_block or not connection.get_autocommit():
        raise ConfigurationError("an index is made outside of transactions")
    with failures.in_our_words(using), connection.cursor() as cursor:
        cursor.execute(EXTENSION)
        extension = cursor.fetchone()
        if extension is None or tuple(map(int, extension[0].split(".")[:2])) < OLDEST:
            raise ConfigurationError(
                "needs pgvector 0.8 or later: install it on the server, and run CREATE EXTENSION vector"
                " (or ALTER EXTENSION vector UPDATE) in the database"
            )
        for model in with_embeddings(using):
            table = model._meta.db_table
            for kind in memory_index.kinds(model):
                create = memory_index.said(memory_index.CREATE, model, dimension, extension[1], by_workspace=kind)
                yield _indexed(cursor, table, memory_index.name(table, dimension, by_workspace=kind), create, begin)


def _indexed(cursor: Any, table: str, name: str, create: str, begin: Callable[[str], None] | None) -> EmbeddingIndex:
    def state() -> tuple[bool, bool, int] | None:
        cursor.execute(STATE, [table, name])
        row: tuple[bool, bool, int] | None = cursor.fetchone()
        return row

    there = state()
    if there and there[0]:
        return EmbeddingIndex(table=table, name=name, made=False, seconds=0.0, bytes=there[2])
    if there and there[1]:
        raise ConfigurationError(f"another process is making the index {name}")
    if begin:
        begin(name)
    began = time.monotonic()
    if there:
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    cursor.execute(create)
    seconds = time.monotonic() - began
    made = state()
    return EmbeddingIndex(table=table, name=name, made=True, seconds=seconds, bytes=made[2] if made else 0)
