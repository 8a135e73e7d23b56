"""Sessions in figures, for a page of a list by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import IntegerField, Value

from obsku_checkpoint.models import Checkpoint, Message


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
