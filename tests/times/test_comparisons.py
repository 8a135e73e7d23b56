"""What the ORM does with the times in milliseconds: every lookup and every place, on both databases.

A place takes an expression into a query. One of a right type finds there what Python's comparison finds; one of another
type is refused, before SQLite can compare a number with a text.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import FieldError
from django.db import models, transaction
from django.db.models import Case, Count, Exists, ExpressionWrapper, F, OuterRef, Q, Value, When
from django.db.models.functions import (
    Greatest,
    Now,
)
from django.db.models.lookups import GreaterThan

from obsku_checkpoint.models import Session
from tests.times.expressions import BOTH, FAR, MOMENT, SESSIONS, WRONG, ids, microseconds

pytestmark = [pytest.mark.django_db(databases=["default", "postgres"]), BOTH]


Place = Callable[[Any, str, Any], set[str]]


def filtered(rows: Any, lookup: str, value: Any) -> set[str]:
    return ids(rows.filter(**{lookup: value}))


def excluded(rows: Any, lookup: str, value: Any) -> set[str]:
    return set(SESSIONS) - ids(rows.exclude(**{lookup: value}))


def alternative(rows: Any, lookup: str, value: Any) -> set[str]:
    return ids(rows.filter(Q(id="") | Q(**{lookup: value})))


def in_case(rows: Any, lookup: str, value: Any) -> set[str]:
    return ids(rows.annotate(met=Case(When(**{lookup: value}, then=1), default=0)).filter(met=1))


def as_annotation(rows: Any, lookup: str, value: Any) -> set[str]:
    return {id for id, met in rows.annotate(met=Q(**{lookup: value})).values_list("id", "met") if met}


def aggregated(rows: Any, lookup: str, value: Any) -> set[str]:
    counted = rows.values("id").annotate(met=Count("id", filter=Q(**{lookup: value})))
    return {row["id"] for row in counted if row["met"]}


def in_subquery(rows: Any, lookup: str, value: Any) -> set[str]:
    return ids(rows.filter(Exists(Session.objects.filter(id=OuterRef("id"), **{lookup: value}))))


def of_messages(rows: Any, lookup: str, value: Any) -> set[str]:
    for row in rows:
        row.messages.create(role="user")
    return set(
        rows.model.objects.using(rows.db)
        .filter(messages__session__in=rows.filter(**{lookup: value}))
        .values_list("id", flat=True)
    )


def updated(rows: Any, lookup: str, value: Any) -> set[str]:
    with transaction.atomic(using=rows.db):
        rows.filter(**{lookup: value}).update(title="met")
    return ids(rows.filter(title="met"))


def deleted(rows: Any, lookup: str, value: Any) -> set[str]:
    rows.filter(**{lookup: value}).delete()
    return set(SESSIONS) - ids(rows)


PLACES: list[Place] = [
    filtered, excluded, alternative, in_case, as_annotation, aggregated, in_subquery, of_messages, updated, deleted,
]  # fmt: skip
COMPARISONS = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "exact": operator.eq,
    "in": operator.eq,
    "range": operator.ge,
}


def right_side(name: str, value: Any) -> Any:
    return {"in": [value], "range": (value, FAR)}.get(name, value)


#: what a time may be compared with, for a time that is so many microseconds after ``created_at``
VALUES: dict[str, Callable[[int], Any]] = {
    "a datetime": lambda more: MOMENT + microseconds(more),
    "Value of a datetime": lambda more: Value(MOMENT + microseconds(more)),
    "the column as a datetime": lambda more: F("created_at__datetime") + microseconds(more),
    "a declared datetime": lambda more: ExpressionWrapper(
        F("created_at__datetime") + microseconds(more), output_field=models.DateTimeField()
    ),
    "the later of two": lambda more: Greatest(F("created_at__datetime"), Value(MOMENT)) + microseconds(more),
}


@pytest.mark.parametrize("lookup", COMPARISONS)
@pytest.mark.parametrize("value", VALUES)
def test_times_compare_as_in_python_to_the_microsecond(using: str, sessions: Any, value: str, lookup: str) -> None:
    for more in (-1400, -1000, -600, 0, 1, 400, 999, 1000, 1001, 86_400_000_000):
        # A time is stored in whole milliseconds, and so are those that it is to equal.
        other = MOMENT + (timedelta(milliseconds=more // 1000) if lookup in ("exact", "in") else microseconds(more))
        wanted = {
            id for id, later in SESSIONS.items() if COMPARISONS[lookup](MOMENT + timedelta(milliseconds=later), other)
        }
        assert filtered(sessions, f"updated_at__{lookup}", right_side(lookup, VALUES[value](more))) == wanted, more


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("lookup", COMPARISONS)
def test_expressions_compare_in_every_place(using: str, sessions: Any, place: Place, lookup: str) -> None:
    other = F("created_at__datetime") + microseconds(1000)
    wanted = {id for id, later in SESSIONS.items() if COMPARISONS[lookup](later, 1)}
    assert place(sessions, f"updated_at__{lookup}", right_side(lookup, other)) == wanted


@pytest.mark.parametrize("place", PLACES)
def test_the_database_s_own_time_compares_in_every_place(using: str, sessions: Any, place: Place) -> None:
    sessions.filter(id="e").update(updated_at=Now())
    month_ago = Now() - timedelta(days=30)
    assert place(sessions, "updated_at__gte", month_ago) == {"e"}


def test_the_usual_retention_statement_deletes_what_is_old(using: str, sessions: Any) -> None:
    sessions.filter(id__in=["a", "b"]).update(updated_at=Now())
    sessions.filter(updated_at__lt=Now() - timedelta(days=30)).delete()
    assert ids(sessions) == {"a", "b"}


def test_a_mixed_list_of_values_and_expressions_compares(using: str, sessions: Any) -> None:
    later = MOMENT + timedelta(milliseconds=1)
    assert filtered(sessions, "updated_at__in", [later, F("created_at"), Now()]) == {"b", "c"}
    assert filtered(sessions, "updated_at__range", (later, Now())) == {"c", "d", "e"}
    assert filtered(sessions, "updated_at__range", (F("created_at"), later)) == {"b", "c"}
    assert filtered(sessions, "updated_at__range", (MOMENT + microseconds(1), Now())) == {"c", "d", "e"}


def test_columns_of_the_same_kind_compare(using: str, sessions: Any) -> None:
    times = Session.objects.using(using).values("created_at")
    assert filtered(sessions, "updated_at__gt", F("created_at")) == {"c", "d", "e"}
    assert filtered(sessions, "updated_at", times[:1]) == {"b"}
    assert filtered(sessions, "updated_at__in", times) == {"b"}
    assert filtered(sessions, "updated_at__gt", Greatest("created_at", "created_at")) == {"c", "d", "e"}
    assert filtered(sessions, "updated_at__isnull", False) == set(SESSIONS)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("wrong", WRONG)
def test_expressions_of_another_type_are_refused_in_every_place(
    using: str, sessions: Any, place: Place, wrong: str
) -> None:
    for lookup in COMPARISONS:
        if wrong == "number" and lookup in ("in", "range"):
            continue  # beside expressions, a number is what a datetime has become
        with pytest.raises(FieldError), transaction.atomic(using=using):
            place(sessions, f"updated_at__{lookup}", right_side(lookup, WRONG[wrong]()))
    assert ids(sessions) == set(SESSIONS)


def test_a_refusal_says_what_to_compare_with(using: str, sessions: Any) -> None:
    with pytest.raises(FieldError, match=r"compare it with a datetime.*such as Now\(\).*F\('updated_at__datetime'\)"):
        sessions.filter(updated_at__lt=F("title")).exists()


@pytest.mark.parametrize("lookup", ["iexact", "contains", "startswith", "endswith", "regex", "iregex", "icontains"])
def test_lookups_for_text_are_refused(using: str, sessions: Any, lookup: str) -> None:
    with pytest.raises(FieldError, match="Unsupported lookup"):
        filtered(sessions, f"updated_at__{lookup}", "2026")


@pytest.mark.parametrize(
    "comparison",
    [
        lambda: Q(GreaterThan(F("updated_at"), Now())),
        lambda: Q(GreaterThan(Now(), F("updated_at"))),
        lambda: Q(now__gt=F("updated_at")),
        lambda: Q(now__range=(F("created_at"), F("updated_at"))),
        lambda: Q(now__in=[F("updated_at")]),
    ],
)
def test_another_expression_is_not_compared_with_the_number(using: str, sessions: Any, comparison: Any) -> None:
    with pytest.raises(FieldError, match="milliseconds"):
        ids(sessions.annotate(now=Now()).filter(comparison()))


@pytest.mark.parametrize("wrong", WRONG)
def test_expressions_of_another_type_are_not_read_either(using: str, sessions: Any, wrong: str) -> None:
    """Unless they have nothing to do with the columns."""
    harmless = {
        "text", "number", "date", "duration", "a text column", "a function of text", "difference", "cast to a date",
        "a date of the database", "a truncated time", "a truncated time, later",
    }  # fmt: skip
    annotated = sessions.annotate(value=WRONG[wrong]()).values_list("value", flat=True)
    if wrong in harmless:
        assert len(annotated) == len(SESSIONS)
        return
    with pytest.raises(FieldError):
        list(annotated)
    with pytest.raises(FieldError):
        sessions.aggregate(value=models.Max(WRONG[wrong]()))
