"""What the ORM, the admin and forms see of the columns."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.core import serializers
from django.core.exceptions import FieldError, ValidationError
from django.db import connections
from django.db.models import F, Max
from django.utils import timezone as django_timezone

from obsku_checkpoint.errors import InvalidRecordError
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


def test_naive_timestamps_are_refused_with_the_fields_name(using: str) -> None:
    with pytest.raises(InvalidRecordError, match="created_at"):
        session(using, created_at=datetime(2026, 1, 1))


def test_parts_of_timestamps_are_refused_since_the_database_sees_a_number(using: str) -> None:
    with pytest.raises(FieldError):
        Session.objects.using(using).filter(created_at__year=2026).exists()


def test_json_plus_columns_are_python_values(using: str) -> None:
    value = {"when": MOMENT, "seen": {1, 2}, "counts": {1: b"x"}}
    session(using, metadata=value)
    assert Session.objects.using(using).get().metadata == value
    assert Session.objects.using(using).values_list("metadata", flat=True)[0] == value
    assert Session.objects.using(using).filter(metadata__isnull=True).count() == 0


def test_a_value_that_cannot_be_written_is_a_validation_error(using: str) -> None:
    with pytest.raises(ValidationError, match="metadata"):
        Session(id="x", directory=".", created_at=MOMENT, updated_at=MOMENT, metadata={"a": object()}).full_clean()
    with pytest.raises(ValidationError, match="metadata"):
        Session(id="x", directory=".", created_at=MOMENT, updated_at=MOMENT, metadata="{").full_clean()


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
