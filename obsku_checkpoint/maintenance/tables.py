"""What hangs on a session, in this app and in its adapters': the tables that an export holds, in the order of foreign
keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from django.apps import apps
from django.db import connections, models

from obsku_checkpoint.fields import EmbeddingField, JsonPlusField, MillisecondsField, SessionForeignKey
from obsku_checkpoint.models import Checkpoint, Fact, Message, Session
from obsku_checkpoint.routers import has_table

PACKAGE = "obsku_checkpoint"

Kind = Literal["text", "integer", "real", "boolean", "bytes", "json", "embedding"]
KINDS: tuple[tuple[type[Any], Kind], ...] = (
    (JsonPlusField, "json"),
    (models.JSONField, "json"),
    (EmbeddingField, "embedding"),
    (models.BinaryField, "bytes"),
    (models.BooleanField, "boolean"),
    (models.FloatField, "real"),
    (models.IntegerField, "integer"),
    (MillisecondsField, "integer"),
    (models.TextField, "text"),
    (models.CharField, "text"),
)


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind
    null: bool
    #: 32 or 64, of integers
    bits: int
    #: it holds the id of a message, which an import may change
    is_message: bool


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    #: of the primary key, in which lines are sorted
    key: tuple[str, ...]
    #: the column that holds the session, "" where that is known through a message alone
    session: str

    @property
    def message(self) -> str:
        """The column that says of which message a row is, "" where there is none."""
        return next((column.name for column in self.columns if column.is_message), "")


SESSIONS, MESSAGES, FACTS = "sessions", "messages", "facts"


def tables(using: str) -> dict[str, Table]:
    """Name -> table: sessions first, and facts, which outlive their session, last."""
    models_of_rows: list[type[models.Model]] = [
        Session,
        *(model for model in apps.get_models() if _hangs_on_a_session(model)),
        Fact,
    ]
    return {model._meta.db_table: _table(model) for model in models_of_rows if has_table(using, model)}


def with_embeddings(using: str) -> list[type[models.Model]]:
    """The models of rows with vectors, this app's first."""
    return [
        model
        for model in _in_database(using)
        if any(isinstance(field, EmbeddingField) for field in model._meta.concrete_fields)
    ]


def of_workspace(using: str) -> list[type[models.Model]]:
    """The adapters' models of rows that belong to a workspace and hang on nothing else."""
    return [
        model
        for model in _in_database(using)
        if model is not Session
        and any(field.name == "workspace_id" for field in model._meta.concrete_fields)
        and not any(field.is_relation for field in model._meta.concrete_fields)
    ]


def references_to_checkpoints(using: str) -> list[tuple[str, str]]:
    """(table, column) of the adapters' references to checkpoints."""
    return [
        (model._meta.db_table, str(field.column))
        for model in _in_database(using)
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey) and field.related_model is Checkpoint
    ]


def _in_database(using: str) -> list[type[models.Model]]:
    """The models of this app and of its adapters whose tables are in the database."""
    return [model for model in apps.get_models() if _is_ours(model) and has_table(using, model)]


def _is_ours(model: type[models.Model]) -> bool:
    return apps.get_app_config(model._meta.app_label).name.split(".")[0] == PACKAGE


def _hangs_on_a_session(model: type[models.Model]) -> bool:
    return _is_ours(model) and model is not Fact and bool(_parent(model))


def _parent(model: type[models.Model]) -> str:
    """The column with the session, or else the message, that a row is deleted with."""
    for parent in (Session, Message):
        for field in model._meta.concrete_fields:
            if isinstance(field, models.ForeignKey) and field.related_model is parent and not field.null:
                return str(field.column)
    return ""


def _table(model: type[models.Model]) -> Table:
    meta = model._meta
    fields = [field for field in meta.concrete_fields if field.column]
    to_session = (field for field in fields if isinstance(field, SessionForeignKey) and field.related_model is Session)
    session = next((str(field.column) for field in to_session if not field.null), "")
    return Table(
        name=meta.db_table,
        columns=tuple(map(_column, fields)),
        key=tuple(str(field.column) for field in meta.pk_fields),
        session="id" if model is Session else session,
    )


def _column(field: Any) -> Column:
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    kind = next(kind for type, kind in KINDS if isinstance(target, type))
    is_message = isinstance(field, models.ForeignKey) and field.related_model is Message
    bits = 64 if isinstance(target, models.BigIntegerField | MillisecondsField) else 32
    return Column(str(field.column), kind, field.null, bits, is_message)


def quoted(using: str, *names: str) -> str:
    """The names as SQL takes them, parted by commas."""
    return ", ".join(connections[using].ops.quote_name(name) for name in names)
