"""`DjangoStore`: LangGraph's long-term memory over the store's database, with the semantics of its `InMemoryStore`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)

from obsku_checkpoint import codec, validation
from obsku_checkpoint.async_twins import Steps, method, twin
from obsku_checkpoint.contrib.langgraph.drivers import OverStore
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.fields import from_milliseconds
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.store.calls import Write, atomic

#: items that a search looks at with each statement
PAGE = 500
#: milliseconds of the minute, which LangGraph counts time to live in
MINUTE = 60_000

_LIVING = "workspace_id = %(workspace_id)s AND (expires_at IS NULL OR expires_at > %(now)s)"
_KEYS = "(SELECT e.value ->> 0, e.value ->> 1 FROM {elements}(%(keys)s) e)"
#: a prefix is a JSON array: all that begin with it stand between its text with a comma and with what comes after commas
_BELOW = "(prefix = %(prefix)s OR (prefix >= %(below)s AND prefix < %(beyond)s))"

GET = f"""
SELECT id, prefix, key, value, created_at, updated_at FROM langgraph_store
WHERE {_LIVING} AND (prefix, key) IN {_KEYS}
"""

SEARCH = f"""
SELECT id, prefix, key, value, created_at, updated_at FROM langgraph_store
WHERE {_LIVING} AND {_BELOW} AND id > %(after)s ORDER BY id LIMIT %(limit)s
"""

REFRESH = """
UPDATE langgraph_store SET expires_at = %(now)s + ttl
WHERE ttl IS NOT NULL AND id IN (SELECT CAST(value AS bigint) FROM {texts}(%(ids)s)) RETURNING id
"""

NAMESPACES = f"SELECT DISTINCT prefix FROM langgraph_store WHERE {_LIVING}"

PUT = """
INSERT INTO langgraph_store AS s (workspace_id, prefix, key, value, created_at, updated_at, ttl, expires_at)
SELECT
    %(workspace_id)s, e.value ->> 0, e.value ->> 1, e.value ->> 2, CAST(%(now)s AS bigint), CAST(%(now)s AS bigint),
    CAST(e.value ->> 3 AS bigint), CAST(%(now)s AS bigint) + CAST(e.value ->> 3 AS bigint)
FROM {elements}(%(rows)s) e WHERE true
ON CONFLICT (workspace_id, prefix, key) DO UPDATE SET
    value = excluded.value, updated_at = excluded.updated_at, ttl = excluded.ttl, expires_at = excluded.expires_at,
    created_at = CASE WHEN s.expires_at <= excluded.updated_at THEN excluded.created_at ELSE s.created_at END
