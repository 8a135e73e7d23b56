"""Raw database rows become records, in the order of the tables' columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields, make_dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db import models

from obsku_checkpoint import embeddings
from obsku_checkpoint.codec import canonical, corrupt_value, loads
from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.fields import EXACT_AS_FLOAT, EmbeddingField, JsonPlusField, from_milliseconds, read_moment
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import (
    JSON_PLUS,
    MOMENTS,
    TABLES,
    CheckpointRecord,
    CorruptValue,
    EntityRecord,
    FactRecord,
    MessageRecord,
    SessionRecord,
)

Row = Sequence[Any]
R = TypeVar("R", SessionRecord, MessageRecord, CheckpointRecord, EntityRecord, FactRecord)

#: columns of which NULL, which other programs may store, is an empty list or object
EMPTY: dict[str, type[list[Any] | dict[str, Any]]] = {
    "pending_nodes": list,
    "attributes": dict,
    "relationships": list,
}
#: what reading a value raises that is none
UNREADABLE = (CheckpointCorruptionError, OverflowError, TypeError)


def _thawed(record: type[Any], *, init: bool = True) -> type[Any]:
    """A class with the record's slots that is not frozen, to be filled and then given the record's class.

    A frozen dataclass sets each field through ``object.__setattr__``, which takes six times as long.
    """
    return make_dataclass(record.__name__, [field.name for field in fields(record)], slots=True, init=init)


_Session, _Checkpoint, _Entity, _Fact = map(_thawed, (SessionRecord, CheckpointRecord, EntityRecord, FactRecord))
_Message = _thawed(MessageRecord, init=False)


def session_record(row: Row, on_corrupt: OnCorrupt = "raise") -> SessionRecord:
    id, workspace_id, title, directory, created_at, updated_at, metadata = row
    try:
        record: SessionRecord = _Session(
            id,
            workspace_id,
            title,
            directory,
            from_milliseconds(created_at),
            from_milliseconds(updated_at),
            None if metadata is None else loads(metadata),
        )
    except UNREADABLE:
        return _corrupt_record(SessionRecord, row, on_corrupt)
    record.__class__ = SessionRecord
    return record


def message_records(rows: Sequence[Row], on_corrupt: OnCorrupt = "raise") -> list[MessageRecord]:
    """Written out, without a call for each record or moment: those are a quarter of a long transcript's time."""
    records: list[MessageRecord] = []
    at = datetime.fromtimestamp
    try:
        for id, session_id, role, content, tool_calls, tool_results, tokens_in, tokens_out, created_at in rows:
            record: Any = _Message()
            record.id = id
            record.session_id = session_id
            record.role = role
            record.content = content
            record.tool_calls = None if tool_calls is None else loads(tool_calls)
            record.tool_results = None if tool_results is None else loads(tool_results)
            record.tokens_in = tokens_in
            record.tokens_out = tokens_out
            exact = 0 <= created_at < EXACT_AS_FLOAT
            record.created_at = at(created_at / 1000, UTC) if exact else from_milliseconds(created_at)
            record.__class__ = MessageRecord
            records.append(record)
    except UNREADABLE:
        return [_corrupt_record(MessageRecord, row, on_corrupt) for row in rows]
    return records


def checkpoint_record(row: Row, on_corrupt: OnCorrupt = "raise") -> CheckpointRecord:
    (id, session_id, namespace, parent_id, version, step, node_id,
     node_results, pending_nodes, cycle_state, source, created_at) = row  # fmt: skip
    try:
        record: CheckpointRecord = _Checkpoint(
            id,
            session_id,
            namespace,
            parent_id,
            version,
            step,
            node_id,
            loads(node_results),
            [] if pending_nodes is None else loads(pending_nodes),
            None if cycle_state is None else loads(cycle_state),
            source,
            from_milliseconds(created_at),
        )
    except UNREADABLE:
        return _corrupt_record(CheckpointRecord, row, on_corrupt)
    record.__class__ = CheckpointRecord
    return record


def entity_record(row: Row, on_corrupt: OnCorrupt = "raise") -> EntityRecord:
    (id, session_id, workspace_id, name, type, attributes, relationships,
     created_at, updated_at, embedding) = row  # fmt: skip
    try:
        record: EntityRecord = _Entity(
            id,
            session_id,
            workspace_id,
            name,
            type,
            {} if attributes is None else loads(attributes),
            [] if relationships is None else loads(relationships),
            from_milliseconds(created_at),
            from_milliseconds(updated_at),
            embeddings.loaded(embedding),
        )
    except UNREADABLE:
        return _corrupt_record(EntityRecord, row, on_corrupt)
    record.__class__ = EntityRecord
    return record


def fact_record(row: Row, on_corrupt: OnCorrupt = "raise") -> FactRecord:
    id, workspace_id, content, confidence, source_session_id, created_at, embedding = row
    try:
        record: FactRecord = _Fact(
            id,
            workspace_id,
            content,
            confidence,
            source_session_id,
            from_milliseconds(created_at),
            embeddings.loaded(embedding),
        )
    except UNREADABLE:
        return _corrupt_record(FactRecord, row, on_corrupt)
    record.__class__ = FactRecord
    return record


def _corrupt_record(record: type[R], row: Row, on_corrupt: OnCorrupt) -> R:
    """The record with a `CorruptValue` in each column that cannot be read, or the error that says which one it is.

    A row without such a column becomes its record, more slowly.
    """
    values: dict[str, Any] = {}
    for field, stored in zip(fields(record), row, strict=True):
        try:
            values[field.name] = _value(field.name, stored)
        except CheckpointCorruptionError as error:
            if on_corrupt == "raise":
                place = (TABLES[record], str(row[0]), field.name)
                raise CheckpointCorruptionError(error.path, error.reason, error.preview, *place) from error
            values[field.name] = corrupt_value(str(stored), error)
    return record(**values)


def _value(column: str, stored: Any) -> Any:
    if column in MOMENTS:
        moment = read_moment(stored)
        if isinstance(moment, CorruptValue):
            raise CheckpointCorruptionError("$", moment.reason, moment.text)
        return moment
    if column in EMPTY and stored is None:
        return EMPTY[column]()
    if column == "embedding":
        return embeddings.loaded(stored)
    return loads(stored) if column in JSON_PLUS and stored is not None else stored


def same_content(model: type[models.Model], stored: Row, given: Row, columns: Collection[str]) -> bool:
    """Whether a retried write says what is stored: the raw values of ``columns`` are equal, those of JSON columns
    regardless of white space and the order of keys, vectors number by number.
    """
    for field, one, other in zip(model._meta.concrete_fields, stored, given, strict=True):
        if field.column not in columns or one == other:
            continue
        if isinstance(field, EmbeddingField):
            same = embeddings.loaded(one) == embeddings.loaded(other)
        else:
            same = isinstance(field, JsonPlusField) and _equal(one, other)
        if not same:
            return False
    return True


def _equal(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return False
    try:
        return canonical(one) == canonical(other)
    except CheckpointCorruptionError:
        return False
