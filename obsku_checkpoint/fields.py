"""The column types of the shared tables. Migrations import them, so their paths never move."""

from __future__ import annotations

import json
import time
import warnings
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.expressions import Combinable, register_combinable_fields
from django.utils import timezone

from obsku_checkpoint import codec
from obsku_checkpoint.errors import CheckpointCorruptionError, InvalidRecordError, SerializationError
from obsku_checkpoint.forms import JsonPlusFormField, MillisecondsFormField
from obsku_checkpoint.records import CorruptValue
from obsku_checkpoint.time_expressions import AsDateTime, Milliseconds, in_milliseconds

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    # Generic for the type checker only: Django's classes take no type arguments at run time.
    TextField = models.TextField[Any, Any]
    FloatField = models.FloatField[Any, Any]
    BinaryField = models.BinaryField[Any, Any]
else:
    TextField, FloatField = models.TextField, models.FloatField
    BinaryField = models.BinaryField

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
#: milliseconds whose seconds a float tells apart to half a microsecond, which `fromtimestamp` rounds to
EXACT_AS_FLOAT = 2**32 * 1000


def to_milliseconds(value: datetime, field: str) -> int:
    """Milliseconds since 1970 of an aware datetime; microseconds are truncated. Naive: `InvalidRecordError`."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidRecordError(field, "takes an aware datetime")
    return (value - EPOCH) // MILLISECOND


def first_millisecond(value: datetime) -> int:
    """The first whole millisecond that is not before an aware datetime: what is less than it was earlier."""
    return -((EPOCH - value) // MILLISECOND)


def from_milliseconds(value: int) -> datetime:
    """The aware UTC datetime; OverflowError outside the years 1 to 9999."""
    if 0 <= value < EXACT_AS_FLOAT:
        return datetime.fromtimestamp(value / 1000, UTC)
    return EPOCH + timedelta(milliseconds=value)


def now() -> datetime:
    """The present time as the columns hold it: aware, in UTC, in whole milliseconds."""
    return from_milliseconds(time.time_ns() // 1_000_000)


def read_moment(value: int) -> datetime | CorruptValue:
    """`from_milliseconds`, or what stands for a value that is no time."""
    try:
        return from_milliseconds(value)
    except (OverflowError, TypeError):
        return CorruptValue(text=str(value), reason="not milliseconds of the years 1 to 9999")


class IdField(TextField):
    """Text as a primary key, without the ``…_like`` index that Django adds for prefix searches on PostgreSQL.

    Nothing here searches ids by prefix, and the index would cost every insert. Django looks for a lower-case ``text``
    to decide; SQL does not mind the case.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "TEXT"


