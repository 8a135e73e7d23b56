"""What the lists' parameters mean."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError

from obsku_checkpoint import memory_validation, validation
from obsku_checkpoint.models import Checkpoint, Entity, Fact, Message, Session
from obsku_checkpoint.querysets import FactQuerySet, MessageQuerySet, SessionQuerySet

#: characters
MAX_SEARCH = 200


class _Text(forms.CharField):
    """None where the parameter is not given; the empty text is a value like any other."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.validators = []  # a text that no column holds finds nothing, as in the store

    def to_python(self, value: Any) -> Any:
        return value


class TextFilter(filters.CharFilter):
    field_class = _Text

    def filter(self, qs: Any, value: Any) -> Any:
        if value is None:
            return qs
        return self.meet(qs, value) if validation.can_exist(str(self.field_name), value) else qs.none()

    def meet(self, qs: Any, value: str) -> Any:
        return qs.filter(**{str(self.field_name): value})


class SearchFilter(TextFilter):
    """Of a term of many characters the database compares each with each of a text that is made for it."""

    def meet(self, qs: Any, value: str) -> Any:
        if len(value) > validation.MAX_TITLE:
            return qs.none()  # as no session has so much
        if len(value) > MAX_SEARCH:
            raise ValidationError({"search": [f"is longer than {MAX_SEARCH} characters"]})
        return qs.matching(value)


class Filters(filters.FilterSet):
    """Makes, for a request, only the filters that it names: each costs the request more than its own query."""

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        wanted = ((name, one) for name, one in self.base_filters.items() if name in (data or ()))
        self.base_filters = OrderedDict(wanted)
        super().__init__(data, *args, **kwargs)


class SessionFilters(Filters):
    workspace_id = TextFilter(help_text="Only sessions of this workspace; the empty text is one, too.")
    search = SearchFilter(
        help_text="Only sessions whose title, directory or id contains this, in any case; 200 characters at most."
    )
    updated_after = filters.IsoDateTimeFilter(
        "updated_at", lookup_expr="gte", help_text="Only sessions last active at this time or later."
    )
    updated_before = filters.IsoDateTimeFilter(method="older", help_text="Only sessions last active before this time.")
    before_id = TextFilter(
        method="beside",
        help_text="With `updated_before`, the session of that time: only those that stand after it in the list.",
    )

    class Meta:
        model = Session
        fields: list[str] = []

    def older(self, sessions: SessionQuerySet, name: str, moment: datetime) -> SessionQuerySet:
        id = self.form.cleaned_data.get("before_id")
        if id is None:
            return sessions.filter(updated_at__lt=moment)
        return sessions.below(moment, id) if validation.can_exist("before_id", id) else sessions.none()

    def beside(self, sessions: SessionQuerySet, name: str, id: str) -> SessionQuerySet:
        if self.form.cleaned_data.get("updated_before") is None:
            raise ValidationError({"before_id": ["needs updated_before, the time of that session"]})
        return sessions


class LatestFilters(Filters):
    workspace_id = TextFilter(help_text="The latest session of this workspace; the empty text is one, too.")

    class Meta:
        model = Session
        fields: list[str] = []


@extend_schema_field(
    {"type": "integer", "format": "int64", "description": "Only messages on that side of this one, in the transcript."}
)
class IdFilter(filters.Filter):
    field_class = forms.IntegerField


class MessageFilters(Filters):
    before = filters.IsoDateTimeFilter(
        "created_at", lookup_expr="lt", help_text="Only messages written before this moment."
    )
    before_id = IdFilter(method="beside", min_value=-validation.INT64, max_value=validation.INT64)
    after_id = IdFilter(method="beside", min_value=-validation.INT64, max_value=validation.INT64)

    class Meta:
        model = Message
        fields: list[str] = []

    def beside(self, messages: MessageQuerySet, name: str, id: int) -> MessageQuerySet:
        """In the order of the transcript; by id where it is not of the session."""
        session: MessageQuerySet = self.queryset  # type: ignore[assignment]  # a FilterSet has one
        return messages & session.beside(id, before=name == "before_id")


class CheckpointFilters(Filters):
    namespace = TextFilter(help_text="Only checkpoints of this namespace; the main one is the empty text.")

    class Meta:
        model = Checkpoint
        fields: list[str] = []


class EntityFilters(Filters):
    session_id = TextFilter(help_text="Only entities that this session said last.")
    workspace_id = TextFilter(help_text="Only entities of this workspace; the empty text is one, too.")
    type = TextFilter(help_text="Only entities of this type.")

    class Meta:
        model = Entity
        fields: list[str] = []


class FactFilters(Filters):
    workspace_id = TextFilter(help_text="Only facts of this workspace; the empty text is one, too.")
    min_confidence = filters.NumberFilter(
        method="sure", min_value=0, max_value=1, help_text="Only facts of this confidence or more, from 0 to 1."
    )

    class Meta:
        model = Fact
        fields: list[str] = []

    def sure(self, facts: FactQuerySet, name: str, least: Decimal) -> FactQuerySet:
        return facts.sure(memory_validation.confidence(name, float(least)))