RETURNING id
"""

DELETE = f"""
DELETE FROM langgraph_store WHERE workspace_id = %(workspace_id)s AND (prefix, key) IN {_KEYS} RETURNING id
"""

Row = Sequence[Any]
Place = tuple[str, str]


class DjangoStore(OverStore, BaseStore):
    """Items under namespaces, shared by all threads of a workspace. Vectors are not searched: a ``query`` is ignored.

    A value may hold what JSON-plus can (`obsku_checkpoint.codec`). Items whose time to live is over are invisible at
    once, and removed by ``manage.py checkpoints prune``.
    """

    supports_ttl = True

    def __init__(
        self,
        using: str | DjangoCheckpointStore | None = None,
        *,
        workspace_id: str | None = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        """``using``: an alias of ``DATABASES``, or a store. ``ttl``: LangGraph's defaults for times to live."""
        super().__init__(using)
        self.workspace_id = validation.optional_key("workspace_id", workspace_id) or ""
        self.ttl_config = ttl

    @method
    def batch(self, ops: Iterable[Op]) -> Steps[list[Result]]:
        """What LangGraph's ``get``, ``search``, ``put``, ``delete`` and ``list_namespaces`` call. Reads come first."""
        ops = list(ops)
        results: list[Result] = [None] * len(ops)
        gets = [(number, op) for number, op in enumerate(ops) if isinstance(op, GetOp)]
        if gets:
            found = yield from self._get([op for _, op in gets])
            for number, get in gets:
                results[number] = found.get((_prefix(get.namespace), get.key))
        for number, op in enumerate(ops):
            if isinstance(op, SearchOp):
                results[number] = yield from self._search(op)
            elif isinstance(op, ListNamespacesOp):
                results[number] = yield from self._list_namespaces(op)
            elif not isinstance(op, GetOp | PutOp):
                raise InvalidRecordError(f"ops[{number}]", f"is not one of LangGraph's operations: {type(op).__name__}")
        puts = {(_prefix(op.namespace), validation.key("key", op.key)): op for op in ops if isinstance(op, PutOp)}
        if puts:
            yield from self._put(puts)
        return results

    abatch = twin(batch)  # type: ignore[arg-type]  # the checker takes self for the base's

    def _parameters(self, **more: Any) -> dict[str, Any]:
        return {"workspace_id": self.workspace_id, "now": time.time_ns() // 1_000_000, **more}

    def _get(self, ops: Sequence[GetOp]) -> Steps[dict[Place, Item]]:
        keys = [[_prefix(op.namespace), op.key] for op in ops]
        rows = yield self._sql.said(GET), self._parameters(keys=json.dumps(keys))
        refreshed = {(_prefix(op.namespace), op.key) for op in ops if op.refresh_ttl}
        yield from self._refresh([row[0] for row in rows if (row[1], row[2]) in refreshed])
        return {(row[1], row[2]): Item(**_item(row)) for row in rows}

    def _search(self, op: SearchOp) -> Steps[list[SearchItem]]:
        found: list[SearchItem] = []
        ids: list[int] = []
        passed, after = 0, 0
        while len(found) < op.limit:
            parameters = self._parameters(**_bounds(op.namespace_prefix), after=after, limit=PAGE)
            rows = yield self._sql.said(SEARCH), parameters
            for row in rows:
                item = _item(row)
                if not _matches_all(item["value"], op.filter):
                    continue
                passed += 1
                if op.offset < passed <= op.offset + op.limit:
                    found.append(SearchItem(**item))
                    ids.append(row[0])
            if len(rows) < PAGE:
                break
            after = rows[-1][0]
        if op.refresh_ttl:
            yield from self._refresh(ids)
        return found

    def _refresh(self, ids: Sequence[int]) -> Steps[None]:
        if ids:
            yield Write(self._sql.said(REFRESH), self._parameters(ids=json.dumps([*ids])))

    def _list_namespaces(self, op: ListNamespacesOp) -> Steps[list[tuple[str, ...]]]:
        rows = yield NAMESPACES, self._parameters()
        namespaces = {tuple(json.loads(prefix)) for (prefix,) in rows}
        chosen = {one for one in namespaces if all(_fits(one, condition) for condition in op.match_conditions or ())}
        cut = sorted({one[: op.max_depth] for one in chosen})
        return cut[op.offset : op.offset + op.limit]

    def _put(self, puts: Mapping[Place, PutOp]) -> Steps[None]:
        rows = [
            [*place, codec.dumps(dict(op.value)), None if op.ttl is None else round(op.ttl * MINUTE)]
            for place, op in puts.items()
            if op.value is not None
        ]
        keys = [place for place, op in puts.items() if op.value is None]
        writes = []
        if rows:
            writes.append(Write(self._sql.said(PUT), self._parameters(rows=json.dumps(rows))))
        if keys:
            writes.append(Write(self._sql.said(DELETE), self._parameters(keys=json.dumps(keys))))
        if len(writes) == 1:
            yield writes[0]
        else:
            yield from atomic(partial(_each, writes))


def _each(writes: Iterable[Write]) -> Steps[None]:
    for write in writes:
        _ = yield write  # a list cannot be sent the answer


def _prefix(namespace: tuple[str, ...]) -> str:
    return validation.key("namespace", json.dumps(list(namespace), ensure_ascii=False, separators=(",", ":")))


def _bounds(namespace: tuple[str, ...]) -> dict[str, str]:
    prefix = _prefix(namespace)
    opened = prefix[:-1]
    if not namespace:
        return {"prefix": prefix, "below": "[", "beyond": "\\"}
    return {"prefix": prefix, "below": f"{opened},", "beyond": f"{opened}-"}


def _item(row: Row) -> dict[str, Any]:
    _, prefix, key, value, created_at, updated_at = row
    return {
        "namespace": tuple(json.loads(prefix)),
        "key": key,
        "value": codec.loads(value),
        "created_at": from_milliseconds(created_at),
        "updated_at": from_milliseconds(updated_at),
    }


# -- filters, as those of LangGraph's InMemoryStore


def _matches_all(value: Mapping[str, Any], conditions: Mapping[str, Any] | None) -> bool:
    return all(_matches(value.get(key), condition) for key, condition in (conditions or {}).items())


def _matches(value: Any, condition: Any) -> bool:
    if isinstance(condition, dict):
        if any(str(key).startswith("$") for key in condition):
            return all(_compares(value, operator, operand) for operator, operand in condition.items())
        return isinstance(value, dict) and _matches_all(value, condition)
    if isinstance(condition, list | tuple):
        return isinstance(value, list | tuple) and len(value) == len(condition) and all(map(_matches, value, condition))
    return bool(value == condition)


def _compares(value: Any, operator: str, operand: Any) -> bool:
    if operator == "$eq":
        return bool(value == operand)
    if operator == "$ne":
        return bool(value != operand)
    if operator not in ("$gt", "$gte", "$lt", "$lte"):
        raise InvalidRecordError("filter", f"has the unknown operator {operator!r}")
    try:
        number, other = float(value), float(operand)
    except (TypeError, ValueError):
        return False  # what is not a number is neither more nor less
    if operator == "$gt":
        return number > other
    if operator == "$gte":
        return number >= other
    return number < other if operator == "$lt" else number <= other


def _fits(namespace: tuple[str, ...], condition: MatchCondition) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for label, wanted in zip(part, path, strict=True))
