"""Columns that may be huge: what is read of them is bounded, and what was left unread is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from django.db.models import Case, F, Func, IntegerField, TextField, Value, When
from django.db.models.functions import Cast, Left

from obsku_checkpoint.codec import loads_or_corrupt

#: bytes of JSON that are decoded and shown as a tree
JSON_BYTES = 2_000_000
#: characters that are shown of a longer one, and of a text
HEAD = 20_000
#: an escape sequence may be cut, and a pair of surrogates has two
_ESCAPE_CHARACTERS = 12


class BytesIn(Func):
    """``BytesIn("content")``: the size of a stored text. PostgreSQL knows it without unpacking the value."""

    function = "OCTET_LENGTH"
    arity = 1
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **context)


@dataclass(frozen=True, slots=True)
class Large:
    """What stands for a stored JSON value that is too large to be read whole."""

    #: of its JSON text
    bytes: int
    #: the beginning of its JSON text
    head: str

    @property
    def beginning(self) -> str:
        """The beginning for a person: of a text its characters, of anything else its JSON."""
        if not self.head.startswith('"'):
            return self.head
        for cut in range(_ESCAPE_CHARACTERS):
            text = loads_or_corrupt(f'{self.head[: len(self.head) - cut]}"')
            if isinstance(text, str):
                return text
        return self.head


class Beginning(str):
    """The beginning of a text that is too large to be read whole, where a text is wanted."""

    __slots__ = ("whole",)
    whole: Large

    def __new__(cls, whole: Large) -> Self:
        self = super().__new__(cls, f"{whole.beginning}…")
        self.whole = whole
        return self


@dataclass(frozen=True, slots=True)
class Stored:
    """A column of a row. Where it is ``cut``, ``value`` is `Large`, or the beginning of a text."""

    value: Any
    bytes: int
    cut: bool


def text_columns(column: str, head: int = HEAD) -> dict[str, Any]:
    """Annotations that read the beginning of a text column."""
    return {f"{column}_head": Left(F(column), head), f"{column}_bytes": BytesIn(F(column))}


def json_columns(column: str, limit: int = JSON_BYTES, head: int = HEAD) -> dict[str, Any]:
    """Annotations that read a JSON column as text, whole up to ``limit`` bytes, else its beginning."""
    text = Cast(F(column), TextField())
    whole = When(**{f"{column}_bytes__lte": Value(limit)}, then=text)
    return {
        f"{column}_bytes": BytesIn(F(column)),
        f"{column}_head": Case(whole, default=Left(text, head), output_field=TextField()),
    }


def stored_text(row: Any, column: str) -> Stored | None:
    """What `text_columns` has read; None where the column is NULL."""
    head, bytes = getattr(row, f"{column}_head"), getattr(row, f"{column}_bytes")
    return None if head is None else Stored(head, bytes, len(head.encode("utf-8", "replace")) < bytes)


def stored_json(row: Any, column: str) -> Stored | None:
    """What `json_columns` has read, decoded; None where the column is NULL."""
    head, bytes = getattr(row, f"{column}_head"), getattr(row, f"{column}_bytes")
    if head is None:
        return None
    if len(head.encode("utf-8", "replace")) < bytes:
        return Stored(Large(bytes, head), bytes, True)
    return Stored(loads_or_corrupt(head), bytes, False)
