"""The form for what a person may change of a session: its title and its metadata."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from obsku_checkpoint import validation
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.forms import JsonPlusFormField
from obsku_checkpoint.models import Session


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

    def clean_title(self) -> str | None:
        title: str = self.cleaned_data["title"]
        if not title:
            return self.instance.title if self.instance.title == "" else None
        try:
            return validation.title("title", title)
        except InvalidRecordError as error:
            raise ValidationError(error.reason) from error

    def clean_metadata(self) -> Any:
        value = self.cleaned_data["metadata"]
        if "metadata" in self.changed_data and not isinstance(value, dict | None):
            raise ValidationError("This takes a JSON object.")
        return value
