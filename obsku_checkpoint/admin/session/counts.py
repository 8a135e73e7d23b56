"""Sessions in figures and in a line, for a page of a list by one statement each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import IntegerField, OuterRef, Subquery, Value
from django.db.models.functions import Left

from obsku_checkpoint.models import Checkpoint, Message, Session
from obsku_checkpoint.querysets import MessageQuerySet

#: characters of a message that are read
LINE = 200


@dataclass(slots=True)
class Figures:
    messages: int = 0
    checkpoints: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


def figures(database: str, session_ids: Sequence[str]) -> dict[str, Figures]:
    """Session id -> its figures."""
    found = {id: Figures() for id in session_ids}
    none = Value(-1, output_field=IntegerField())
    messages = Message.objects.using(database).figures(session_ids)
    checkpoints = Checkpoint.objects.using(database).counts(session_ids).annotate(_in=none, _out=none)
    for id, count, tokens_in, tokens_out in messages.union(checkpoints, all=True):
        if tokens_in < 0:
            found[id].checkpoints = count
        else:
            found[id].messages, found[id].tokens_in, found[id].tokens_out = count, tokens_in, tokens_out
    return found


def first_messages(database: str, session_ids: Sequence[str]) -> dict[str, str]:
    """Session id -> the beginning of what its first message says, of those that have one."""
    return _said(database, session_ids, Message.objects.oldest_first())


def last_messages(database: str, session_ids: Sequence[str]) -> dict[str, str]:
    """The same of its last one."""
    return _said(database, session_ids, Message.objects.newest_first())


def _said(database: str, session_ids: Sequence[str], ordered: MessageQuerySet) -> dict[str, str]:
    text = ordered.filter(session_id=OuterRef("pk")).values(_head=Left("content", LINE))[:1]
    rows = Session.objects.using(database).filter(pk__in=session_ids).annotate(_text=Subquery(text))
    return {id: text for id, text in rows.order_by().values_list("pk", "_text") if text}
