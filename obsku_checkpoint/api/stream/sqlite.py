"""What is new on SQLite: it has one writer at a time, so the rows of a table are numbered in the order of commits.

A place is the last message and the last checkpoint (its ``rowid``) that somebody has been given, of this session: a
number above all others may be given out again after a deletion, but not while a session has it.

Order: that of each table; between the two, by time, a message before a checkpoint of the same millisecond.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import orjson

from obsku_checkpoint.api.stream import feed
from obsku_checkpoint.api.stream.feed import BEGINNING, CHECKPOINT_COLUMNS, LIMIT, MESSAGE_COLUMNS, Changes, Event, Feed
from obsku_checkpoint.async_twins import Steps, method

TEXT = re.compile(r"([0-9]{1,18})-([0-9]{1,18})", re.ASCII)
MESSAGE, CHECKPOINT = 0, 1
SQL = f"""
WITH watched AS MATERIALIZED (
    SELECT value ->> 0 AS number, value ->> 1 AS session_id, value ->> 2 AS message, value ->> 3 AS checkpoint
    FROM json_each(%s)
), found AS (
    SELECT w.number, {MESSAGE} AS kind, m.id AS position,
        row_number() OVER (PARTITION BY w.number ORDER BY m.id) AS turn
    FROM watched w JOIN messages m ON m.session_id = w.session_id AND m.id > w.message
    UNION ALL
    SELECT w.number, {CHECKPOINT}, c.rowid, row_number() OVER (PARTITION BY w.number ORDER BY c.rowid)
    FROM watched w JOIN checkpoints c ON c.session_id = w.session_id AND c.rowid > w.checkpoint
)
SELECT w.number, s.id, s.workspace_id,
    CASE WHEN w.message IS NULL THEN (SELECT max(id) FROM messages WHERE session_id = w.session_id) END,
    CASE WHEN w.message IS NULL THEN (SELECT max(rowid) FROM checkpoints WHERE session_id = w.session_id) END,
    f.kind, f.position, coalesce(m.created_at, c.created_at),
    {feed.columns("m", MESSAGE_COLUMNS)}, {feed.columns("c", CHECKPOINT_COLUMNS)}
FROM watched w
LEFT JOIN sessions s ON s.id = w.session_id
LEFT JOIN found f ON f.number = w.number AND f.turn <= {LIMIT}
LEFT JOIN messages m ON f.kind = {MESSAGE} AND m.id = f.position
LEFT JOIN checkpoints c ON f.kind = {CHECKPOINT} AND c.rowid = f.position
ORDER BY w.number, f.kind, f.position
"""


@dataclass(frozen=True, slots=True)
class Place:
    message: int = 0
    checkpoint: int = 0

    def __str__(self) -> str:
        return f"{self.message}-{self.checkpoint}"


class SqliteFeed(Feed):
    def place(self, text: str) -> Place:
        if text == BEGINNING:
            return Place()
        match = TEXT.fullmatch(text)
        if not match:
            raise ValueError(text)
        return Place(int(match[1]), int(match[2]))

    @method
    def read(self, watched: Sequence[tuple[str, Place | None]]) -> Steps[list[Changes]]:
        questions = [
            [number, session_id, place and place.message, place and place.checkpoint]
            for number, (session_id, place) in enumerate(watched)
        ]
        rows = yield SQL, [orjson.dumps(questions).decode()]
        answers = [list(answer) for _, answer in groupby(rows, key=lambda row: row[0])]
        return [_found(place, answer) for (_, place), answer in zip(watched, answers, strict=True)]


def _found(place: Place | None, rows: Sequence[Sequence[Any]]) -> Changes:
    _, id, workspace_id, message, checkpoint = rows[0][:5]
    if place is None:
        return Changes(id is not None, workspace_id, [], Place(message or 0, checkpoint or 0))
    tables = [[row[5:] for row in rows if row[5] == kind] for kind in (MESSAGE, CHECKPOINT)]
    # What stands beyond the last row of a table that has more would come too early.
    ends = [table[-1] for table in tables if len(table) == LIMIT]
    events: list[Event] = []
    for row in heapq.merge(*tables, key=_moment):
        kind, position = row[:2]
        last = {"message": position} if kind == MESSAGE else {"checkpoint": position}
        place = Place(**{"message": place.message, "checkpoint": place.checkpoint, **last})
        events.append(Event(feed.record(kind == MESSAGE, row[3:]), place))
        if any(row is end for end in ends):
            break
    return Changes(id is not None, workspace_id, events, place)


def _moment(row: Sequence[Any]) -> tuple[int, int]:
    """SQLite takes text into columns of numbers; such a row does not wait."""
    kind, _, created_at = row[:3]
    return (created_at if isinstance(created_at, int) else 0, kind)
