"""`DjangoStore`: LangGraph's long-term memory over the store's database, with the semantics of its `InMemoryStore`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)

from obsku_checkpoint import codec, validation
from obsku_checkpoint.async_twins import Steps, method, twin
from obsku_checkpoint.contrib.langgraph import namespaces, vectors
from obsku_checkpoint.contrib.langgraph.drivers import OverStore
from obsku_checkpoint.contrib.langgraph.matching import fits, matches_all
from obsku_checkpoint.contrib.langgraph.vectors import Embedded, Index
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.fields import from_milliseconds
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.store.calls import Write, atomic

#: items that a search looks at with each statement
PAGE = 500
#: times as many vectors are looked at next where the nearest ones lead to too few items
FURTHER = 8
#: milliseconds of the minute, which LangGraph counts time to live in
MINUTE = 60_000

_COLUMNS = "id, prefix, key, value, created_at, updated_at, ttl"
_LIVING = "workspace_id = %(workspace_id)s AND (expires_at IS NULL OR expires_at > %(now)s)"
_KEYS = "(SELECT e.value ->> 0, e.value ->> 1 FROM {elements}(%(keys)s) e)"
#: a prefix is a JSON array: all that begin with it stand between its text with a comma and with what comes after commas
_BELOW = "(prefix = %(prefix)s OR (prefix >= %(below)s AND prefix < %(beyond)s))"

GET = f"""
SELECT {_COLUMNS} FROM langgraph_store WHERE {_LIVING} AND (prefix, key) IN {_KEYS}
"""

SEARCH = f"""
SELECT {_COLUMNS} FROM langgraph_store
WHERE {_LIVING} AND {_BELOW} AND id > %(after)s ORDER BY id LIMIT %(limit)s
"""

_IDS = "(SELECT CAST(value AS bigint) FROM {texts}(%(ids)s))"
BY_IDS = f"SELECT {_COLUMNS} FROM langgraph_store WHERE {_LIVING} AND id IN {_IDS}"

REFRESH = f"""
UPDATE langgraph_store SET expires_at = %(now)s + ttl WHERE ttl IS NOT NULL AND id IN {_IDS} RETURNING id
"""

NAMESPACES = f"SELECT DISTINCT prefix FROM langgraph_store WHERE {_LIVING}"

#: ``updated_at`` never stays: what was made of an earlier value (`vectors`) is told by it
PUT = """
INSERT INTO langgraph_store AS s (workspace_id, prefix, key, value, created_at, updated_at, ttl, expires_at)
SELECT
    %(workspace_id)s, e.value ->> 0, e.value ->> 1, e.value ->> 2, CAST(%(now)s AS bigint), CAST(%(now)s AS bigint),
    CAST(e.value ->> 3 AS bigint), CAST(%(now)s AS bigint) + CAST(e.value ->> 3 AS bigint)
FROM {elements}(%(rows)s) e WHERE true
ON CONFLICT (workspace_id, prefix, key) DO UPDATE SET
    value = excluded.value, ttl = excluded.ttl, expires_at = excluded.expires_at,
    updated_at = CASE WHEN s.updated_at < excluded.updated_at THEN excluded.updated_at ELSE s.updated_at + 1 END,
    created_at = CASE WHEN s.expires_at <= excluded.updated_at THEN excluded.created_at ELSE s.created_at END
RETURNING id, prefix, key, updated_at
"""

DELETE = f"""
DELETE FROM langgraph_store WHERE workspace_id = %(workspace_id)s AND (prefix, key) IN {_KEYS} RETURNING id
"""

Row = Sequence[Any]
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Operations that are fit to be carried out."""

    ops: list[Op]
    #: [prefix, key, value, time to live] of items
    rows: list[list[Any]] = field(default_factory=list)
    deleted: list[Place] = field(default_factory=list)
    #: path -> text of what is embedded of them
    texts: dict[Place, dict[str, str]] = field(default_factory=dict)

    def to_embed(self) -> tuple[list[str], list[str]]:
        """What is searched for, and what is stored, each text once."""
        queries = [op.query for op in self.ops if isinstance(op, SearchOp) and op.query]
        texts = [text for of_item in self.texts.values() for text in of_item.values()]
        return [*dict.fromkeys(queries)], [*dict.fromkeys(texts)]


