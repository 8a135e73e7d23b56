"""The state of a thread is copied into another session."""

from __future__ import annotations

import json
from collections.abc import Collection

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.contrib.langgraph import pruning
from obsku_checkpoint.contrib.langgraph.pruning import Key
from obsku_checkpoint.contrib.langgraph.sql import Sql
from obsku_checkpoint.contrib.langgraph.sql_clearing import (
    COPY_BLOBS,
    COPY_ITEMS,
    COPY_MESSAGES,
    COPY_RECORDS,
    COPY_SESSION,
    COPY_STATES,
    COPY_TRANSCRIBED,
    COPY_WRITES,
    ENTRIES,
    HAS_STATES,
)
from obsku_checkpoint.errors import IdConflictError
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.store import session_clock
from obsku_checkpoint.store.calls import Write

#: before the title, or the id, of the session that is copied
PREFIX = "Copy of "


def copied(sql: Sql, source: str, target: str) -> Steps[None]:
    """The whole thread: its session, its transcript, and its state."""
    places = {"source": source, "target": target}
    made = yield Write(COPY_SESSION, {**places, "prefix": PREFIX, **session_clock.now()})
    if not made and (yield HAS_STATES, places):
        raise IdConflictError("Session", target)
    if made:
        yield Write(COPY_MESSAGES, places)
    entries = [pruning.entry(row) for row in (yield ENTRIES, {"session_id": source})]
    records = [(one.record_id, new_id()) for one in entries if one.record_id is not None]
    yield Write(sql.said(COPY_RECORDS), {**places, "records": json.dumps(records)})
    yield from copied_state(sql, source, target, [one.key for one in entries], records)


def copied_state(
    sql: Sql,
    source: str,
    target: str,
    keys: Collection[Key],
    records: Collection[tuple[str, str]],
    points: Collection[Key] = (),
) -> Steps[None]:
    """These checkpoints, with what they consist of, in a session whose messages are copies of the source's first.

    ``records`` are ids of records and of their copies. What tasks of ``points`` wrote stays behind, but for what they
    ask.
    """
    parameters = {
        "source": source,
        "target": target,
        "keys": json.dumps([*keys]),
        "records": json.dumps([*records]),
        "points": json.dumps([*points]),
    }
    for statement in (COPY_TRANSCRIBED, COPY_STATES, COPY_BLOBS, COPY_ITEMS, COPY_WRITES):
        yield Write(sql.said(statement), parameters)
