"""What the ORM, the admin and forms see of the columns."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from django.core import serializers
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import F, Max, Value
from django.db.models.functions import Now
from django.utils import timezone as django_timezone

from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.fields import now
from obsku_checkpoint.models import Checkpoint, Entity, Fact, Message, Session
from obsku_checkpoint.records import CorruptValue

BOTH = pytest.mark.parametrize("using", ["default", "postgres"], ids=["sqlite", "postgres"])
pytestmark = [pytest.mark.django_db(databases=["default", "postgres"]), BOTH]
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def session(using: str, **values: object) -> Session:
    defaults = {"id": "s", "directory": ".", "created_at": MOMENT, "updated_at": MOMENT}
    return Session.objects.using(using).create(**{**defaults, **values})


def test_timestamps_are_datetimes_and_compare_with_them(using: str) -> None:
    session(using)
    sessions = Session.objects.using(using)
    assert sessions.get().updated_at == MOMENT
    assert sessions.filter(updated_at__gte=django_timezone.now()).count() == 0
    assert sessions.filter(updated_at__lt=django_timezone.now()).count() == 1
    assert sessions.filter(created_at__range=(MOMENT, MOMENT)).count() == 1
    assert sessions.filter(updated_at=F("created_at")).count() == 1
    assert sessions.aggregate(newest=Max("updated_at")) == {"newest": MOMENT}


def test_timestamps_take_any_time_zone_and_drop_microseconds(using: str) -> None:
    session(using, created_at=(MOMENT + timedelta(microseconds=9)).astimezone(timezone(timedelta(hours=2))))
    assert Session.objects.using(using).get().created_at == MOMENT


def test_what_is_not_a_time_is_refused_with_the_fields_name(using: str) -> None:
    with pytest.raises(InvalidRecordError, match="created_at"):
        session(using, created_at=5)
    with pytest.raises(ValidationError, match="not a date and time in ISO 8601"):
        session(using, created_at="yesterday")


def test_naive_times_and_dates_are_of_the_default_time_zone_and_warned_of(using: str, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    for given in (datetime(2026, 1, 2), date(2026, 1, 2), "2026-01-02", "2026-01-02T00:00"):
        with pytest.warns(RuntimeWarning, match="created_at received a naive datetime"):
            one = session(using, created_at=given)
        assert Session.objects.using(using).get().created_at == datetime(2026, 1, 1, 23, tzinfo=UTC) == one.created_at
        with pytest.warns(RuntimeWarning, match="created_at received a naive datetime"):
            assert Session.objects.using(using).filter(created_at__lte=given).count() == 1
        one.delete()


def test_naive_times_are_local_ones_where_time_zones_are_off(using: str, settings: Any) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    morning = datetime(2026, 1, 2, 8, 30)
    one = session(using, created_at=morning, updated_at=django_timezone.now())
    sessions = Session.objects.using(using)
    assert one.created_at == sessions.get().created_at == datetime(2026, 1, 1, 23, 30, tzinfo=UTC)
    assert sessions.filter(created_at=morning, updated_at__gte=datetime.now() - timedelta(hours=1)).count() == 1
    assert sessions.filter(updated_at__gt=Now() - timedelta(hours=1), updated_at__lte=Now()).count() == 1
    assert sessions.filter(created_at__date=date(2026, 1, 2), created_at__hour=8).count() == 1
    assert sessions.values_list("created_at__datetime", flat=True)[0] == morning
    sessions.update(updated_at=F("created_at__datetime") + timedelta(days=1))
    assert sessions.get().updated_at == datetime(2026, 1, 2, 23, 30, tzinfo=UTC)
    sessions.update(updated_at=Value(morning))
    assert sessions.get().updated_at == one.created_at


def test_rows_are_made_without_times(using: str) -> None:
    before = now()
    one = Session.objects.using(using).create(directory="/x")
    Message.objects.using(using).create(session=one, role="user")
    assert before <= one.created_at <= one.updated_at <= now()
    assert one == Session.objects.using(using).get(created_at=one.created_at, updated_at=one.updated_at)


def test_an_instance_has_the_times_of_its_row(using: str) -> None:
    one = session(using, created_at=MOMENT + timedelta(microseconds=9))
    one.updated_at = MOMENT + timedelta(microseconds=9)
    one.save()
    (many,) = Session.objects.using(using).bulk_create(
        [Session(directory=".", created_at=MOMENT + timedelta(days=1.5))]
    )
    for made in (one, many):
        stored = Session.objects.using(using).get(pk=made.pk)
        assert (made.created_at, made.updated_at) == (stored.created_at, stored.updated_at)


def test_json_plus_columns_are_python_values(using: str) -> None:
    value = {"when": MOMENT, "seen": {1, 2}, "counts": {1: b"x"}}
    session(using, metadata=value)
    assert Session.objects.using(using).get().metadata == value
    assert Session.objects.using(using).values_list("metadata", flat=True)[0] == value
    assert Session.objects.using(using).filter(metadata__isnull=True).count() == 0


def test_a_value_that_cannot_be_written_is_a_validation_error(using: str) -> None:
    with pytest.raises(ValidationError, match="metadata"):
        Session(id="x", directory=".", created_at=MOMENT, updated_at=MOMENT, metadata={"a": object()}).full_clean()


@pytest.mark.parametrize("value", ["123", "{", "", [], {}, {"a": {1, 2}}, {1: b"x"}, 0, False])
def test_a_valid_value_stays_what_it_is(using: str, value: object) -> None:
    one = session(using, metadata=value)
    one.full_clean()
    one.save()
    assert (one.metadata, Session.objects.using(using).get().metadata) == (value, value)


def test_a_corrupt_column_is_shown_and_written_back_unchanged(using: str) -> None:
    session(using)
    with connections[using].cursor() as cursor:
        cursor.execute("UPDATE sessions SET metadata = %s, created_at = %s", ["{broken", 2**62])
    row = Session.objects.using(using).get()
    assert row.metadata == CorruptValue(text="{broken", reason=row.metadata.reason)
    assert row.created_at == CorruptValue(text=str(2**62), reason="not milliseconds of the years 1 to 9999")
    row.title = "changed"
    row.save()
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT title, metadata, created_at FROM sessions")
        assert cursor.fetchone() == ("changed", "{broken", 2**62)


def test_rows_travel_through_fixtures(using: str) -> None:
    session(using, metadata={"when": MOMENT, "n": [1]})
    text = serializers.serialize("json", Session.objects.using(using).all())
    Session.objects.using(using).all().delete()
    for item in serializers.deserialize("json", text, using=using):
        item.save(using=using)
    stored = Session.objects.using(using).get()
    assert (stored.metadata, stored.created_at) == ({"when": MOMENT, "n": [1]}, MOMENT)


def test_embeddings_are_lists_of_numbers_in_the_npm_packages_form(using: str) -> None:
    session(using)
    Fact.objects.using(using).create(id="f", content="c", created_at=MOMENT, embedding=[0.5, 1])
    assert Fact.objects.using(using).get().embedding == [0.5, 1]
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT embedding FROM facts")
        assert bytes(cursor.fetchone()[0]) == b"[0.5,1]"
        for bad in (b"\xff", b'{"a": 1}', b'["x"]'):
            cursor.execute("UPDATE facts SET embedding = %s", [bad])
            fact = Fact.objects.using(using).get()
            assert isinstance(fact.embedding, CorruptValue)
            fact.save()
    assert Fact.objects.using(using).get().source_session is None


def test_rows_with_embeddings_and_odd_times_travel_through_fixtures(using: str) -> None:
    one = session(using)
    Entity.objects.using(using).create(
        session=one, name="n", type="t", created_at=MOMENT, updated_at=MOMENT, embedding=[0.5, 1]
    )
    with connections[using].cursor() as cursor:
        cursor.execute("UPDATE entities SET updated_at = %s", [2**62])
    text = serializers.serialize("json", Entity.objects.using(using).all())
    assert str(2**62) in text
    Entity.objects.using(using).update(updated_at=MOMENT)
    text = serializers.serialize("json", Entity.objects.using(using).all())
    Entity.objects.using(using).all().delete()
    for item in serializers.deserialize("json", text, using=using):
        item.save(using=using)
    assert Entity.objects.using(using).get().embedding == [0.5, 1]


def test_a_row_made_without_an_id_gets_a_time_ordered_one(using: str) -> None:
    one = Session.objects.using(using).create(directory=".", created_at=MOMENT, updated_at=MOMENT)
    assert uuid.UUID(one.id).version == 7


def test_a_time_within_a_millisecond_is_after_it(using: str) -> None:
    session(using)
    within = MOMENT + timedelta(microseconds=900)
    sessions = Session.objects.using(using)
    assert sessions.filter(created_at__lt=within).count() == 1
    assert sessions.filter(created_at__gte=within).count() == 0
    assert sessions.filter(created_at__lte=within).count() == 1
    assert sessions.filter(created_at__gt=within).count() == 0


def test_rows_say_what_they_are_without_what_was_said(using: str) -> None:
    one = session(using, title="Scan")
    message = Message.objects.using(using).create(session=one, role="user", content="secret", created_at=MOMENT)
    checkpoint = Checkpoint(id="c", session=one, version=2, step=3, namespace="")
    assert str(one) == "Scan"
    assert str(Session(id="x")) == "x"
    assert str(message) == f"user message {message.pk}"
    assert str(checkpoint) == "main v2 (step 3)"
    assert str(Entity(type="host", name="a")) == "host a"
    assert str(Fact(id="f", content="secret")) == "Fact f"


def test_deleting_a_session_through_the_orm_deletes_what_belongs_to_it(using: str) -> None:
    one = session(using)
    Message.objects.using(using).create(session=one, role="user", created_at=MOMENT)
    one.delete()
    assert Message.objects.using(using).count() == 0
