"""The tables that an export holds, this app's and its adapters': of sessions, of facts and of items of memories, each
with those of what belongs to one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from django.apps import apps
from django.db import connections, models

from obsku_checkpoint.fields import EmbeddingField, JsonPlusField, MillisecondsField
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
    #: the table whose number it holds, which an import may change; "" where it holds none
    refers_to: str


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    #: the table of what its rows belong to, and are imported with or not at all; its own where they belong to nothing
    root: str
    columns: tuple[Column, ...]
    #: of the primary key, in which lines are sorted
    key: tuple[str, ...]
    #: the column that holds the id of the root's row, "" where that is known through a message alone
    owner: str
    #: the column with a number that the database gives, and an import may change; "" where there is none
    number: str
    #: of a root, the columns that say which row is which, whatever its number
    place: tuple[str, ...]

    @property
    def reference(self) -> Column | None:
        """The column that holds a number of another table."""
        return next((column for column in self.columns if column.refers_to), None)

    def positions(self, names: Iterable[str]) -> list[int]:
        """Where these columns stand in a row."""
        columns = [column.name for column in self.columns]
        return [columns.index(name) for name in names]


SESSIONS, MESSAGES, FACTS = "sessions", "messages", "facts"


def tables(using: str) -> dict[str, Table]:
    """Name -> table, each root above what belongs to it: sessions, facts, which outlive their session, and memories."""
    there = _in_database(using)
    roots: list[type[models.Model]] = [Session, Fact, *of_workspace(using)]
    return {
        model._meta.db_table: _table(model, root)
        for root in roots
        for model in there
        if model is root or (model not in roots and _owner(model, root) is not None)
    }


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
    """The models of this app and of its adapters whose tables are in the database, in the order of foreign keys: this
    app's first, whatever the order of ``INSTALLED_APPS``.
    """
    ours = [model for model in apps.get_models() if _is_ours(model) and has_table(using, model)]
    return sorted(ours, key=lambda model: model._meta.app_label != Session._meta.app_label)


def _is_ours(model: type[models.Model]) -> bool:
    return apps.get_app_config(model._meta.app_label).name.split(".")[0] == PACKAGE


def _owner(model: type[models.Model], root: type[models.Model]) -> str | None:
    """The column with the id of the root's row that a row is deleted with, "" where that is a message's; None where it
    is not deleted with any.
    """
    for parent in (root, Message) if root is Session else (root,):
        for field in model._meta.concrete_fields:
            if isinstance(field, models.ForeignKey) and field.related_model is parent and not field.null:
                return str(field.column) if parent is root else ""
    return None


def _table(model: type[models.Model], root: type[models.Model]) -> Table:
    meta = model._meta
    key = tuple(str(field.column) for field in meta.pk_fields)
    unique = (tuple(each.fields) for each in meta.constraints if isinstance(each, models.UniqueConstraint))
    is_numbered = isinstance(meta.pk, models.AutoField)
    return Table(
        name=meta.db_table,
        root=root._meta.db_table,
        columns=tuple(_column(field) for field in meta.concrete_fields if field.column),
        key=key,
        owner="id" if model is root else _owner(model, root) or "",
        number="id" if is_numbered else "",
        place=next(unique, key) if is_numbered and model is root else key,
    )


def _column(field: Any) -> Column:
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    kind = next(kind for type, kind in KINDS if isinstance(target, type))
    refers_to = target.model._meta.db_table if target is not field and isinstance(target, models.AutoField) else ""
    bits = 64 if isinstance(target, models.BigIntegerField | MillisecondsField) else 32
    return Column(str(field.column), kind, field.null, bits, refers_to)


def quoted(using: str, *names: str) -> str:
    """The names as SQL takes them, parted by commas."""
    return ", ".join(connections[using].ops.quote_name(name) for name in names)
