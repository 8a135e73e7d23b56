"""The form for what a person may change of a session: its title and its metadata.

Agents and other people write while it is open. A hidden field has a mark of each value as the person saw it: what was
changed meanwhile and not by the person stays as it is, and what both have changed is not overwritten unasked.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obsku_checkpoint import codec, validation
from obsku_checkpoint.admin.values import text_of
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.forms import JsonPlusFormField
from obsku_checkpoint.models import Session
from obsku_checkpoint.printable import plain
from obsku_checkpoint.records import CorruptValue
from obsku_checkpoint.store import failures

EDITED = ("title", "metadata")


class SessionForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    title = forms.CharField(
        label=gettext_lazy("Title"),
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField", "dir": "auto"}),
    )
    metadata = JsonPlusFormField(
        label=gettext_lazy("Metadata"),
        required=False,
        help_text=gettext_lazy("JSON-plus: JSON with tagged objects for dates, sets, bytes and maps."),
        widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 10, "dir": "auto"}),
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Session
        fields = EDITED

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        #: what is to be written, once the form is clean
        self.changes: dict[str, Any] | None = None
        # Called only where the form is shown: it reads the whole metadata.
        self.initial["seen"] = lambda: _marks(self.instance)

    @property
    def changed_data(self) -> list[str]:
        if self.changes is not None:
            return list(self.changes)
        return [name for name in super().changed_data if name in EDITED]

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
            raise ValidationError(_("This takes a JSON object."))
        return value

    def clean(self) -> None:
        if self.errors:
            return
        stored, seen = self._held(), _read(self.cleaned_data["seen"])
        self.changes = {}
        for name in EDITED:
            mine, now = _mark(self.cleaned_data[name]), _mark(getattr(stored, name))
            if mine in (now, seen.get(name)):  # nothing to write, or nothing that the person has written
                self.cleaned_data[name] = getattr(stored, name)
            elif seen.get(name, now) == now:
                self.changes[name] = self.cleaned_data[name]
            else:
                self.add_error(name, _conflict(getattr(stored, name)))
        if self.errors:
            # Whoever saves again has seen what is stored.
            data: Any = self.data
            self.data = data = data.copy()
            data[self.add_prefix("seen")] = _marks(stored)

    def _held(self) -> Session:
        """The session as it is stored, which nobody changes until the transaction around the page has ended."""
        database = self.instance._state.db
        own = Session.objects.using(database).filter(pk=self.instance.pk)
        try:
            with transaction.atomic(using=database):
                own.update(updated_at=F("updated_at"))
                stored = own.first()
        except DatabaseError as error:
            reason = failures.translated(error, str(database), committing=False)
            raise ValidationError(plain(str(reason), 500)) from error
        if stored is None:
            raise ValidationError(_("The session has been deleted meanwhile."))
        return stored


def _conflict(stored: Any) -> str:
    text = _("This was changed meanwhile, to: %(value)s. Save again to overwrite that with what you have written.")
    return text % {"value": text_of(stored, 300)}


def _marks(session: Session) -> str:
    return json.dumps({name: _mark(getattr(session, name)) for name in EDITED})


def _mark(value: Any) -> str:
    """Equal for equal values; nothing and an empty title are one."""
    if isinstance(value, CorruptValue):
        text = value.text.encode("utf-8", "surrogatepass")
    else:
        text = codec.canonical(codec.dumps(None if value == "" else value))
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def _read(marks: str) -> dict[str, Any]:
    try:
        read = json.loads(marks)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
