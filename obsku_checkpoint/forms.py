"""The form fields of the columns: JSON-plus as text, and times to the millisecond.

A field whose text was not changed gives back the very value that the form was made with: nothing is lost by a form that
cannot show it in full, and a stored value that cannot be decoded may stay.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from obsku_checkpoint import codec
from obsku_checkpoint.errors import CheckpointCorruptionError, SerializationError
from obsku_checkpoint.records import CorruptValue


class _Text(str):
    """What a person has written, as opposed to a value that happens to be text."""

    __slots__ = ()


class _StoredField(forms.Field):
    """Shows a value as text, and reads it only where the text was changed."""

    #: the value that the form was made with
    stored: Any = None

    def get_bound_field(self, form: Any, field_name: str) -> Any:
        self.stored = form.get_initial_for_field(self, field_name)
        return super().get_bound_field(form, field_name)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if self.disabled else _Text(data or "")

    def prepare_value(self, value: Any) -> Any:
        if value is None or isinstance(value, _Text):
            return value
        return value.text if isinstance(value, CorruptValue) else self.text(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return not self.disabled and self.meaning(self.prepare_value(initial) or "") != self.meaning(data or "")

    def clean(self, value: Any) -> Any:
        if self.stored is not None and not self.has_changed(self.stored, value):
            return self.stored
        return super().clean(value)

    def text(self, value: Any) -> str:
        """The value for a person to read and change."""
        raise NotImplementedError

    def meaning(self, text: str) -> Any:
        """Equal for texts that say the same."""
        raise NotImplementedError


class JsonPlusFormField(_StoredField):
    """JSON-plus text, indented, for any value that a `JsonPlusField` holds; nothing is None."""

    widget = forms.Textarea
    #: an empty list or object is a value
    empty_values = [None]

    def text(self, value: Any) -> str:
        plain = json.loads(codec.dumps(value))
        text = json.dumps(plain, indent=2, ensure_ascii=False)
        # Escaped where the page's encoding could not carry it.
        return json.dumps(plain, indent=2) if any("\ud800" <= character <= "\udfff" for character in text) else text

    def meaning(self, text: str) -> Any:
        try:
            return json.dumps(json.loads(text))
        except (ValueError, RecursionError):
            return text.strip().splitlines()

    def to_python(self, value: Any) -> Any:
        text = (value or "").strip()
        if not text:
            return None
        try:
            decoded = codec.loads(codec.tag_integers(text))
            codec.dumps(decoded)
        except CheckpointCorruptionError as error:
            raise ValidationError(f"{error.path}: {error.reason}", code="invalid") from error
        except SerializationError as error:
            raise ValidationError(str(error), code="invalid") from error
        return decoded


class DateTimeLocalInput(forms.TextInput):
    input_type = "datetime-local"


class MillisecondsFormField(_StoredField, forms.DateTimeField):
    """A time of the current time zone, to the millisecond; what it gives is aware."""

    widget = DateTimeLocalInput(attrs={"step": "0.001"})

    def get_bound_field(self, form: Any, field_name: str) -> Any:
        bound = super().get_bound_field(form, field_name)
        if isinstance(self.stored, CorruptValue):
            self.widget.input_type = "text"  # a browser shows no such text as a time
        return bound

    def text(self, value: Any) -> str:
        if isinstance(value, datetime) and timezone.is_aware(value):
            value = timezone.make_naive(value)
        return str(value.isoformat(timespec="milliseconds")) if isinstance(value, datetime) else str(value)

    def meaning(self, text: str) -> Any:
        try:
            return parse_datetime(text.strip()) or text
        except ValueError:
            return text

    def to_python(self, value: Any) -> Any:
        moment = super().to_python(value)
        return timezone.make_aware(moment) if moment is not None and timezone.is_naive(moment) else moment
