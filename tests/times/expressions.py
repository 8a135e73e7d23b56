"""The rows that the tests compare, and expressions that are not times in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import models
from django.db.models import Case, ExpressionWrapper, F, Value, When
from django.db.models.functions import (
    Cast,
    Coalesce,
    Greatest,
    Least,
    Lower,
    Now,
    NullIf,
    TruncDate,
    TruncDay,
    TruncHour,
)

from obsku_checkpoint.fields import MillisecondsField

BOTH = pytest.mark.parametrize("using", ["default", "postgres"], ids=["sqlite", "postgres"])
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
#: ``updated_at - created_at`` of each session, in milliseconds
SESSIONS = {"a": -1, "b": 0, "c": 1, "d": 2, "e": 86_400_000}
FAR = datetime(9000, 1, 1, tzinfo=UTC)


def ids(rows: Any) -> set[str]:
    return set(rows.values_list("id", flat=True))


def microseconds(count: int) -> timedelta:
    return timedelta(microseconds=count)


WRONG: dict[str, Callable[[], Any]] = {
    "text": lambda: Value("2026-01-02"),
    "number": lambda: Value(5),
    "date": lambda: Value(date(2026, 1, 2)),
    "duration": lambda: Value(timedelta(days=1)),
    "a text column": lambda: F("title"),
    "a function of text": lambda: Lower("title"),
    "time + timedelta": lambda: F("created_at") + timedelta(days=1),
    "time - timedelta": lambda: F("created_at") - timedelta(days=1),
    "time - datetime": lambda: F("created_at") - Now(),
    "datetime - time": lambda: Now() - F("created_at"),
    "difference": lambda: F("created_at") - F("updated_at"),
    "declared sum": lambda: ExpressionWrapper(
        F("created_at") + timedelta(days=1), output_field=models.DateTimeField()
    ),
    "sum declared as milliseconds": lambda: ExpressionWrapper(
        F("created_at") + timedelta(days=1), output_field=MillisecondsField()
    ),
    "cast": lambda: Cast("created_at", models.DateTimeField()),
    "cast to a date": lambda: Cast(Now(), models.DateField()),
    "Coalesce": lambda: Coalesce("created_at", Now()),
    "Coalesce declared as a datetime": lambda: Coalesce("created_at", Now(), output_field=models.DateTimeField()),
    "Coalesce declared as milliseconds": lambda: Coalesce("created_at", Now(), output_field=MillisecondsField()),
    "Greatest": lambda: Greatest("created_at", Now()),
    "Greatest, the other way": lambda: Greatest(Now(), "created_at"),
    "Least": lambda: Least("created_at", Value(MOMENT)),
    "NullIf": lambda: NullIf("created_at", Now()),
    "Case": lambda: Case(When(id="a", then=Now()), default=F("created_at")),
    "Case declared as milliseconds": lambda: Case(
        When(id="a", then=Now()), default=F("created_at"), output_field=MillisecondsField()
    ),
    "a date of the database": lambda: TruncDate("created_at__datetime"),
    "a truncated time": lambda: TruncHour(Now()),
    "a truncated time, later": lambda: TruncDay(Now()) + timedelta(days=1),
}  # fmt: skip
