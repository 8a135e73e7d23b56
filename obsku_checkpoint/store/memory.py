"""Entities and facts: save, find, follow and search what agents know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from obsku_checkpoint import embeddings, memory_validation, validation
from obsku_checkpoint.async_twins import Steps, method
from obsku_checkpoint.errors import EntityNotFoundError, IdConflictError, SessionNotFoundError
from obsku_checkpoint.models import Entity, Fact
from obsku_checkpoint.protocols import UNSET, OnCorrupt, Unset
from obsku_checkpoint.records import EntityRecord, FactRecord, Relationship, Scored
from obsku_checkpoint.store import session_clock
from obsku_checkpoint.store.base import DatabaseStore
from obsku_checkpoint.store.calls import Write
from obsku_checkpoint.store.memory_sql import DECIMALS, DELETE_ENTITY, DELETE_FACT, RELATED
from obsku_checkpoint.store.rows import Row, entity_record, fact_record, same_content
from obsku_checkpoint.store.sql import BY_ID, columns

NEWEST_FIRST = "created_at DESC, id DESC"
CHANGEABLE = ("name", "type", "workspace_id", "attributes", "relationships", "embedding")
ENTITY, FACT = columns(Entity), columns(Fact)
ENTITY_CONTENT, FACT_CONTENT = {*CHANGEABLE, "session_id"}, set(FACT) - {"id", "created_at"}

R = TypeVar("R", EntityRecord, FactRecord)


class Memory(DatabaseStore):
    """`nearest` and `reached`, which the contract does not have, serve the API: ``workspaces`` are those that a request
    may see.
    """

    # -- entities

    @method
    def save_entity(
        self,
        session_id: str,
        *,
        name: str,
        type: str,
        attributes: Mapping[str, Any] | None = None,
        relationships: Sequence[Relationship] = (),
        workspace_id: str | None = None,
        embedding: Sequence[float] | None = None,
        id: str | None = None,
        upsert: bool = False,
    ) -> Steps[EntityRecord]:
        given = memory_validation.entity(
            id=id,
            workspace_id=workspace_id,
            name=name,
            type=type,
            attributes=attributes,
            relationships=relationships,
            embedding=embedding,
        )
        if not validation.can_exist("session_id", session_id):
            raise SessionNotFoundError(session_id)
        entity = {**given, "session_id": session_id, "now": session_clock.now()["now"]}
        if memory_validation.flag("upsert", upsert):
            saved = yield from self._memory_sql.upsert_entity(entity)
        else:
            saved = next(iter((yield Write(self._memory_sql.insert_entity, entity))), None)
        if saved is None:
            row = [entity.get(column) for column in ENTITY]
            saved = yield from self._as_stored(Entity, "Entity", row, ENTITY_CONTENT, session_id)
        return entity_record(saved, "keep")  # it is written: a corrupt column must not hide that

    @method
    def get_entity(self, id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[EntityRecord | None]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("id", id):
            return None
        rows = yield self._select(Entity, (BY_ID, id))
        return entity_record(rows[0], on_corrupt) if rows else None

    @method
    def list_entities(
        self,
        *,
        session_id: str | None = None,
        workspace_id: str | None = None,
        type: str | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> Steps[list[EntityRecord]]:
        validation.on_corrupt(on_corrupt)
        count = validation.limit(limit)
        filters = _given(session_id=session_id, workspace_id=workspace_id, type=type)
        if filters is None:
            return []
        conditions = [(f"{column} = %s", value) for column, value in filters.items()]
        rows = yield self._select(Entity, *conditions, order=NEWEST_FIRST, limit=count)
        return [entity_record(row, on_corrupt) for row in rows]

    @method
    def update_entity(
        self,
        id: str,
        *,
        name: str | Unset = UNSET,
        type: str | Unset = UNSET,
        attributes: Mapping[str, Any] | Unset | None = UNSET,
        relationships: Sequence[Relationship] | Unset | None = UNSET,
        workspace_id: str | Unset | None = UNSET,
        embedding: Sequence[float] | Unset | None = UNSET,
    ) -> Steps[EntityRecord]:
        changes = memory_validation.entity_changes(
            name=name,
            type=type,
            attributes=attributes,
            relationships=relationships,
            workspace_id=workspace_id,
            embedding=embedding,
        )
        if not validation.can_exist("id", id):
            raise EntityNotFoundError(id)
        given = {f"set_{column}": column in changes for column in CHANGEABLE}
        values = {column: changes.get(column) for column in CHANGEABLE}
        now = session_clock.now()["now"]
        rows = yield Write(self._memory_sql.update_entity, {"id": id, "now": now, **given, **values})
        if not rows:
            raise EntityNotFoundError(id)
        return entity_record(rows[0], "keep")  # as above

    @method
    def delete_entity(self, id: str) -> Steps[bool]:
        if not validation.can_exist("id", id):
            return False
        return bool((yield Write(DELETE_ENTITY, {"id": id})))

    @method
    def related(self, entity_id: str, *, depth: int = 1, on_corrupt: OnCorrupt = "raise") -> Steps[list[EntityRecord]]:
        validation.on_corrupt(on_corrupt)
        reached, parameters = self.reached(entity_id, depth)
        if not validation.can_exist("entity_id", entity_id):
            return []
        rows = yield reached + RELATED, parameters
        return [entity_record(row, on_corrupt) for row in rows]

    def reached(
        self, entity_id: str, depth: int, workspaces: Collection[str] | None = None, octets: int = validation.INT64
    ) -> tuple[str, Mapping[str, Any]]:
        """A statement's beginning that names the entities which an entity leads to ``nearest (id, distance)``, and its
        parameters. What is beyond one that may not be seen is not even looked at.

        Its steps, ``walk (distance, …, octets)``, follow so many bytes of relationships, or those of the entity itself;
        where there are more, the last step has more than ``octets`` at a distance beyond 1, and reaches nothing.
        """
        seen = None if workspaces is None else self._memory_sql.texts([*workspaces])
        steps = memory_validation.depth(depth)
        return self._memory_sql.reached, {
            "entity_id": entity_id,
            "depth": steps,
            "workspaces": seen,
            "octets": octets,
        }

    @method
    def search_entities(
        self,
        embedding: Sequence[float],
        *,
        workspace_id: str | None = None,
        session_id: str | None = None,
        top_k: int = 10,
        threshold: float = 0.0,
        on_corrupt: OnCorrupt = "raise",
    ) -> Steps[list[Scored[EntityRecord]]]:
        validation.on_corrupt(on_corrupt)
        filters = _given(workspace_id=workspace_id, session_id=session_id)
        rows = yield from self._nearest(Entity, ENTITY, embedding, filters, top_k, threshold)
        return _scored(entity_record, rows, on_corrupt)

    # -- facts

    @method
    def save_fact(
        self,
        content: str,
        *,
        confidence: float = 1.0,
        workspace_id: str | None = None,
        source_session_id: str | None = None,
        embedding: Sequence[float] | None = None,
        id: str | None = None,
    ) -> Steps[FactRecord]:
        given = memory_validation.fact(
            id=id, workspace_id=workspace_id, content=content, confidence=confidence, embedding=embedding
        )
        if source_session_id is not None and not validation.can_exist("source_session_id", source_session_id):
            raise SessionNotFoundError(source_session_id)
        fact = {**given, "source_session_id": source_session_id, "now": session_clock.now()["now"]}
        saved = next(iter((yield Write(self._memory_sql.insert_fact, fact))), None)
        if saved is None:
            row = [fact.get(column) for column in FACT]
            saved = yield from self._as_stored(Fact, "Fact", row, FACT_CONTENT, str(source_session_id))
        return fact_record(saved, "keep")  # as above

    @method
    def get_fact(self, id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[FactRecord | None]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("id", id):
            return None
        rows = yield self._select(Fact, (BY_ID, id))
        return fact_record(rows[0], on_corrupt) if rows else None

    @method
    def list_facts(
        self,
        *,
        workspace_id: str | None = None,
        min_confidence: float | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> Steps[list[FactRecord]]:
        validation.on_corrupt(on_corrupt)
        count = validation.limit(limit)
        conditions: list[Sequence[Any]] = []
        if min_confidence is not None:
            conditions.append(
                (self._memory_sql.at_least, memory_validation.confidence("min_confidence", min_confidence))
            )
        filters = _given(workspace_id=workspace_id)
        if filters is None:
            return []
        conditions += [(f"{column} = %s", value) for column, value in filters.items()]
        rows = yield self._select(Fact, *conditions, order=NEWEST_FIRST, limit=count)
        return [fact_record(row, on_corrupt) for row in rows]

    @method
    def delete_fact(self, id: str) -> Steps[bool]:
        if not validation.can_exist("id", id):
            return False
        return bool((yield Write(DELETE_FACT, {"id": id})))

    @method
    def search_facts(
        self,
        embedding: Sequence[float],
        *,
        workspace_id: str | None = None,
        top_k: int = 10,
        threshold: float = 0.0,
        on_corrupt: OnCorrupt = "raise",
    ) -> Steps[list[Scored[FactRecord]]]:
        validation.on_corrupt(on_corrupt)
        filters = _given(workspace_id=workspace_id)
        rows = yield from self._nearest(Fact, FACT, embedding, filters, top_k, threshold)
        return _scored(fact_record, rows, on_corrupt)

    @method
    def nearest(
        self,
        model: type[Entity | Fact],
        embedding: Sequence[float],
        *,
        top_k: int = 10,
        threshold: float = 0.0,
        workspace_id: str | None = None,
        session_id: str | None = None,
        workspaces: Collection[str] | None = None,
    ) -> Steps[list[tuple[str, float]]]:
        """The ids of what a search finds, and their scores, best first."""
        filters = _given(workspace_id=workspace_id, session_id=session_id)
        rows = yield from self._nearest(model, ["id"], embedding, filters, top_k, threshold, workspaces)
        return [(id, score) for id, score in rows]

    # -- rows

    def _as_stored(
        self, model: type[Entity | Fact], kind: str, row: Row, content: Collection[str], session_id: str
    ) -> Steps[Row]:
        """Why nothing was inserted: a retried write returns what the first one stored."""
        if stored := (yield self._select(model, (BY_ID, row[0]))):
            if not same_content(model, stored[0], row, content):
                raise IdConflictError(kind, row[0])
            return stored[0]  # type: ignore[no-any-return]  # a row
        raise SessionNotFoundError(session_id)

    def _nearest(
        self,
        model: type[Entity | Fact],
        wanted: Sequence[str],
        embedding: Sequence[float],
        filters: Mapping[str, str] | None,
        top_k: int,
        threshold: float,
        workspaces: Collection[str] | None = None,
    ) -> Steps[Sequence[Row]]:
        """The columns ``wanted`` of the rows of a search, with their scores behind."""
        query = embeddings.direction(memory_validation.vector("embedding", embedding))
        count, least = memory_validation.top_k(top_k), memory_validation.number("threshold", threshold)
        of = None if workspaces is None else [*workspaces]
        if filters is None or not count:
            return []
        conditions = [f"{column} = %({column})s" for column in filters]
        near = [filters["workspace_id"]] if "workspace_id" in filters else of
        if of is not None and not set(near or ()) & set(of):
            return []  # and foreign rows are not even looked at
        parameters = {
            **filters,
            "query": query,
            "dimension": len(query),
            "threshold": round(least, DECIMALS),
            "top_k": count,
        }
        if of is not None and near is of:
            conditions.append(self._memory_sql.of_workspaces)
            parameters["workspaces"] = self._memory_sql.texts(of)
        return (
            yield from self._memory_sql.nearest(model, tuple(wanted), tuple(conditions), {**parameters, "near": near})
        )


def _given(**filters: str | None) -> dict[str, str] | None:
    """The filters that are given; None where one of them can match nothing."""
    given = {name: value for name, value in filters.items() if value is not None}
    return given if all(validation.can_exist(name, value) for name, value in given.items()) else None


def _scored(record: Callable[[Row, OnCorrupt], R], rows: Sequence[Row], on_corrupt: OnCorrupt) -> list[Scored[R]]:
    return [Scored(record=record(row[:-1], on_corrupt), score=row[-1]) for row in rows]
