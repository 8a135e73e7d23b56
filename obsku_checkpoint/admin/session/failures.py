"""Sessions that may have failed, the last active first: found within bounds of sessions and of bytes.

No column says that a node has failed, only the stored results do, and to search all of them the database would read
every byte of every run. So one page looks at the newest checkpoints of so many sessions, and says how far it came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import TextField, Value
from django.db.models.functions import Cast, Replace

from obsku_checkpoint.admin.large_columns import BytesIn
from obsku_checkpoint.maintenance.standing import LARGE
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.records import CorruptValue
from obsku_checkpoint.run_state import A_FAILURE, NOT_A_FAILURE
from obsku_checkpoint.store.ends import ends

#: sessions, and bytes of their results, that are looked at for a page; sessions that are looked at together
SESSIONS, BYTES, STEP = 10_000, 200_000_000, 1000
#: SQLite takes no more values in a statement
_IDS = 20_000

#: where in the list a session stands, and so many sessions below it (None: the first ones)
Place = tuple[datetime, str]
Below = Callable[[Place | None, int], list[Any]]


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found."""

    #: those that may have failed, in the list's order
    sessions: list[Any]
    looked_at: int
    #: the last one that was looked at; None where no session is below it
    last: Any


def may_have_failed(database: str, below: Below, place: Place | None, count: int) -> Looked:
    """The first ``count`` below ``place``, or fewer where the bounds are reached.

    Both writers' JSON has no spaces. An output that holds the same words counts too.
    """
    found: list[Any] = []
    looked_at, left = 0, BYTES
    last = None
    while len(found) < count and looked_at < SESSIONS and left > 0:
        sessions = below(place, STEP + 1)
        step = sessions[:STEP]
        failed, read = _with_failures(database, [session.pk for session in step])
        found += [session for session in step if session.pk in failed]
        looked_at, left = looked_at + len(step), left - read
        last = step[-1] if len(sessions) > STEP else None
        if last is None or isinstance(last.updated_at, CorruptValue):
            break
        place = (last.updated_at, last.pk)
    return Looked(found[:count], looked_at, last)


def _with_failures(database: str, session_ids: Sequence[str]) -> tuple[set[str], int]:
    """Those of the sessions, and how many bytes were searched. One whose results are `LARGE` may have failed."""
    session_of = {end.id: end.session_id for end in ends(database, session_ids) if end.is_newest}
    failed, read = set[str](), 0
    ids = list(session_of)
    for start in range(0, len(ids), _IDS):
        own = Checkpoint.objects.using(database).filter(pk__in=ids[start : start + _IDS])
        sizes = dict(own.values_list("pk", BytesIn("node_results")))
        failed |= {session_of[id] for id, size in sizes.items() if size > LARGE}
        small = [id for id, size in sizes.items() if size <= LARGE]
        read += sum(sizes[id] for id in small)
        text = Replace(Cast("node_results", TextField()), Value(NOT_A_FAILURE, TextField()), Value("", TextField()))
        holding = own.filter(pk__in=small).annotate(_text=text).filter(_text__contains=A_FAILURE)
        failed |= {session_of[id] for id in holding.values_list("pk", flat=True)}
    return failed, read