class RealField(FloatField):
    """A 32-bit float where the database has one."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "real"


class MillisecondsField(Milliseconds):
    """Milliseconds since 1970 in a bigint column, an aware UTC `datetime` everywhere else, whatever ``USE_TZ`` says.

    What is written may be an aware datetime, or what Django's `DateTimeField` takes: a naive one (of the default time
    zone, with a warning where ``USE_TZ`` is on), a date, a text in ISO 8601. See `obsku_checkpoint.time_expressions`
    for what expressions may do with the column.
    """

    convertible = models.DateTimeField
    description = "Date and time, in milliseconds"
    default_error_messages = {"invalid": "“%(value)s” is not a date and time in ISO 8601."}

    @property
    def advice(self) -> str:  # type: ignore[override]  # it names the field
        name = self.name or "updated_at"
        return (
            f"{name} holds milliseconds: compare it with a datetime, with another such column, or with an expression of"
            f" the type DateTimeField, such as Now(); for everything else there is F('{name}__datetime')"
        )

    def get_transform(self, lookup_name: str) -> Any:
        """``datetime``, and through it all that a `DateTimeField` has: ``year``, ``date``, ``hour``, …"""
        found = models.DateTimeField().get_transform(lookup_name)
        return (lambda lhs: found(AsDateTime(lhs))) if found else super().get_transform(lookup_name)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, date) and not isinstance(value, datetime):
            return datetime(value.year, value.month, value.day)
        if not isinstance(value, str):
            return value
        try:
            return datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": value}) from error

    def whole_milliseconds(self, value: Any, *, up: bool) -> Any:
        if isinstance(value, CorruptValue):
            return int(value.text) if value.text.lstrip("-").isdecimal() else value.text
        moment = self.to_python(value)
        if isinstance(moment, datetime) and timezone.is_naive(moment):
            moment = self._in_default_zone(moment)
        return first_millisecond(moment) if up else to_milliseconds(moment, self.name or "timestamp")

    def _in_default_zone(self, value: datetime) -> datetime:
        if settings.USE_TZ:
            warnings.warn(
                f"{self.name or 'a MillisecondsField'} received a naive datetime ({value}) while time zone support is"
                " active.",
                RuntimeWarning,
                stacklevel=2,
            )
        return timezone.make_aware(value, timezone.get_default_timezone())

    def from_db_value(self, value: int | None, expression: Any, connection: Any) -> datetime | CorruptValue | None:
        return None if value is None else read_moment(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """The instance then has the time that its row has."""
        value = super().pre_save(model_instance, add)
        if isinstance(value, datetime | date | str):
            value = read_moment(self.whole_milliseconds(value, up=False))
            setattr(model_instance, self.attname, value)
        return value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if hasattr(value, "as_sql"):
            return in_milliseconds(value, self)
        return super().get_db_prep_save(value, connection)

    def value_to_string(self, obj: models.Model) -> str:
        value = self.value_from_object(obj)
        return value.text if isinstance(value, CorruptValue) else "" if value is None else value.isoformat()

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": MillisecondsFormField, **kwargs})


MillisecondsField.register_lookup(AsDateTime)


class MillisecondsDuration(Milliseconds):
    """The type of a difference of two times in milliseconds: a `timedelta`."""

    advice = (
        "A difference of two times in milliseconds is a timedelta without any output_field: compare it with a"
        " timedelta, or with another such difference"
    )

    def whole_milliseconds(self, value: Any, *, up: bool) -> Any:
        return -(-value // MILLISECOND) if up else value // MILLISECOND

    def from_db_value(self, value: int | None, expression: Any, connection: Any) -> timedelta | None:
        return None if value is None else timedelta(milliseconds=value)


register_combinable_fields(MillisecondsField, Combinable.SUB, MillisecondsField, MillisecondsDuration)


class JsonPlusField(TextField):
    """A JSON-plus value in a text column; see `obsku_checkpoint.codec`.

    Stored text that cannot be decoded is a `CorruptValue`, so that the row can be shown, and is written back
    unchanged.
    """

    if TYPE_CHECKING:  # what the type checker takes for the attribute's type
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any

    #: an empty list or object is a value
    empty_values = (None,)

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else codec.loads_or_corrupt(value)

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        if isinstance(value, CorruptValue):
            return value.text
        return codec.dumps(value)

    def to_python(self, value: Any) -> Any:
        """The text of a fixture becomes a value; other values are not texts to be read (see `clean`)."""
        if not isinstance(value, str):
            return value
        try:
            return codec.loads(value)
        except CheckpointCorruptionError as error:
            raise ValidationError(str(error), code="invalid") from error

    def clean(self, value: Any, model_instance: Any) -> Any:
        """A value that is text stays text."""
        self.validate(value, model_instance)
        self.run_validators(value)
        return value

    def formfield(self, **kwargs: Any) -> Any:
        # Not a TextField's, which has a maximal length.
        return models.Field.formfield(self, **{"form_class": JsonPlusFormField, **kwargs})

    def validate(self, value: Any, model_instance: Any) -> None:
        super().validate(value, model_instance)
        try:
            self.get_prep_value(value)
        except SerializationError as error:
            raise ValidationError(str(error), code="invalid") from error

    def value_to_string(self, obj: models.Model) -> Any:
        return self.get_prep_value(self.value_from_object(obj))


class EmbeddingField(BinaryField):
    """A vector as the UTF-8 bytes of a JSON array of numbers, a list of floats in Python."""

    if TYPE_CHECKING:
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> list[float] | CorruptValue | None:
        if value is None:
            return None
        if not isinstance(value, bytes | bytearray | memoryview):  # SQLite's columns take values of any type
            return _vector(str(value))
        return _vector(bytes(value).decode("utf-8", "backslashreplace"))

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if isinstance(value, CorruptValue):
            value = value.text.encode()
        elif isinstance(value, list | tuple):
            value = json.dumps(list(value), separators=(",", ":"), allow_nan=False).encode()
        return super().get_db_prep_value(value, connection, prepared)

    def to_python(self, value: Any) -> Any:
        return _vector(value) if isinstance(value, str) else value

    def value_to_string(self, obj: models.Model) -> Any:
        value = self.value_from_object(obj)
        return value.text if isinstance(value, CorruptValue) else value and json.dumps(value)


def _vector(text: str) -> list[float] | CorruptValue:
    try:
        vector = json.loads(text)
    except ValueError as error:
        return CorruptValue(text=text, reason=str(error))
    if isinstance(vector, list) and all(type(number) in (int, float) for number in vector):
        return vector
    return CorruptValue(text=text, reason="not an array of numbers")


class SessionForeignKey(models.ForeignKey[Any, Any]):
    """A reference to a session whose deletion the database carries out itself.

    Django's own constraint gives way to an inline ``REFERENCES … ON DELETE …``, which PostgreSQL and SQLite both keep,
    whoever deletes the row: Django, the npm package or a person with psql. ``db_on_delete`` is the action,
    ``CASCADE`` or ``SET NULL``. (Django 6.1 has ``DB_CASCADE`` for this; a migration that swaps the field class is
    all it takes once 5.2 is no longer supported.)
    """

    def __init__(self, to: Any, *, db_on_delete: str = "CASCADE", **kwargs: Any) -> None:
        self.db_on_delete = db_on_delete
        super().__init__(to, **{**kwargs, "on_delete": models.DO_NOTHING, "db_constraint": False, "db_index": False})

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        for fixed in ("on_delete", "db_constraint", "db_index"):
            kwargs.pop(fixed, None)
        return name, path, args, {**kwargs, "db_on_delete": self.db_on_delete}

    def _check_unique(self, **kwargs: Any) -> list[Any]:
        """Django would have a OneToOneField, which brings its own constraint."""
        return []

    def db_type_suffix(self, connection: BaseDatabaseWrapper) -> str:
        quote = connection.ops.quote_name
        target = self.target_field
        table, column = quote(target.model._meta.db_table), quote(str(target.column))
        return f"REFERENCES {table} ({column}) ON DELETE {self.db_on_delete}"
