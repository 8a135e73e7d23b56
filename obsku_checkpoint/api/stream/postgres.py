"""What is new on PostgreSQL: which transactions' rows somebody has been given.

All rows of one transaction become visible at once, and each has its number (``xmin``). A cursor is a *horizon*, such
that all rows of lower numbers have been given (``pg_snapshot_xmin``: none of those transactions is still open), and,
for numbers from there on, how many rows of each have been given. So a row is given as soon as it is committed, and a
transaction that stays open for an hour, ours or somebody else's, holds nothing up and loses nothing: its rows are not
among those given. Whole snapshots would say less: they do not know the numbers of savepoints, which are rows' numbers,
too; but a savepoint's number is above its transaction's, so the horizon holds for both.

Order: by transaction; within one, by time, a message before a checkpoint of the same millisecond.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import orjson

from obsku_checkpoint.api.row_budget import octets_of
from obsku_checkpoint.api.stream import feed
from obsku_checkpoint.api.stream.feed import (
    BATCH_BYTES,
    CHECKPOINT_COLUMNS,
    LIMIT,
    MESSAGE_COLUMNS,
    Changes,
    Event,
    Feed,
)
from obsku_checkpoint.async_twins import Steps, method
from obsku_checkpoint.errors import StoreUnavailableError
from obsku_checkpoint.models import Checkpoint, Message

#: numbers above the horizon that a cursor holds at most, so that its text fits into a header. With more of them (one
#: transaction is open while a session gets that many) the next rows wait for the horizon, and so do new listeners.
GIVEN = 400
#: seconds after which the transaction of a message's id has surely got its own number
SETTLED = 5.0
TEXT = re.compile(r"[0-9]{1,18}(?:\.[0-9a-z]{1,11}(?:\*[0-9]{1,9})?)*", re.ASCII)
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

# A row's number has 32 bits; that of the next transaction tells the rest. The lateral joins make sure
# that indexes are used, whatever the planner thinks of the number of sessions; sorts hold keys only, and those at the
# end fetch what is to be given.
SQL = f"""
WITH now AS MATERIALIZED (
    SELECT pg_snapshot_xmin(taken)::text::bigint AS oldest, pg_snapshot_xmax(taken)::text::bigint AS next,
        (SELECT max(id) FROM messages) AS top,
        CASE WHEN pg_is_in_recovery()
            THEN coalesce(extract(epoch FROM pg_last_xact_replay_timestamp()), 0)::float8 END AS replayed
    FROM pg_current_snapshot() AS taken
), watched AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%s::jsonb) AS w (number int, session_id text, horizon bigint, given jsonb)
), found AS (
    SELECT w.number, w.given, w.horizon, r.*
    FROM watched w CROSS JOIN now CROSS JOIN LATERAL (
        SELECT now.next - ((now.next - xmin::text::bigint) & 4294967295) AS transaction,
            0 AS kind, created_at, id AS position, '' AS id, {octets_of(Message, "postgresql", "messages")} AS octets
        FROM messages WHERE session_id = w.session_id AND id > %s
        UNION ALL
        SELECT now.next - ((now.next - xmin::text::bigint) & 4294967295), 1, created_at, version, id,
            {octets_of(Checkpoint, "postgresql", "checkpoints")}
        FROM checkpoints WHERE session_id = w.session_id
        OFFSET 0
    ) r
    WHERE r.transaction >= coalesce(w.horizon, now.oldest)
), counted AS (
    SELECT *, row_number() OVER (PARTITION BY number, transaction ORDER BY created_at, kind, position, id COLLATE "C")
        AS count, count(*) OVER (PARTITION BY number, transaction) AS size
    FROM found
), fresh AS (
    SELECT *, row_number() OVER (PARTITION BY number ORDER BY transaction, count) AS turn
    FROM counted
    WHERE count > coalesce((given ->> transaction::text)::int, 0)
), batch AS (
    SELECT *, sum(CASE WHEN horizon IS NULL THEN 0 ELSE octets END)
        OVER (ORDER BY turn, number ROWS UNBOUNDED PRECEDING) AS total
    FROM fresh
    WHERE turn <= {LIMIT} OR horizon IS NULL
)
SELECT now.oldest, now.next, now.top, now.replayed, s.there, s.workspace_id,
    (SELECT count(*) FROM fresh WHERE fresh.number = w.number), f.transaction, f.count, f.size, f.kind,
    {feed.columns("m", MESSAGE_COLUMNS)}, {feed.columns("c", CHECKPOINT_COLUMNS)}, w.number
FROM watched w CROSS JOIN now
LEFT JOIN LATERAL (SELECT true AS there, workspace_id FROM sessions WHERE id = w.session_id LIMIT 1) s ON true
LEFT JOIN batch f ON f.number = w.number AND (f.total <= {BATCH_BYTES} OR f.total = f.octets OR f.horizon IS NULL)
LEFT JOIN LATERAL (
    SELECT * FROM messages WHERE f.kind = 0 AND f.horizon IS NOT NULL AND id = f.position LIMIT 1
) m ON true
LEFT JOIN LATERAL (
    SELECT * FROM checkpoints WHERE f.kind = 1 AND f.horizon IS NOT NULL AND id = f.id LIMIT 1
) c ON true
ORDER BY w.number, f.turn
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    #: all rows of lower transactions have been given
    horizon: int
    #: (transaction, rows given), ascending
    given: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        text, last = [str(self.horizon)], self.horizon
        for number, count in self.given:
            text.append(_base36(number - last) + (f"*{count}" if count > 1 else ""))
            last = number
        return ".".join(text)


