"""Every way to assign a time in milliseconds, with values and with expressions, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import FieldError
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import (
    Now,
)

from obsku_checkpoint.fields import MillisecondsField
from obsku_checkpoint.models import Session
from tests.times.expressions import BOTH, FAR, MOMENT, WRONG, microseconds

pytestmark = [pytest.mark.django_db(databases=["default", "postgres"]), BOTH]


def update(rows: Any, value: Any) -> None:
    rows.filter(id="b").update(updated_at=value)


def save(rows: Any, value: Any) -> None:
    row = rows.get(id="b")
    row.updated_at = value
    row.save()


def bulk_update(rows: Any, value: Any) -> None:
    row = rows.get(id="b")
    row.updated_at = value
    rows.bulk_update([row], ["updated_at"])


def update_or_create(rows: Any, value: Any) -> None:
    rows.update_or_create(id="b", defaults={"updated_at": value})


def create(rows: Any, value: Any) -> None:
    rows.filter(id="b").delete()
    rows.create(id="b", directory=".", updated_at=value)


def bulk_create(rows: Any, value: Any) -> None:
    rows.filter(id="b").delete()
    rows.bulk_create([Session(id="b", directory=".", updated_at=value)])


def get_or_create(rows: Any, value: Any) -> None:
    rows.filter(id="b").delete()
    rows.get_or_create(id="b", defaults={"directory": ".", "updated_at": value})


CHANGES: list[Callable[[Any, Any], None]] = [update, save, update_or_create]
CREATIONS: list[Callable[[Any, Any], None]] = [create, bulk_create, get_or_create]


@pytest.mark.parametrize("assign", [*CHANGES, *CREATIONS, bulk_update])
@pytest.mark.parametrize("value", [MOMENT + microseconds(999), Value(MOMENT, output_field=MillisecondsField())])
def test_values_are_assigned_in_every_place(using: str, sessions: Any, assign: Any, value: Any) -> None:
    assign(sessions, value)
    assert sessions.get(id="b").updated_at == MOMENT


@pytest.mark.parametrize("assign", [*CHANGES, *CREATIONS])
@pytest.mark.parametrize("value", [Now(), Value(MOMENT + microseconds(999)), Value(MOMENT) + microseconds(999)])
def test_datetimes_of_the_database_are_assigned_in_every_place(
    using: str, sessions: Any, assign: Any, value: Any
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    assign(sessions, value)
    stored = sessions.get(id="b").updated_at
    assert stored >= before if isinstance(value, Now) else stored == MOMENT


@pytest.mark.parametrize("assign", [*CHANGES, bulk_update])
def test_columns_are_assigned(using: str, sessions: Any, assign: Any) -> None:
    sessions.filter(id="b").update(updated_at=FAR)
    assign(sessions, F("created_at"))
    assert sessions.get(id="b").updated_at == MOMENT


def test_a_column_moves_by_a_timedelta_through_the_datetime(using: str, sessions: Any) -> None:
    sessions.update(updated_at=F("updated_at__datetime") + timedelta(days=1, microseconds=1))
    assert sessions.get(id="b").updated_at == MOMENT + timedelta(days=1)


@pytest.mark.parametrize("assign", [*CHANGES, bulk_update])
@pytest.mark.parametrize("wrong", WRONG)
def test_expressions_of_another_type_are_not_assigned(using: str, sessions: Any, assign: Any, wrong: str) -> None:
    with pytest.raises(FieldError), transaction.atomic(using=using):
        assign(sessions, WRONG[wrong]())
    assert sessions.get(id="b").updated_at == MOMENT


def test_bulk_update_takes_no_datetimes_of_the_database(using: str, sessions: Any) -> None:
    """Its CASE would have branches of two types."""
    with pytest.raises(FieldError, match="compare it with a datetime"), transaction.atomic(using=using):
        bulk_update(sessions, Now())


@pytest.mark.parametrize("assign", CREATIONS)
@pytest.mark.parametrize("wrong", ["text", "number", "date", "duration", "cast to a date", "a truncated time"])
def test_rows_are_not_made_with_expressions_of_another_type(using: str, sessions: Any, assign: Any, wrong: str) -> None:
    with pytest.raises(FieldError), transaction.atomic(using=using):
        assign(sessions, WRONG[wrong]())
    assert sessions.get(id="b").updated_at == MOMENT
