"""What goes in and what comes out of the routes of entities and facts."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from rest_framework import serializers

from obsku_checkpoint import conf
from obsku_checkpoint.api.serializers import Body, Corrupt, Id, JsonPlusField, Moment, Page, Shown, Text
from obsku_checkpoint.embeddings import MAX_DIMENSION
from obsku_checkpoint.records import Relationship
from obsku_checkpoint.validation import MAX_TITLE


class _Confidence(serializers.FloatField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=1, **kwargs)


class _Vector(serializers.ListField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=serializers.FloatField(), min_length=1, max_length=MAX_DIMENSION, **kwargs)


class _TopK(serializers.IntegerField):
    def get_validators(self) -> list[Any]:
        return [MinValueValidator(0), MaxValueValidator(conf.current().MAX_PAGE_SIZE)]


# What comes out


class Entity(Shown):
    """A thing that an agent knows of: a person, a host, a file."""

    id = Id(help_text="Any text; a UUIDv7 where the client gave none.")
    session_id = Id(help_text="The session that said it last.")
    workspace_id = Text(allow_null=True, help_text="Which workspace it belongs to, if any.")
    name = Text(help_text="What it is called.")
    type = Text(help_text="What sort of thing it is.")
    attributes = JsonPlusField(allow_null=True, holds=dict[str, Any], help_text="What is known; null if corrupt.")
    relationships = JsonPlusField(
        allow_null=True, holds=list[Relationship], help_text="Where it leads to; null if corrupt."
    )
    created_at = Moment(help_text="When it was first saved; UTC, whole milliseconds.")
    updated_at = Moment(help_text="When it was last changed; UTC, whole milliseconds.")
    embedding = _Vector(allow_null=True, help_text="Its vector for searches, if it has one.")
    corrupt = Corrupt()


class Fact(Shown):
    """A sentence that an agent takes for true."""

    id = Id(help_text="Any text; a UUIDv7 where the client gave none.")
    workspace_id = Text(allow_null=True, help_text="Which workspace it belongs to, if any.")
    content = Text(help_text="The sentence.")
    confidence = _Confidence(allow_null=True, help_text="How sure it is, from 0 to 1, as a 32-bit float.")
    source_session_id = Text(allow_null=True, help_text="The session that said it, if there still is one.")
    created_at = Moment(help_text="When it was saved; UTC, whole milliseconds.")
    embedding = _Vector(allow_null=True, help_text="Its vector for searches, if it has one.")
    corrupt = Corrupt()


class _Scored(serializers.Serializer[Any]):
    score = serializers.FloatField(help_text="The cosine of the two vectors, from -1 to 1.")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return {"record": self.fields["record"].to_representation(instance.record), "score": instance.score}


class ScoredEntity(_Scored):
    """An entity that a search finds, and how near it is."""

    record = Entity(help_text="The entity.")


class ScoredFact(_Scored):
    """A fact that a search finds, and how near it is."""

    record = Fact(help_text="The fact.")


class EntityPage(Page):
    results = Entity(many=True, help_text="Entities, newest first.")


class FactPage(Page):
    results = Fact(many=True, help_text="Facts, newest first.")


# What comes in


class EntityChanges(Body):
    """What to change of an entity: null clears, what is not given stays."""

    name = Text(required=False, max_length=MAX_TITLE, help_text="What it is called.")
    type = Text(required=False, help_text="What sort of thing it is.")
    attributes = JsonPlusField(required=False, allow_null=True, holds=dict[str, Any], help_text="What is known of it.")
    relationships = JsonPlusField(
        required=False, allow_null=True, holds=list[Relationship], help_text="The entities that it leads to."
    )
    workspace_id = Text(required=False, allow_null=True, help_text="Which workspace it belongs to.")
    embedding = _Vector(required=False, allow_null=True, help_text="Its vector for searches.")


class NewEntity(EntityChanges):
    """An entity to save."""

    id = Id(required=False, allow_blank=True, help_text="Makes the call repeatable: the same id, the same entity.")
    session_id = Id(allow_blank=True, help_text="The session that says it.")
    name = Text(max_length=MAX_TITLE, help_text="What it is called.")
    type = Text(help_text="What sort of thing it is.")
    upsert = serializers.BooleanField(
        required=False, help_text="Say anew what is known of the entity of this workspace, type and name."
    )


class NewFact(Body):
    """A fact to save."""

    id = Id(required=False, allow_blank=True, help_text="Makes the call repeatable: the same id, the same fact.")
    content = Text(help_text="The sentence; characters no column holds are replaced.")
    confidence = _Confidence(required=False, help_text="How sure it is, from 0 to 1; 1 by default.")
    workspace_id = Text(required=False, allow_null=True, help_text="Which workspace it belongs to.")
    source_session_id = Text(required=False, allow_null=True, help_text="The session that says it.")
    embedding = _Vector(required=False, allow_null=True, help_text="Its vector for searches.")


class FactSearch(Body):
    """What is searched for."""

    embedding = _Vector(help_text="The vector of what is searched for.")
    workspace_id = Text(required=False, allow_null=True, help_text="Only in this workspace.")
    top_k = _TopK(required=False, help_text="How many at most; 10 by default, and MAX_PAGE_SIZE at most.")
    threshold = serializers.FloatField(required=False, help_text="The least score; 0 by default.")


class EntitySearch(FactSearch):
    session_id = Text(required=False, allow_null=True, help_text="Only what this session said last.")
