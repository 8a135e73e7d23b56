"""What all views have in common: settings, limits, scope and errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db import models
from django.db.models import Subquery
from django.http import Http404
from django.utils.module_loading import import_string
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import APIException, ParseError
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from obsku_checkpoint import conf, replica, validation
from obsku_checkpoint.api.errors import BodyTooLarge, Handler, LengthRequired, handler
from obsku_checkpoint.api.json_plus import JsonOnly, JsonPlusParser, JsonPlusRenderer, is_heavy
from obsku_checkpoint.api.openapi.schema import Schema
from obsku_checkpoint.api.serializers import Body
from obsku_checkpoint.api.turns import Turn
from obsku_checkpoint.errors import SessionNotFoundError
from obsku_checkpoint.models import Message, Session
from obsku_checkpoint.querysets import CheckpointQuerySet, MessageQuerySet, SessionQuerySet
from obsku_checkpoint.records import EntityRecord, FactRecord, SessionRecord
from obsku_checkpoint.scope import Scope
from obsku_checkpoint.store import DjangoCheckpointStore

NOT_ASKED = BasePermission.has_object_permission
#: the id of a message in a path
MESSAGE_ID = re.compile(r"-?[0-9]{1,18}", re.ASCII)
Record = SessionRecord | EntityRecord | FactRecord
Rows = TypeVar("Rows", MessageQuerySet, CheckpointQuerySet)


class StoreView(GenericViewSet[Any]):
    """Base of the views: reads are querysets limited by the scope, writes are calls of the store.

    Authentication and throttling are the project's, and no other of its settings for Django REST framework reaches in.
    Every call of the store is a transaction of its own, so ``ATOMIC_REQUESTS`` does not hold here (`urls.py`).
    """

    parser_classes = [JsonPlusParser]
    renderer_classes = [JsonPlusRenderer]
    content_negotiation_class = JsonOnly
    filter_backends = [DjangoFilterBackend]
    metadata_class = None
    pagination_class = None
    versioning_class = None
    schema = Schema()
    #: the path's arguments that are the route's own; a project may have more where it has mounted the API
    arguments: Sequence[str] = ()
    #: the model of the record that the path names
    subject: type[models.Model] = Session
    #: models whose records the route shows besides those of ``queryset``
    shows: tuple[type[models.Model], ...] = ()
    #: models whose records the route changes with a POST
    changes: tuple[type[models.Model], ...] = ()
    #: whether the route's POST only asks
    asks = False
    #: whether the handler has begun: what fails before, such as looking the user up, has written nothing
    _handling = False

    @property
    def reading(self) -> bool:
        """Whether the request writes nothing."""
        return self.asks or self.request.method in SAFE_METHODS

    @cached_property
    def store(self) -> DjangoCheckpointStore:
        """That of the database which the request writes to, or else reads from."""
        return DjangoCheckpointStore(self.source() if self.reading else None)

    def source(self) -> str:
        return replica.source(self.request)

    @cached_property
    def scope(self) -> Scope:
        return Scope(self.request)

    # -- what is asked before a handler runs

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self._mounted = kwargs
        self.turn = Turn()
        try:
            response = super().dispatch(request, **{name: kwargs[name] for name in self.arguments})
            # What one user is shown is in no cache for others, also where nothing else says that it depends on them.
            response.headers.setdefault("Cache-Control", "private, no-cache")
            if not self.reading:
                replica.keep_place(request, response)
            return response.render() if self.turn.taken and isinstance(response, Response) else response
        finally:
            self.turn.end()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.kwargs = self._mounted  # where permission classes of the project's look for their tenant, say
        self._check_length(request)
        super().initial(request, *args, **kwargs)
        if is_heavy(request) and isinstance(request._request, ASGIRequest):
            self.turn.take(request)  # the body has come, and who may not even wait costs no query
        self._handling = True
        self._check_subject(request)

    def get_permissions(self) -> list[BasePermission]:
        return self._permissions

    @cached_property
    def _permissions(self) -> list[BasePermission]:
        return [import_string(path)() for path in conf.current().PERMISSION_CLASSES]

    @cached_property
    def _judging(self) -> list[BasePermission]:
        return [one for one in self._permissions if type(one).has_object_permission is not NOT_ASKED]

    def _check_subject(self, request: Request) -> None:
        """Ask the permission classes that judge objects about the record that the path names, if there is one."""
        if not self._judging or not self.arguments:
            return
        id = self.kwargs[self.arguments[0]]
        if self.subject is Message and not MESSAGE_ID.fullmatch(id):
            return
        if validation.can_exist("id", id):
            record = self.subject._default_manager.using(self.store.using).filter(pk=id).first()
            if record is not None:
                self.check_object_permissions(request, record)

    def get_exception_handler(self) -> Handler:
        reading = self.reading or not self._handling
        return handler(super().get_exception_handler(), using=self.store.using, began=self._handling, reading=reading)

    def _check_length(self, request: Request) -> None:
        """Refuse a long body before any of it is read.

        One without a length would have to be read to know, and WSGI servers cannot give it to Django at all.
        """
        length = request.META.get("CONTENT_LENGTH")
        if not length:
            if request.META.get("HTTP_TRANSFER_ENCODING") or request._request.read(1):
                raise LengthRequired
        elif not length.isdecimal():
            raise ParseError("The Content-Length is not a number.")
        elif int(length) > (limit := conf.current().MAX_BODY_BYTES):
            raise BodyTooLarge(f"The body has more than {limit} bytes.")

    # -- what handlers use

    def body(self, serializer_class: type[Body]) -> dict[str, Any]:
        """The request's body, an object with the names of the serializer."""
        serializer = serializer_class(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return cast("dict[str, Any]", serializer.validated_data)

    def permits(self, model: type[models.Model], record: Record) -> bool:
        """Whether no permission class that judges objects refuses a record of a list."""
        if not self._judging:
            return True
        instance = model(**{field.attname: getattr(record, field.attname) for field in model._meta.concrete_fields})
        try:
            self.check_object_permissions(self.request, instance)
        except (APIException, Http404, PermissionDenied):
            return False
        return True

    def sessions(self) -> SessionQuerySet:
        """The sessions that the request may see."""
        return self.scope.limit(Session.objects.using(self.store.using).all(), "workspace_id")

    def session(self, id: str) -> SessionQuerySet:
        """The one of this id, if there is one that the request may see."""
        sessions = self.sessions()
        return sessions.filter(id=id) if validation.can_exist("session_id", id) else sessions.none()

    def of_session(self, rows: Rows) -> Rows:
        """Those of the session in the path, if it is one that the request may see."""
        id = self.kwargs["id"]
        if self.scope.everything and validation.can_exist("session_id", id):
            return rows.in_session(id)
        # Not a join, which would read all rows of a session that may not be seen, and take as long.
        return rows.filter(session_id=Subquery(self.session(id).order_by().values("id")[:1]))

    def check_session(self, id: str) -> None:
        """Raise 404 unless the request may see the session."""
        if not self.session(id).exists():
            raise SessionNotFoundError(id)

    def check_session_in_scope(self, id: str) -> None:
        """The same where the store is asked next, which knows by itself whether there is such a session."""
        if not self.scope.everything:
            self.check_session(id)