class PostgresFeed(Feed):
    def __init__(self, using: str) -> None:
        super().__init__(using)
        # (transaction, message id): all messages up to this id are of lower transactions, of all sessions
        self._settled = (0, 0)
        self._settling: tuple[int, int] | None = None
        self._seen: tuple[float, int] | None = None
        self._on_replica = False

    def cursor(self, text: str) -> Cursor:
        if not TEXT.fullmatch(text):
            raise ValueError(text)
        horizon, *rest = text.split(".")
        if len(rest) > GIVEN:
            raise ValueError("a cursor of so many transactions was never given")
        if int(horizon) > self._next_transaction():
            raise ValueError("a cursor of another server, which this database was restored from")
        given, last = [], int(horizon)
        for part in rest:
            number, _, count = part.partition("*")
            last += int(number, 36)
            given.append((last, int(count or 1)))
        return Cursor(int(horizon), tuple(given))

    @method
    def _next_transaction(self) -> Steps[int]:
        ((number,),) = yield "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint", []
        return number  # type: ignore[no-any-return]  # bigint

    @method
    def read(self, watched: Sequence[tuple[str, Cursor | None]]) -> Steps[list[Changes]]:
        questions = [
            {
                "number": number,
                "session_id": session_id,
                "horizon": cursor and cursor.horizon,
                "given": {str(transaction): count for transaction, count in cursor.given} if cursor else {},
            }
            for number, (session_id, cursor) in enumerate(watched)
        ]
        rows = yield SQL, [orjson.dumps(questions).decode(), self._floor(watched)]
        oldest, next_, top, replayed = rows[0][:4]
        self._settle(oldest, next_, top or 0, replayed)
        answers = [list(answer) for _, answer in groupby(rows, key=lambda row: row[-1])]
        return [_found(cursor, answer, oldest) for (_, cursor), answer in zip(watched, answers, strict=True)]

    # -- messages that need no look

    def _floor(self, watched: Sequence[tuple[str, Cursor | None]]) -> int:
        """A message id above which all messages are that anybody asks for: it lets the primary key find them."""
        transaction, id = self._settled
        return id if all(cursor and cursor.horizon >= transaction for _, cursor in watched) else 0

    def _settle(self, oldest: int, next_: int, top: int, replayed: float | None) -> None:
        """Ids are given out ascending, and the transaction that took one soon has its number.

        So all ids up to the newest one that was seen a while ago are of transactions below ``next_``, and once
        ``oldest`` has reached it, none of these transactions is open any more. On a replica a while is what it has
        ``replayed``: the seconds of the newest commit. It may stand still, or do many hours in one.
        """
        if self._settling and oldest >= self._settling[0]:
            self._settled, self._settling = self._settling, None
        moment, on_replica = (time.monotonic(), False) if replayed is None else (replayed, True)
        if self._seen is None:
            self._seen, self._on_replica = (moment, top), on_replica
        elif top < self._seen[1] or on_replica is not self._on_replica:
            # Ids begin anew, another thread has looked meanwhile, or the replica was promoted: nothing can be said.
            self._settled, self._settling, self._seen = (0, 0), None, None
        elif self._settling is None and moment - self._seen[0] > SETTLED:
            self._settling, self._seen = (next_, self._seen[1]), (moment, top)


def _found(cursor: Cursor | None, rows: Sequence[Sequence[Any]], oldest: int) -> Changes:
    exists, workspace_id, fresh = bool(rows[0][4]), rows[0][5], rows[0][6]
    rows = [row[7:-1] for row in rows if row[7] is not None]
    if cursor is None:
        given = {row[0]: row[1] for row in rows}
        if len(given) > GIVEN:
            raise StoreUnavailableError("a transaction has been open for too long to tell what is new since it began")
        return Changes(exists, workspace_id, [], _cursor(oldest, given))
    events: list[Event] = []
    horizon, given = cursor.horizon, dict(cursor.given)
    for transaction, count, size, kind, *row in rows:
        if len(given) >= GIVEN and transaction >= oldest and transaction not in given:
            return Changes(exists, workspace_id, events, cursor)  # the rest waits for the horizon
        given[transaction] = count
        # Rows come by transaction, so all of lower ones have been given, unless they are still open.
        horizon = max(horizon, min(oldest, transaction + (count == size)))
        cursor = _cursor(horizon, given)
        given = dict(cursor.given)
        events.append(Event(feed.record(kind == 0, row), cursor))
    more = len(rows) < fresh
    if not more:
        cursor = _cursor(max(horizon, oldest), given)
    return Changes(exists, workspace_id, events, cursor, more)


def _cursor(horizon: int, given: Mapping[int, int]) -> Cursor:
    return Cursor(horizon, tuple(sorted(item for item in given.items() if item[0] >= horizon)))


def _base36(number: int) -> str:
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
        if not number:
            return text
