"""Sessions as JSON lines, streamed: a session, then its messages and checkpoints, one object a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from django.db.models import TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.fields import JsonPlusField, MillisecondsField, to_milliseconds
from obsku_checkpoint.models import Checkpoint, Message, Session
from obsku_checkpoint.records import CorruptValue

ROWS = 500


class Export(Page):
    name = "export"

    def respond(self, request: HttpRequest, subject: Session) -> HttpResponseBase:
        return export(self.database, [subject.pk])


def export(database: str, session_ids: Iterable[str]) -> StreamingHttpResponse:
    """A download. JSON columns stand in it as they are stored; one that is not JSON stands as text."""
    response = StreamingHttpResponse(lines(database, session_ids), content_type="application/jsonl")
    response["Content-Disposition"] = 'attachment; filename="sessions.jsonl"'
    return response


def lines(database: str, session_ids: Iterable[str]) -> Iterator[bytes]:
    for id in session_ids:
        yield from _lines("session", Session.objects.using(database).filter(pk=id))
        yield from _lines("message", Message.objects.using(database).in_session(id).oldest_first())
        yield from _lines("checkpoint", Checkpoint.objects.using(database).in_session(id).newest_first().reverse())


def _lines(kind: str, rows: Any) -> Iterator[bytes]:
    fields = rows.model._meta.concrete_fields
    json = {field.attname for field in fields if isinstance(field, JsonPlusField)}
    times = {field.attname for field in fields if isinstance(field, MillisecondsField)}
    names = [field.attname for field in fields]
    texts = {f"_{name}": Cast(name, TextField()) for name in json}
    wanted = [f"_{name}" if name in json else name for name in names]
    for values in rows.annotate(**texts).values_list(*wanted).iterator(ROWS):
        line: dict[str, Any] = {"type": kind}
        for name, value in zip(names, values, strict=True):
            line[name] = _json(value) if name in json else _moment(value) if name in times else value
        yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _json(text: str | None) -> Any:
    """The stored text as it is, where it is JSON."""
    if text is None:
        return None
    try:
        orjson.loads(text)
    except ValueError:
        return text
    return orjson.Fragment(text)


def _moment(value: Any) -> Any:
    return value.text if isinstance(value, CorruptValue) else to_milliseconds(value, "created_at")
