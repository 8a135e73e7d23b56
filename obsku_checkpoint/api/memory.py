"""Entities and facts over HTTP. A request sees those of its workspaces, whatever sessions they are of."""

from __future__ import annotations

from typing import Any

from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from obsku_checkpoint import conf, validation
from obsku_checkpoint.api import memory_serializers as serializers
from obsku_checkpoint.api.filters import EntityFilters, FactFilters
from obsku_checkpoint.api.openapi import memory_operations as operations
from obsku_checkpoint.api.pagination import begins, requested, response
from obsku_checkpoint.api.related import RelatedPage
from obsku_checkpoint.api.searches import FoundPage
from obsku_checkpoint.api.serializers import Body
from obsku_checkpoint.api.views import StoreView
from obsku_checkpoint.errors import EntityNotFoundError, FactNotFoundError
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.models import Entity, Fact
from obsku_checkpoint.querysets import EntityQuerySet, FactQuerySet
from obsku_checkpoint.records import EntityRecord, FactRecord, Scored
from obsku_checkpoint.store.rows import entity_record, fact_record


class _Memory(StoreView):
    def check_session_of_body(self, id: Any) -> None:
        """Raise 404 where a request says it in a session that it may not see. What is no id is for the store."""
        if isinstance(id, str):
            self.check_session_in_scope(id)

    def search_body(self, serializer_class: type[Body]) -> dict[str, Any]:
        """The body of a search, with the workspaces that the request may see."""
        body = self.body(serializer_class)
        most, top_k = conf.current().MAX_PAGE_SIZE, body.get("top_k", 0)
        if type(top_k) is int and top_k > most:
            raise ValidationError({"top_k": [f"must be from 0 to {most}"]})
        return {**body, "workspaces": self.scope.workspaces}

    def may_see(self, model: type[Entity | Fact], record: EntityRecord | FactRecord) -> bool:
        """Of what is read by its id: it may have been moved since it was found."""
        return self.scope.sees(record.workspace_id) and self.permits(model, record)


