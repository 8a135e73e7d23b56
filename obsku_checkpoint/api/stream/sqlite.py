"""What is new on SQLite: it has one writer at a time, so the rows of a table are numbered in the order of commits.

A cursor is the last message and the last checkpoint (its ``rowid``) that somebody has been given, of this session: a
number above all others may be given out again after a deletion, but not while a session has it.

Order: that of each table; between the two, by the latest time that each has reached, a message before a checkpoint of
the same millisecond. (SQLite takes text into columns of numbers; such a row does not wait.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import orjson

from obsku_checkpoint.api.row_budget import octets_of
from obsku_checkpoint.api.stream import feed
from obsku_checkpoint.api.stream.feed import (
    BATCH_BYTES,
    BEGINNING,
    CHECKPOINT_COLUMNS,
    LIMIT,
    MESSAGE_COLUMNS,
    Changes,
    Event,
    Feed,
)
from obsku_checkpoint.async_twins import Steps, method
from obsku_checkpoint.models import Checkpoint, Message

TEXT = re.compile(r"([0-9]{1,18})-([0-9]{1,18})", re.ASCII)
MESSAGE, CHECKPOINT = 0, 1
SQL = f"""
WITH watched AS MATERIALIZED (
    SELECT value ->> 0 AS number, value ->> 1 AS session_id, value ->> 2 AS message, value ->> 3 AS checkpoint
    FROM json_each(%s)
), found AS MATERIALIZED (
    SELECT w.number, {MESSAGE} AS kind, m.id AS position,
        row_number() OVER (PARTITION BY w.number ORDER BY m.id) AS turn
    FROM watched w JOIN messages m ON m.session_id = w.session_id AND m.id > w.message
    UNION ALL
    SELECT w.number, {CHECKPOINT}, c.rowid, row_number() OVER (PARTITION BY w.number ORDER BY c.rowid)
    FROM watched w JOIN checkpoints c ON c.session_id = w.session_id AND c.rowid > w.checkpoint
), sized AS (
    SELECT f.number, f.kind, f.position, m.created_at, {octets_of(Message, "sqlite", "m")} AS octets
    FROM found f JOIN messages m ON m.id = f.position WHERE f.kind = {MESSAGE} AND f.turn <= {LIMIT}
    UNION ALL
    SELECT f.number, f.kind, f.position, c.created_at, {octets_of(Checkpoint, "sqlite", "c")}
    FROM found f JOIN checkpoints c ON c.rowid = f.position WHERE f.kind = {CHECKPOINT} AND f.turn <= {LIMIT}
), timed AS (
    SELECT *, max(CASE WHEN typeof(created_at) = 'integer' THEN created_at ELSE 0 END)
        OVER (PARTITION BY number, kind ORDER BY position ROWS UNBOUNDED PRECEDING) AS reached
    FROM sized
), fresh AS (
    SELECT *, row_number() OVER (PARTITION BY number ORDER BY reached, kind, position) AS turn FROM timed
), batch AS (
    SELECT *, sum(octets) OVER (ORDER BY turn, number ROWS UNBOUNDED PRECEDING) AS total
    FROM fresh WHERE turn <= {LIMIT}
)
SELECT w.number, s.id, s.workspace_id,
    CASE WHEN w.message IS NULL THEN (SELECT max(id) FROM messages WHERE session_id = w.session_id) END,
    CASE WHEN w.message IS NULL THEN (SELECT max(rowid) FROM checkpoints WHERE session_id = w.session_id) END,
    (SELECT count(*) FROM found WHERE found.number = w.number), f.kind, f.position,
    {feed.columns("m", MESSAGE_COLUMNS)}, {feed.columns("c", CHECKPOINT_COLUMNS)}
FROM watched w
LEFT JOIN sessions s ON s.id = w.session_id
LEFT JOIN batch f ON f.number = w.number AND (f.total <= {BATCH_BYTES} OR f.total = f.octets)
LEFT JOIN messages m ON f.kind = {MESSAGE} AND m.id = f.position
LEFT JOIN checkpoints c ON f.kind = {CHECKPOINT} AND c.rowid = f.position
ORDER BY w.number, f.turn
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    message: int = 0
    checkpoint: int = 0

    def __str__(self) -> str:
        return f"{self.message}-{self.checkpoint}"


class SqliteFeed(Feed):
    def cursor(self, text: str) -> Cursor:
        if text == BEGINNING:
            return Cursor()
        match = TEXT.fullmatch(text)
        if not match:
            raise ValueError(text)
        return Cursor(int(match[1]), int(match[2]))

    @method
    def read(self, watched: Sequence[tuple[str, Cursor | None]]) -> Steps[list[Changes]]:
        questions = [
            [number, session_id, cursor and cursor.message, cursor and cursor.checkpoint]
            for number, (session_id, cursor) in enumerate(watched)
        ]
        rows = yield SQL, [orjson.dumps(questions).decode()]
        answers = [list(answer) for _, answer in groupby(rows, key=lambda row: row[0])]
        return [_found(cursor, answer) for (_, cursor), answer in zip(watched, answers, strict=True)]


def _found(cursor: Cursor | None, rows: Sequence[Sequence[Any]]) -> Changes:
    _, id, workspace_id, message, checkpoint, fresh = rows[0][:6]
    if cursor is None:
        return Changes(id is not None, workspace_id, [], Cursor(message or 0, checkpoint or 0))
    events: list[Event] = []
    for kind, position, *row in (row[6:] for row in rows if row[6] is not None):
        cursor = replace(cursor, **{"message" if kind == MESSAGE else "checkpoint": position})
        events.append(Event(feed.record(kind == MESSAGE, row), cursor))
    return Changes(id is not None, workspace_id, events, cursor, more=len(events) < fresh)
