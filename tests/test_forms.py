"""Forms of the models: what they show is what they give back."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connections
from django.forms import modelform_factory
from django.test import RequestFactory
from django.utils import timezone

from obsku_checkpoint import codec
from obsku_checkpoint.models import Checkpoint, Entity, Message, Session
from obsku_checkpoint.records import CorruptValue

BOTH = pytest.mark.parametrize("using", ["default", "postgres"], ids=["sqlite", "postgres"])
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

VALUES: dict[str, Any] = {
    "text of a number": "123",
    "text of an object": '{"a": 1}',
    "text with spaces": "  a \r\n b  ",
    "empty text": "",
    "empty list": [],
    "empty object": {},
    "zero": 0,
    "false": False,
    "float": 1e300,
    "not a number": float("inf"),
    "big integer": 2**80,
    "objects": {"a": [1, {"b": None}], "": "ä\u2028<b>"},
    "keys in order": {"b": 1, "a": 2},
    "date": MOMENT,
    "set": {1, "a", MOMENT},
    "bytes": b"\x00\xff",
    "map": {1: "x", (2, 3): {"y"}},
    "key __type": {"__type": "Date"},
    "decimal": [Decimal("1.10"), UUID(int=1)],
    "lone surrogate": "\ud800",
    "NUL": "a\x00b",
    "long text": "x" * 10_000,
}


def as_sent(form: Any) -> dict[str, str]:
    """What a browser sends of the form as it is rendered."""
    page, sent = str(form), {}
    page.encode()
    for name, text in re.findall(r'<textarea name="([^"]*)"[^>]*>(.*?)</textarea>', page, flags=re.DOTALL):
        # The first line break is dropped, and all are sent as CRLF.
        sent[name] = re.sub(r"\r?\n", "\r\n", html.unescape(text).removeprefix("\r\n").removeprefix("\n"))
    for tag in re.findall(r"<input [^>]*>", page):
        attributes = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
        sent[attributes["name"]] = html.unescape(attributes.get("value", ""))
    for name, options in re.findall(r'<select name="([^"]*)"[^>]*>(.*?)</select>', page, flags=re.DOTALL):
        sent[name] = re.findall(r'<option value="([^"]*)" selected>', options)[0]
    return sent


MessageForm = modelform_factory(Message, fields=["role", "content", "tool_calls", "created_at"])


@pytest.fixture
def message(db: None) -> Message:
    session = Session.objects.create(directory=".")
    return Message.objects.create(session=session, role="user", content="c", created_at=MOMENT)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_form_that_nobody_changed_changes_nothing(message: Message, value: Any) -> None:
    message.tool_calls = value
    message.save()
    stored = Message.objects.get()
    form = MessageForm(as_sent(MessageForm(instance=stored)), instance=stored)
    assert form.is_valid(), form.errors
    assert form.changed_data == []
    form.save()
    again = Message.objects.get()
    assert codec.dumps(again.tool_calls) == codec.dumps(value)
    assert again.created_at == MOMENT


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_the_shown_text_is_read_as_the_value(message: Message, value: Any) -> None:
    """In a form of another row, where there is nothing to leave as it is."""
    message.tool_calls = value
    form = MessageForm(as_sent(MessageForm(instance=message)), instance=Message(session=message.session))
    assert form.is_valid(), form.errors
    form.save()
    assert codec.dumps(Message.objects.latest("id").tool_calls) == codec.dumps(value)


def test_a_changed_text_is_read_as_json_plus(message: Message) -> None:
    text = '{"when": {"__type": "Date", "value": "2026-01-02T03:04:05.678Z"}, "seen": {"__type": "Set", "value": [1]}}'
    form = MessageForm({**as_sent(MessageForm(instance=message)), "tool_calls": text}, instance=message)
    assert form.changed_data == ["tool_calls"]
    form.save()
    assert Message.objects.get().tool_calls == {"when": MOMENT, "seen": {1}}
    form = MessageForm({**as_sent(MessageForm(instance=message)), "tool_calls": " "}, instance=message)
    form.save()
    assert Message.objects.get().tool_calls is None


def test_a_space_within_a_text_is_a_change(message: Message) -> None:
    message.tool_calls = {"a": "bc"}
    sent = {**as_sent(MessageForm(instance=message)), "tool_calls": '{"a": "b c"}'}
    MessageForm(sent, instance=message).save()
    assert Message.objects.get().tool_calls == {"a": "b c"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "$: not JSON"),
        ('{"a": [1, {"__type": "Date", "value": "soon"}]}', "$.a[1]"),
        ("nothing", "$: not JSON"),
    ],
)
def test_an_error_names_the_path_and_the_form_shows_what_was_written(message: Message, text: str, said: str) -> None:
    form = MessageForm({**as_sent(MessageForm(instance=message)), "tool_calls": text}, instance=message)
    assert said in form.errors["tool_calls"][0]
    assert html.escape(text, quote=True).replace("&#x27;", "&#x27;") in str(form["tool_calls"])


@pytest.mark.django_db(databases=["default", "postgres"])
@BOTH
def test_what_cannot_be_decoded_is_shown_and_may_stay(using: str) -> None:
    session = Session.objects.using(using).create(directory=".")
    Message.objects.using(using).create(session=session, role="user", content="c")
    with connections[using].cursor() as cursor:
        cursor.execute("UPDATE messages SET tool_calls = %s, created_at = %s", ['{"a"\n:', 2**62])
    stored = Message.objects.using(using).get()
    sent = as_sent(MessageForm(instance=stored))
    assert (sent["tool_calls"], sent["created_at"]) == ('{"a"\r\n:', str(2**62))
    form = MessageForm({**sent, "content": "changed"}, instance=stored)
    assert form.is_valid(), form.errors
    form.save()
    again = Message.objects.using(using).get()
    assert again.content == "changed"
    assert isinstance(again.tool_calls, CorruptValue)
    assert again.tool_calls.text == '{"a"\n:'
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT created_at FROM messages")
        assert cursor.fetchone() == (2**62,)


def test_a_required_column_takes_an_empty_object_but_not_nothing(message: Message) -> None:
    form_class = modelform_factory(Checkpoint, fields=["node_results"])
    checkpoint = Checkpoint(session=message.session, step=1, source="loop", node_results={"a": {}})
    assert form_class({"node_results": "{}"}, instance=checkpoint).is_valid()
    assert checkpoint.node_results == {}
    assert not form_class({"node_results": ""}, instance=checkpoint).is_valid()


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_times_are_shown_and_read_in_the_current_zone_to_the_millisecond(message: Message, zone: str) -> None:
    with timezone.override(zone):
        sent = as_sent(MessageForm(instance=message))
        local = MOMENT.astimezone(ZoneInfo(zone))
        assert sent["created_at"] == f"{local:%Y-%m-%dT%H:%M:%S}.678"
        assert 'type="datetime-local"' in str(MessageForm()["created_at"])
        form = MessageForm({**sent, "created_at": "2026-06-07T08:09:10.123"}, instance=message)
        form.save()
        assert Message.objects.get().created_at == datetime(2026, 6, 7, 8, 9, 10, 123000, tzinfo=ZoneInfo(zone))


def test_a_browser_may_leave_out_seconds_that_are_zero(message: Message) -> None:
    message.created_at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    with timezone.override("UTC"):
        sent = {**as_sent(MessageForm(instance=message)), "created_at": "2026-01-02T03:04"}
        assert MessageForm(sent, instance=message).changed_data == []


def test_the_hour_that_is_there_twice_stays_the_one_it_was(message: Message) -> None:
    with timezone.override("Europe/Berlin"):
        for hour in (0, 1):
            message.created_at = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
            form = MessageForm(as_sent(MessageForm(instance=message)), instance=message)
            assert form.is_valid(), form.errors
            form.save()
            assert Message.objects.get().created_at == datetime(2026, 10, 25, hour, 30, tzinfo=UTC)


def test_times_are_local_ones_where_time_zones_are_off(message: Message, settings: Any) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    sent = as_sent(MessageForm(instance=message))
    assert sent["created_at"] == "2026-01-02T12:04:05.678"
    MessageForm({**sent, "created_at": "2026-01-02T12:04:05.679"}, instance=message).save()
    assert Message.objects.get().created_at == MOMENT.replace(microsecond=679000)


def test_a_new_row_may_be_given_the_time_that_the_form_offers(message: Message) -> None:
    form_class = modelform_factory(Session, fields=["directory", "created_at", "updated_at"])
    form = form_class({**as_sent(form_class()), "directory": "/x"})
    assert form.is_valid(), form.errors
    assert form.save().created_at.date() in (date.today(), datetime.now(UTC).date())


@pytest.mark.parametrize("model", [Session, Message, Checkpoint, Entity])
def test_a_plain_model_admin_round_trips_every_column(message: Message, model: type[Any]) -> None:
    values: dict[str, Any] = {
        "metadata": "123",
        "tool_calls": [{"a": {1}}],
        "node_results": {"n": {"status": "completed"}},
    }
    values |= {"attributes": {1: "x"}, "step": 1, "source": "loop", "name": "n", "type": "t", "role": "user"}
    names = {field.name for field in model._meta.concrete_fields}
    row = model(**{name: value for name, value in values.items() if name in names})
    if "session" in names:
        row.session = message.session
    else:
        row.directory = "."
    row.created_at = MOMENT
    row.save()
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True, is_staff=True)
    form_class = admin.ModelAdmin(model, admin.AdminSite()).get_form(request, row, change=True)
    stored = model.objects.get(pk=row.pk)
    form = form_class(as_sent(form_class(instance=stored)), instance=stored)
    assert form.is_valid(), form.errors
    assert form.changed_data == []
    form.save()
    again = model.objects.get(pk=row.pk)
    assert {name: getattr(again, name) for name in names} == {name: getattr(stored, name) for name in names}
    assert again.created_at == MOMENT
