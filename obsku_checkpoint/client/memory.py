"""Entities and facts over HTTP: save, find, follow and search what agents know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from obsku_checkpoint import memory_validation, validation
from obsku_checkpoint.async_twins import method
from obsku_checkpoint.client.base import HTTPStore
from obsku_checkpoint.client.request import body, path
from obsku_checkpoint.client.response import record, records, scored
from obsku_checkpoint.client.retries import Steps
from obsku_checkpoint.errors import EntityNotFoundError, IdConflictError, SessionNotFoundError
from obsku_checkpoint.protocols import UNSET, OnCorrupt, Unset
from obsku_checkpoint.records import EntityRecord, FactRecord, Relationship, Scored


class Memory(HTTPStore):
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
        columns = memory_validation.entity(
            id=id,
            workspace_id=workspace_id,
            name=name,
            type=type,
            attributes=attributes,
            relationships=relationships,
            embedding=embedding,
        )
        absent = SessionNotFoundError(session_id)
        if not validation.can_exist("session_id", session_id):
            raise absent
        renews = memory_validation.flag("upsert", upsert)
        shown = yield from self._ask(
            "POST",
            "entities/",
            body=body({**columns, "session_id": session_id, "upsert": renews}),
            errors={"session_not_found": absent, "id_conflict": IdConflictError("Entity", columns["id"])},
        )
        return record(EntityRecord, shown, "keep")  # it is written: a corrupt column must not hide that

    @method
    def get_entity(self, id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[EntityRecord | None]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("id", id):
            return None
        shown = yield from self._ask("GET", path("entities", id))
        return None if shown is None else record(EntityRecord, shown, on_corrupt)

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
        filters = {"session_id": session_id, "workspace_id": workspace_id, "type": type}
        if not _can_exist(filters):
            return []
        return records(EntityRecord, (yield from self._list("entities/", filters, count)), on_corrupt)

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
        absent = EntityNotFoundError(id)
        if not validation.can_exist("id", id):
            raise absent
        shown = yield from self._ask(
            "PATCH", path("entities", id), body=body(changes), errors={"entity_not_found": absent}
        )
        return record(EntityRecord, shown, "keep")  # as above

    @method
    def delete_entity(self, id: str) -> Steps[bool]:
        if not validation.can_exist("id", id):
            return False
        return (yield from self._ask("DELETE", path("entities", id))) is not None

    @method
    def related(self, entity_id: str, *, depth: int = 1, on_corrupt: OnCorrupt = "raise") -> Steps[list[EntityRecord]]:
        validation.on_corrupt(on_corrupt)
        steps = memory_validation.depth(depth)
        if not validation.can_exist("entity_id", entity_id):
            return []
        listed = yield from self._list(path("entities", entity_id, "related/"), {"depth": str(steps)}, None)
        return records(EntityRecord, listed, on_corrupt)

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
        filters = {"workspace_id": workspace_id, "session_id": session_id}
        shown = yield from self._search("entities/search/", embedding, filters, top_k, threshold)
        return scored(EntityRecord, shown, on_corrupt)

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
        columns = memory_validation.fact(
            id=id, workspace_id=workspace_id, content=content, confidence=confidence, embedding=embedding
        )
        absent = SessionNotFoundError(str(source_session_id))
        if source_session_id is not None and not validation.can_exist("source_session_id", source_session_id):
            raise absent
        shown = yield from self._ask(
            "POST",
            "facts/",
            body=body({**columns, "source_session_id": source_session_id}),
            errors={"session_not_found": absent, "id_conflict": IdConflictError("Fact", columns["id"])},
        )
        return record(FactRecord, shown, "keep")  # as above

    @method
    def get_fact(self, id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[FactRecord | None]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("id", id):
            return None
        shown = yield from self._ask("GET", path("facts", id))
        return None if shown is None else record(FactRecord, shown, on_corrupt)

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
        least = None if min_confidence is None else memory_validation.confidence("min_confidence", min_confidence)
        filters = {"workspace_id": workspace_id}
        if not _can_exist(filters):
            return []
        params = {**filters, "min_confidence": None if least is None else repr(least)}
        return records(FactRecord, (yield from self._list("facts/", params, count)), on_corrupt)

    @method
    def delete_fact(self, id: str) -> Steps[bool]:
        if not validation.can_exist("id", id):
            return False
        return (yield from self._ask("DELETE", path("facts", id))) is not None

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
        shown = yield from self._search("facts/search/", embedding, {"workspace_id": workspace_id}, top_k, threshold)
        return scored(FactRecord, shown, on_corrupt)

    # -- steps that several methods take

    def _search(
        self, at: str, embedding: Sequence[float], filters: Mapping[str, str | None], top_k: int, threshold: float
    ) -> Steps[Any]:
        """A POST that may be repeated: it only asks."""
        asked = {
            "embedding": memory_validation.vector("embedding", embedding),
            "top_k": memory_validation.top_k(top_k),
            "threshold": memory_validation.number("threshold", threshold),
            **filters,
        }
        if not _can_exist(filters):
            return []
        return (yield from self._found(at, orjson.dumps(asked)))


def _can_exist(filters: Mapping[str, str | None]) -> bool:
    return all(validation.can_exist(name, value) for name, value in filters.items() if value is not None)
