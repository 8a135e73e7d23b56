"""The column types of the shared tables. Migrations import them, so their paths never move."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.lookups import GreaterThanOrEqual, LessThan

from obsku_checkpoint import codec
from obsku_checkpoint.errors import CheckpointCorruptionError, InvalidRecordError, SerializationError
from obsku_checkpoint.records import CorruptValue

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    # Generic for the type checker only: Django's classes take no type arguments at run time.
    TextField = models.TextField[Any, Any]
    FloatField = models.FloatField[Any, Any]
    DateTimeField = models.DateTimeField[Any, Any]
    BinaryField = models.BinaryField[Any, Any]
else:
    TextField, FloatField = models.TextField, models.FloatField
    DateTimeField, BinaryField = models.DateTimeField, models.BinaryField

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


class MillisecondsField(DateTimeField):
    """Milliseconds since 1970 in a bigint column, an aware UTC `datetime` everywhere else.

    Comparisons take datetimes; transforms such as ``__year`` are refused, since the database sees a number.
    """

    def get_internal_type(self) -> str:
        return "BigIntegerField"

    def get_transform(self, lookup_name: str) -> None:
        return None

    def from_db_value(self, value: int | None, expression: Any, connection: Any) -> datetime | CorruptValue | None:
        return None if value is None else read_moment(value)

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        if isinstance(value, CorruptValue):
            return int(value.text) if value.text.lstrip("-").isdecimal() else value.text
        return to_milliseconds(self.to_python(value), self.name or "timestamp")

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return value if prepared else self.get_prep_value(value)

    def value_to_string(self, obj: models.Model) -> str:
        value = self.value_from_object(obj)
        return value.text if isinstance(value, CorruptValue) else super().value_to_string(obj)


class _RoundedUp:
    """A whole millisecond is before a moment within the next one, and not at or after it."""

    rhs: Any

    def get_prep_lookup(self) -> Any:
        if isinstance(self.rhs, datetime) and self.rhs.utcoffset() is not None:
            return first_millisecond(self.rhs)
        return super().get_prep_lookup()  # type: ignore[misc]  # of the lookup it is mixed into


@MillisecondsField.register_lookup
class MillisecondsBefore(_RoundedUp, LessThan):
    pass


@MillisecondsField.register_lookup
class MillisecondsFrom(_RoundedUp, GreaterThanOrEqual):
    pass


class JsonPlusField(TextField):
    """A JSON-plus value in a text column; see `obsku_checkpoint.codec`.

    Stored text that cannot be decoded is a `CorruptValue`, so that the row can be shown, and is written back
    unchanged.
    """

    if TYPE_CHECKING:  # what the type checker takes for the attribute's type
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else codec.loads_or_corrupt(value)

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        if isinstance(value, CorruptValue):
            return value.text
        return codec.dumps(value)

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return codec.loads(value)
        except CheckpointCorruptionError as error:
            raise ValidationError(str(error), code="invalid") from error

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

    def db_type_suffix(self, connection: BaseDatabaseWrapper) -> str:
        quote = connection.ops.quote_name
        target = self.target_field
        table, column = quote(target.model._meta.db_table), quote(str(target.column))
        return f"REFERENCES {table} ({column}) ON DELETE {self.db_on_delete}"