class Entities(_Memory):
    queryset = Entity.objects.all()
    subject = Entity
    filterset_class = EntityFilters
    serializer_class = serializers.Entity

    def rows(self) -> EntityQuerySet:
        return self.scope.limit(Entity.objects.using(self.store.using).all(), "workspace_id")

    @operations.entities_list
    def list(self, request: Request) -> Response:
        visible = self._sees(request.query_params.get("session_id"))
        rows = self.filter_queryset(self.rows().newest_first())
        page = requested(request, "entities", rows if visible else rows.none())
        records = [entity_record(row, "keep") for row in page.rows]
        results = serializers.Entity([one for one in records if self.permits(Entity, one)], many=True).data
        return response(request, results, next=page.next, previous=page.previous)

    @operations.entities_create
    def create(self, request: Request) -> Response:
        body = self.body(serializers.NewEntity)
        self.scope.check(body.get("workspace_id"))
        session_id = body.pop("session_id")
        self.check_session_of_body(session_id)
        known = body.get("id") is not None and self.store.get_entity(body["id"], on_corrupt="keep") is not None
        body["id"] = new_id() if body.get("id") is None else body["id"]
        saved = self.store.save_entity(session_id, **body)
        # Two that send the same at the same time may both be told that they made it.
        made = saved.id == body["id"] and not known
        return Response(serializers.Entity(saved).data, status.HTTP_201_CREATED if made else status.HTTP_200_OK)

    @operations.entities_retrieve
    def retrieve(self, request: Request, id: str) -> Response:
        self._check(id)
        entity = self.store.get_entity(id, on_corrupt="keep")
        if entity is None:
            raise EntityNotFoundError(id)
        return Response(serializers.Entity(entity).data)

    @operations.entities_update
    def partial_update(self, request: Request, id: str) -> Response:
        changes = self.body(serializers.EntityChanges)
        self._check(id)
        if "workspace_id" in changes:
            self.scope.check(changes["workspace_id"])
        return Response(serializers.Entity(self.store.update_entity(id, **changes)).data)

    @operations.entities_delete
    def destroy(self, request: Request, id: str) -> Response:
        self._check(id)
        if not self.store.delete_entity(id):
            raise EntityNotFoundError(id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @operations.entities_related
    def related(self, request: Request, id: str) -> Response:
        """As far as the request may see: what is beyond is not even looked at."""
        given = request.query_params.get("depth", "1")
        if not (given.isascii() and given.isdecimal()):
            raise ValidationError({"depth": ["takes a number of steps"]})
        if not validation.can_exist("id", id):
            raise EntityNotFoundError(id)
        page = RelatedPage(self.store, id, depth=int(given[:9]), workspaces=self.scope.workspaces, request=request)
        if not page.rows:
            self._check(id, always=True)
        records = [entity_record(row, "keep") for row in page.rows]
        results = serializers.Entity([one for one in records if self.may_see(Entity, one)], many=True).data
        return response(request, results, next=page.next)

    @operations.entities_search
    def search(self, request: Request) -> Response:
        asked = self.search_body(serializers.EntitySearch)
        if not self._sees(asked.get("session_id")):
            asked["workspaces"] = []
        page = FoundPage(self.store, Entity, asked, request)
        found = [Scored(record=entity_record(row, "keep"), score=score) for row, score in page.found]
        permitted = [one for one in found if self.may_see(Entity, one.record)]
        return begins(request, serializers.ScoredEntity(permitted, many=True).data, next=page.next)

    # -- rows

    def _sees(self, session_id: Any) -> bool:
        """Whether entities may be asked for by a session. Those of one that may not be seen are not even looked at."""
        return self.scope.everything or not isinstance(session_id, str) or self.session(session_id).exists()

    def _one(self, id: str) -> EntityQuerySet:
        return self.rows().filter(id=id) if validation.can_exist("id", id) else self.rows().none()

    def _check(self, id: str, *, always: bool = False) -> None:
        """Raise 404 unless the request may see the entity; without ``always`` the store is asked next."""
        if (always or not self.scope.everything) and not self._one(id).exists():
            raise EntityNotFoundError(id)


class Facts(_Memory):
    queryset = Fact.objects.all()
    subject = Fact
    filterset_class = FactFilters
    serializer_class = serializers.Fact

    def rows(self) -> FactQuerySet:
        return self.scope.limit(Fact.objects.using(self.store.using).all(), "workspace_id")

    @operations.facts_list
    def list(self, request: Request) -> Response:
        page = requested(request, "facts", self.filter_queryset(self.rows().newest_first()))
        records = [fact_record(row, "keep") for row in page.rows]
        results = serializers.Fact([one for one in records if self.permits(Fact, one)], many=True).data
        return response(request, results, next=page.next, previous=page.previous)

    @operations.facts_create
    def create(self, request: Request) -> Response:
        body = self.body(serializers.NewFact)
        self.scope.check(body.get("workspace_id"))
        self.check_session_of_body(body.get("source_session_id"))
        known = body.get("id") is not None and self.store.get_fact(body["id"], on_corrupt="keep") is not None
        saved = self.store.save_fact(**body)
        return Response(serializers.Fact(saved).data, status.HTTP_200_OK if known else status.HTTP_201_CREATED)

    @operations.facts_retrieve
    def retrieve(self, request: Request, id: str) -> Response:
        self._check(id)
        fact = self.store.get_fact(id, on_corrupt="keep")
        if fact is None:
            raise FactNotFoundError(id)
        return Response(serializers.Fact(fact).data)

    @operations.facts_delete
    def destroy(self, request: Request, id: str) -> Response:
        self._check(id)
        if not self.store.delete_fact(id):
            raise FactNotFoundError(id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @operations.facts_search
    def search(self, request: Request) -> Response:
        page = FoundPage(self.store, Fact, self.search_body(serializers.FactSearch), request)
        found = [Scored(record=fact_record(row, "keep"), score=score) for row, score in page.found]
        permitted = [one for one in found if self.may_see(Fact, one.record)]
        return begins(request, serializers.ScoredFact(permitted, many=True).data, next=page.next)

    # -- rows

    def _check(self, id: str) -> None:
        """Raise 404 unless the request may see the fact; the store is asked next."""
        facts = self.rows().filter(id=id) if validation.can_exist("id", id) else self.rows().none()
        if not self.scope.everything and not facts.exists():
            raise FactNotFoundError(id)
