"""Differences of times in milliseconds, their parts, and the datetime that they stand for, on both databases."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import FieldError
from django.db import models, transaction
from django.db.models import ExpressionWrapper, F, Value
from django.db.models.functions import (
    Cast,
    ExtractYear,
    Now,
    TruncDate,
    TruncDay,
)

from tests.times.expressions import BOTH, MOMENT, SESSIONS, ids

pytestmark = [pytest.mark.django_db(databases=["default", "postgres"]), BOTH]


def test_differences_are_timedeltas(using: str, sessions: Any) -> None:
    active = F("updated_at") - F("created_at")
    rows = sessions.annotate(active=active)
    found = dict(rows.values_list("id", "active"))
    assert found == {id: timedelta(milliseconds=later) for id, later in SESSIONS.items()}
    assert ids(rows.filter(active__gt=timedelta(microseconds=999))) == {"c", "d", "e"}
    assert ids(rows.filter(active__lt=timedelta(microseconds=1))) == {"a", "b"}
    assert ids(rows.filter(active__range=(timedelta(0), timedelta(milliseconds=1)))) == {"b", "c"}
    assert list(rows.order_by("-active").values_list("id", flat=True)) == ["e", "d", "c", "b", "a"]
    assert rows.filter(id__lt="e").aggregate(models.Sum("active"), models.Max("active"), models.Avg("active")) == {
        "active__sum": timedelta(milliseconds=2),
        "active__max": timedelta(milliseconds=2),
        "active__avg": timedelta(0),
    }
    with pytest.raises(FieldError, match="is a timedelta without any output_field"):
        list(sessions.annotate(active=ExpressionWrapper(active, output_field=models.DurationField())))
    with pytest.raises(FieldError, match="compare it with a timedelta"):
        ids(rows.filter(active__gt=Value(timedelta(0))))


@pytest.mark.parametrize(
    ("transform", "value"),
    [
        ("year", 2026), ("iso_year", 2026), ("quarter", 1), ("month", 1), ("week", 1), ("day", 2), ("week_day", 6),
        ("iso_week_day", 5), ("hour", 3), ("minute", 4), ("second", 5), ("date", date(2026, 1, 2)),
        ("time", MOMENT.time()), ("datetime", MOMENT),
    ],
)  # fmt: skip
def test_transforms_are_those_of_a_datetime(
    using: str, sessions: Any, settings: Any, transform: str, value: Any
) -> None:
    settings.TIME_ZONE = "UTC"
    assert sessions.values_list(f"created_at__{transform}", flat=True)[0] == value
    assert sessions.filter(**{f"created_at__{transform}": value}).count() == len(SESSIONS)
    assert sessions.filter(**{f"created_at__{transform}__gt": value}).count() == 0
    assert sessions.filter(**{f"created_at__{transform}__lte": value}).count() == len(SESSIONS)
    assert len(sessions.order_by(f"created_at__{transform}")) == len(SESSIONS)


def test_the_datetime_is_exact_whatever_the_year(using: str, sessions: Any) -> None:
    for moment in (
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, 1000, tzinfo=UTC),
        datetime(9999, 12, 30, 23, 59, 59, 999000, tzinfo=UTC),
    ):
        sessions.update(created_at=moment)
        sessions.update(updated_at=F("created_at__datetime"))
        assert set(sessions.values_list("created_at__datetime", "updated_at")) == {(moment, moment)}


def test_a_stored_number_that_is_no_time_has_no_datetime(
    using: str, sessions: Any, overwrite: Callable[[str, int], None]
) -> None:
    overwrite("b", 2**62)
    assert sessions.filter(updated_at__datetime=None).get().id == "b"
    assert sessions.filter(updated_at__year=2026).count() == len(SESSIONS) - 1


@pytest.fixture
def overwrite(using: str) -> Callable[[str, int], None]:
    def changed(id: str, value: int) -> None:
        with transaction.get_connection(using).cursor() as cursor:
            cursor.execute("UPDATE sessions SET updated_at = %s WHERE id = %s", [value, id])

    return changed


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Chicago"])
def test_times_are_truncated_in_the_current_time_zone(using: str, sessions: Any, settings: Any, zone: str) -> None:
    settings.TIME_ZONE = zone
    days = sessions.annotate(day=TruncDay("updated_at__datetime")).values_list("id", "day")
    for id, day in days:
        local = (MOMENT + timedelta(milliseconds=SESSIONS[id])).astimezone(day.tzinfo)
        assert day == local.replace(hour=0, minute=0, second=0, microsecond=0)
    assert list(sessions.datetimes("updated_at__datetime", "day")) == sorted({day for _, day in days})
    assert list(sessions.dates("updated_at__datetime", "day")) == sorted({day.date() for _, day in days})


@pytest.mark.parametrize(
    "read",
    [
        lambda rows: rows.annotate(day=TruncDay("updated_at")),
        lambda rows: rows.annotate(day=TruncDate("updated_at")),
        lambda rows: rows.annotate(year=ExtractYear("updated_at")),
        lambda rows: rows.order_by(TruncDay("updated_at")),
        lambda rows: rows.dates("updated_at", "day"),
        lambda rows: rows.datetimes("updated_at", "day"),
    ],
)
def test_the_number_itself_is_not_truncated(using: str, sessions: Any, read: Any) -> None:
    """Django itself refuses it."""
    with pytest.raises((TypeError, ValueError), match=r"isn't a DateField|must be DateField|DateField"):
        list(read(sessions))


def test_the_number_itself_can_be_had(using: str, sessions: Any) -> None:
    number = sessions.annotate(number=Cast("created_at", models.BigIntegerField())).values_list("number", flat=True)[0]
    assert number == MOMENT.timestamp() * 1000


def test_the_index_serves_comparisons_with_expressions(using: str, sessions: Any) -> None:
    rows = sessions.filter(workspace_id="w", updated_at__gte=Now() - timedelta(days=1))
    with transaction.atomic(using=using):
        if using == "postgres":
            with transaction.get_connection(using).cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")
        plan = rows.explain()
    condition = r"updated_at>\?" if using == "default" else "Index Cond: .*updated_at >="
    assert "idx_sessions_workspace" in plan
    assert re.search(condition, plan), plan
