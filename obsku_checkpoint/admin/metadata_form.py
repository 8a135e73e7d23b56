"""The form for what a person may change of a session: its title and its metadata."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from obsku_checkpoint import codec
from obsku_checkpoint.errors import CheckpointCorruptionError, InvalidRecordError, SerializationError
from obsku_checkpoint.models import Session
from obsku_checkpoint.records import CorruptValue
from obsku_checkpoint.validation import optional_text


class JsonPlusFormField(forms.CharField):
    """JSON-plus text, indented; a JSON object or nothing."""

    widget = forms.Textarea
    #: what is stored now, where that is no JSON-plus: it may stay as it is
    stored: CorruptValue | None = None

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, CorruptValue):
            return value.text
        if value is None or isinstance(value, str):
            return value
        # Escaped, so that lone surrogates survive the page's encoding.
        return json.dumps(json.loads(codec.dumps(value)), indent=2, ensure_ascii=not _writable(value))

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        if self.stored is not None and not self.has_changed(self.stored, text):
            return self.stored
        try:
            decoded = codec.loads(codec.tag_integers(text))
        except CheckpointCorruptionError as error:
            raise ValidationError(f"{error.path}: {error.reason}") from error
        if not isinstance(decoded, dict):
            raise ValidationError("This takes a JSON object.")
        return decoded

    def has_changed(self, initial: Any, data: Any) -> bool:
        before = self.prepare_value(initial) or ""
        return "".join(before.split()) != "".join((data or "").split())


def _writable(value: Any) -> bool:
    try:
        codec.dumps(value).encode()
    except UnicodeEncodeError:
        return False
    return "\\ud" not in codec.dumps(value)


class SessionForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    title = forms.CharField(required=False, widget=forms.TextInput(attrs={"class": "vTextField"}))
    metadata = JsonPlusFormField(
        required=False,
        help_text="JSON-plus: JSON with tagged objects for dates, sets, bytes and maps.",
        widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 10}),
    )

    class Meta:
        model = Session
        fields = ("title", "metadata")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(self.instance.metadata, CorruptValue):
            field: Any = self.fields["metadata"]
            field.stored = self.instance.metadata

    def clean_title(self) -> str | None:
        title: str = self.cleaned_data["title"]
        if not title:
            return self.instance.title if self.instance.title == "" else None
        try:
            return optional_text("title", title)
        except InvalidRecordError as error:
            raise ValidationError(error.reason) from error

    def clean_metadata(self) -> Any:
        value = self.cleaned_data["metadata"]
        if not isinstance(value, CorruptValue):
            try:
                codec.dumps(value)
            except SerializationError as error:
                raise ValidationError(str(error)) from error
        return value
