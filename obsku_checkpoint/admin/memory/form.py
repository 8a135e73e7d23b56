"""The forms for what a person may correct of an entity or a fact. Only what was changed is written."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from obsku_checkpoint import conf, memory_validation
from obsku_checkpoint.admin.values import text_of
from obsku_checkpoint.errors import InvalidRecordError, SerializationError
from obsku_checkpoint.graph.memory import said_of_entity
from obsku_checkpoint.models import Entity, Fact
from obsku_checkpoint.store import DjangoCheckpointStore

#: characters of a value that was overwritten which the log keeps
BEFORE = 500


class MemoryForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    #: names that are part of what the embedding says
    said: ClassVar[tuple[str, ...]]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        stored = {name: getattr(self.instance, name) for name in self.fields}
        #: what stood there before, as text
        self._stored = {name: text_of(value, BEFORE) for name, value in stored.items()}

    @property
    def before(self) -> dict[str, str]:
        return {name: self._stored[name] for name in self.changed_data}

    def clean(self) -> None:
        for name in self.changed_data:
            if name in self.cleaned_data:
                try:
                    self.check(name, self.cleaned_data[name])
                except (InvalidRecordError, SerializationError) as error:
                    self.add_error(name, ValidationError(str(error)))

    def check(self, name: str, value: Any) -> None:
        memory_validation.entity_changes(**{name: value})

    def write(self, store: DjangoCheckpointStore) -> None:
        """Write what was changed; where what is said was changed, the project's embedder says its vector anew."""
        changes = {name: self.cleaned_data[name] for name in self.changed_data}
        embedder = conf.embedder()
        if embedder and any(name in self.said for name in changes):
            [changes["embedding"]] = embedder.embed([self.text()])
        if changes:
            self.store_changes(store, changes)

    def text(self) -> str:
        raise NotImplementedError

    def store_changes(self, store: DjangoCheckpointStore, changes: dict[str, Any]) -> None:
        raise NotImplementedError


class EntityForm(MemoryForm):
    said = ("name", "type", "attributes")

    class Meta:
        model = Entity
        fields = ("name", "type", "attributes", "relationships")
        widgets = {
            "name": forms.TextInput(attrs={"class": "vTextField", "dir": "auto"}),
            "type": forms.TextInput(attrs={"class": "vTextField", "dir": "auto"}),
        }

    def text(self) -> str:
        attributes = self.cleaned_data["attributes"]
        return said_of_entity(self.cleaned_data["name"], self.cleaned_data["type"], attributes)

    def store_changes(self, store: DjangoCheckpointStore, changes: dict[str, Any]) -> None:
        store.update_entity(self.instance.pk, **changes)


class FactForm(MemoryForm):
    said = ("content",)

    class Meta:
        model = Fact
        fields = ("content", "confidence")
        widgets = {"content": forms.Textarea(attrs={"class": "vLargeTextField", "rows": 4, "dir": "auto"})}

    def check(self, name: str, value: Any) -> None:
        given = {"id": None, "workspace_id": None, "content": "", "confidence": 1.0, "embedding": None}
        memory_validation.fact(**{**given, name: value})

    def text(self) -> str:
        return str(self.cleaned_data["content"])

    def store_changes(self, store: DjangoCheckpointStore, changes: dict[str, Any]) -> None:
        # Agents do not change facts, so the store has no method for it.
        Fact.objects.using(store.using).filter(pk=self.instance.pk).update(**changes)