@dataclass(slots=True)
class _Page:
    """What a search returns of the items that it is shown in their order."""

    op: SearchOp
    found: list[SearchItem] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    passed: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.found) >= self.op.limit

    def show(self, row: Row, score: float | None = None) -> None:
        item = _item(row)
        if self.is_full or not matches_all(item["value"], self.op.filter):
            return
        self.passed += 1
        if self.passed > self.op.offset:
            self.found.append(SearchItem(**item, score=score))
            self.rows.append(row)


class DjangoStore(OverStore, BaseStore):
    """Items under namespaces, shared by all threads of a workspace, and found by what they mean where there is an
    ``index``; without one a ``query`` is ignored.

    A value may hold what JSON-plus can (`obsku_checkpoint.codec`). Items whose time to live is over are invisible at
    once, and removed by ``manage.py checkpoints prune``.
    """

    supports_ttl = True

    def __init__(
        self,
        using: str | DjangoCheckpointStore | None = None,
        *,
        workspace_id: str | None = None,
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        """``using``: an alias of ``DATABASES``, or a store. ``index``: what embeds which fields of a value.
        ``ttl``: LangGraph's defaults for times to live.

        Raises `ConfigurationError` for what cannot be used, and `InvalidRecordError`.
        """
        super().__init__(using)
        self.workspace_id = validation.optional_key("workspace_id", workspace_id) or ""
        self.index_config = index
        self.ttl_config = ttl
        self._index = None if index is None else Index(index)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """What LangGraph's ``get``, ``search``, ``put``, ``delete`` and ``list_namespaces`` call. Reads come first."""
        batch = self._prepared(ops)
        return self._batch(batch, self._index.embed(*batch.to_embed()) if self._index else Embedded())

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Async twin of `batch`."""
        batch = self._prepared(ops)
        return await self._abatch(batch, await self._index.aembed(*batch.to_embed()) if self._index else Embedded())

    def _prepared(self, ops: Iterable[Op]) -> _Batch:
        batch = _Batch([*ops])
        puts: dict[Place, PutOp] = {}
        for number, op in enumerate(batch.ops):
            if isinstance(op, PutOp):
                puts[namespaces.stored(op.namespace), validation.key("key", op.key)] = op
            elif not isinstance(op, GetOp | SearchOp | ListNamespacesOp):
                raise InvalidRecordError(f"ops[{number}]", f"is not one of LangGraph's operations: {type(op).__name__}")
        for place, op in puts.items():
            if op.value is None:
                batch.deleted.append(place)
                continue
            value = dict(op.value)
            batch.rows.append([*place, codec.dumps(value), None if op.ttl is None else round(op.ttl * MINUTE)])
            if self._index:
                batch.texts[place] = self._index.texts(value, op.index)
        return batch

    @method
    def _batch(self, batch: _Batch, embedded: Embedded) -> Steps[list[Result]]:
        results: list[Result] = [None] * len(batch.ops)
        gets = [(number, op) for number, op in enumerate(batch.ops) if isinstance(op, GetOp)]
        if gets:
            found = yield from self._get([op for _, op in gets])
            for number, get in gets:
                results[number] = found.get((namespaces.stored(get.namespace), get.key))
        for number, op in enumerate(batch.ops):
            if isinstance(op, SearchOp):
                results[number] = yield from self._search(op, embedded.queries.get(op.query or ""))
            elif isinstance(op, ListNamespacesOp):
                results[number] = yield from self._list_namespaces(op)
        yield from self._put(batch, embedded)
        return results

    _abatch = twin(_batch)

    def _parameters(self, **more: Any) -> dict[str, Any]:
        return {"workspace_id": self.workspace_id, "now": time.time_ns() // 1_000_000, **more}

    def _get(self, ops: Sequence[GetOp]) -> Steps[dict[Place, Item]]:
        keys = [[namespaces.stored(op.namespace), op.key] for op in ops]
        rows = yield self._sql.said(GET), self._parameters(keys=json.dumps(keys))
        refreshed = {(namespaces.stored(op.namespace), op.key) for op in ops if op.refresh_ttl}
        yield from self._refresh([row for row in rows if (row[1], row[2]) in refreshed])
        return {(row[1], row[2]): Item(**_item(row)) for row in rows}

    def _search(self, op: SearchOp, query: list[float] | None) -> Steps[list[SearchItem]]:
        """The nearest first, where there is a query; items without a vector come after all that have one."""
        page, scored = _Page(op), set[int]()
        if query is not None:
            page, scored = yield from self._nearest(op, query)
        after = 0
        while not page.is_full:
            parameters = self._parameters(**namespaces.bounds(op.namespace_prefix), after=after, limit=PAGE)
            rows = yield self._sql.said(SEARCH), parameters
            for row in rows:
                if row[0] not in scored:
                    page.show(row)
            if len(rows) < PAGE:
                break
            after = rows[-1][0]
        if op.refresh_ttl:
            yield from self._refresh(page.rows)
        return page.found

    def _nearest(self, op: SearchOp, query: list[float]) -> Steps[tuple[_Page, set[int]]]:
        """The page as far as vectors fill it, and the items that have one, if it is not full. Each counts once, by the
        best of its scores. Filters look at values, so that nearer items may have to make way.
        """
        rows: dict[int, Row] = {}
        scores: dict[int, float] = {}
        page, seen = _Page(op), None
        count = (op.offset + op.limit) * (len(self._index.paths) if self._index else 1)
        while not page.is_full and (seen is None or seen == count):
            count = count * FURTHER if seen else count
            place = self._parameters(**namespaces.bounds(op.namespace_prefix))
            ranked = yield from vectors.nearest(self.store, query, count, place)
            page, seen, scores = _Page(op), len(ranked), {}
            for id, score in ranked:
                scores.setdefault(id, score)
            if fresh := [id for id in scores if id not in rows]:
                read = yield self._sql.said(BY_IDS), self._parameters(ids=json.dumps(fresh))
                rows |= {row[0]: row for row in read}
            for id, score in scores.items():
                if id in rows:
                    page.show(rows[id], score)
        return page, {*scores}

    def _refresh(self, rows: Sequence[Row]) -> Steps[None]:
        if ids := [row[0] for row in rows if row[-1] is not None]:
            yield Write(self._sql.said(REFRESH), self._parameters(ids=json.dumps(ids)))

    def _list_namespaces(self, op: ListNamespacesOp) -> Steps[list[tuple[str, ...]]]:
        rows = yield NAMESPACES, self._parameters()
        namespaces = {tuple(json.loads(prefix)) for (prefix,) in rows}
        chosen = {one for one in namespaces if all(fits(one, condition) for condition in op.match_conditions or ())}
        cut = sorted({one[: op.max_depth] for one in chosen})
        return cut[op.offset : op.offset + op.limit]

    def _put(self, batch: _Batch, embedded: Embedded) -> Steps[None]:
        def steps() -> Steps[None]:
            if batch.rows:
                rows = yield Write(self._sql.said(PUT), self._parameters(rows=json.dumps(batch.rows)))
                if self._index:
                    items = [vectors.Item(id, prefix, at, batch.texts[prefix, key]) for id, prefix, key, at in rows]
                    yield from vectors.replace(self._sql, self.workspace_id, items, embedded.texts)
            if batch.deleted:
                yield Write(self._sql.said(DELETE), self._parameters(keys=json.dumps(batch.deleted)))

        if batch.rows and (batch.deleted or self._index):
            yield from atomic(steps)
        else:
            yield from steps()


def _item(row: Row) -> dict[str, Any]:
    _, prefix, key, value, created_at, updated_at, _ = row
    return {
        "namespace": tuple(json.loads(prefix)),
        "key": key,
        "value": codec.loads(value),
        "created_at": from_milliseconds(created_at),
        "updated_at": from_milliseconds(updated_at),
    }
