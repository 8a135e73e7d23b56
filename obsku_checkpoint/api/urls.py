"""The routes. A project mounts them: ``path("api/", include("obsku_checkpoint.api.urls"))``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.transaction import non_atomic_requests
from django.urls import URLPattern, path, register_converter

from obsku_checkpoint.api.checkpoints import Checkpoints, SessionCheckpoints
from obsku_checkpoint.api.filters import LatestFilters
from obsku_checkpoint.api.memory import Entities, Facts
from obsku_checkpoint.api.messages import Messages
from obsku_checkpoint.api.sessions import Sessions
from obsku_checkpoint.api.stream.admission import in_turn
from obsku_checkpoint.api.stream.views import Events
from obsku_checkpoint.api.transcripts import Transcripts
from obsku_checkpoint.api.views import StoreView
from obsku_checkpoint.models import Checkpoint, Entity, Message, Session
from obsku_checkpoint.url_ids import IdConverter

register_converter(IdConverter, "obsku_id")

app_name = "obsku_checkpoint"

ARGUMENTS = re.compile(r"<obsku_id:(\w+)>")


def route(at: str, view: type[StoreView], name: str, methods: dict[str, Any], **options: Any) -> URLPattern:
    called: Callable[..., Any] = view.as_view(methods, arguments=ARGUMENTS.findall(at), **options)
    if view is Events:
        called = in_turn(called)
    for alias in connections:
        # A request's own transaction would make an unavailable database an error outside of the view.
        called = non_atomic_requests(alias)(called)
    return path(at, called, name=name)


EVERYTHING = {"shows": (Message, Checkpoint)}

urlpatterns = [
    route("sessions/", Sessions, "sessions", {"get": "list", "post": "create"}),
    route("sessions/latest/", Sessions, "latest", {"get": "latest"}, filterset_class=LatestFilters, **EVERYTHING),
    route("sessions/summaries/", Sessions, "summaries", {"get": "summaries"}, **EVERYTHING),
    route(
        "sessions/<obsku_id:id>/",
        Sessions,
        "session",
        {"get": "retrieve", "patch": "partial_update", "delete": "destroy"},
    ),
    route("sessions/<obsku_id:id>/summary/", Sessions, "summary", {"get": "summary"}, **EVERYTHING),
    route("sessions/<obsku_id:id>/events/", Events, "events", {"get": "stream"}, **EVERYTHING),
    route(
        "sessions/<obsku_id:id>/dangling/", Transcripts, "dangling", {"get": "dangling"}, queryset=Message.objects.all()
    ),
    route(
        "sessions/<obsku_id:id>/repair/",
        Transcripts,
        "repair",
        {"post": "repair"},
        queryset=Message.objects.all(),
        changes=(Message,),
    ),
    route(
        "messages/<obsku_id:message_id>/fork/",
        Transcripts,
        "fork-at",
        {"post": "fork_at"},
        subject=Message,
        queryset=Session.objects.all(),  # what is added
        shows=(Message,),
    ),
    route("sessions/<obsku_id:id>/messages/", Messages, "messages", {"get": "list", "post": "create"}),
    route("sessions/<obsku_id:id>/checkpoints/", SessionCheckpoints, "checkpoints", {"get": "list", "post": "create"}),
    route("sessions/<obsku_id:id>/checkpoints/latest/", SessionCheckpoints, "latest-checkpoint", {"get": "latest"}),
    route("checkpoints/<obsku_id:id>/", Checkpoints, "checkpoint", {"get": "retrieve"}),
    route("checkpoints/<obsku_id:id>/lineage/", Checkpoints, "lineage", {"get": "lineage"}),
    route(
        "checkpoints/<obsku_id:id>/fork/",
        Checkpoints,
        "fork",
        {"post": "fork"},
        queryset=Session.objects.all(),  # what is added
        shows=(Checkpoint,),
    ),
    # An upsert changes what is there.
    route("entities/", Entities, "entities", {"get": "list", "post": "create"}, changes=(Entity,)),
    route("entities/search/", Entities, "search-entities", {"post": "search"}, asks=True),
    route(
        "entities/<obsku_id:id>/",
        Entities,
        "entity",
        {"get": "retrieve", "patch": "partial_update", "delete": "destroy"},
    ),
    route("entities/<obsku_id:id>/related/", Entities, "related", {"get": "related"}),
    route("facts/", Facts, "facts", {"get": "list", "post": "create"}),
    route("facts/search/", Facts, "search-facts", {"post": "search"}, asks=True),
    route("facts/<obsku_id:id>/", Facts, "fact", {"get": "retrieve", "delete": "destroy"}),
]
