"""Sessions in figures, for whoever runs them: sizes, growth, tokens and their cost, what waits and what has failed."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from django.core.cache import cache

from obsku_checkpoint import conf, fields
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance.sizes import DAY, Growth, LargeSession, Sizes, TableSize
from obsku_checkpoint.maintenance.spending import Counts, Spending, count, joined, spendings
from obsku_checkpoint.maintenance.standing import Standing, standing
from obsku_checkpoint.store import failures

#: days of a command and of the admin's page
DAYS = 14
#: the most that can be asked for
MOST_DAYS = 366
#: milliseconds: what has been written since then may not have been committed yet, and is counted the next time
LAG = 5_000
#: seconds for which `recent_stats` gives the same again, and after which what was counted is of no use any more
FRESH, COUNTED = 60, 86_400
#: seconds after which `recent_stats` begins to count nothing further
PATIENCE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    #: when it was counted
    at: datetime
    #: the first day that growth has, and spending when it is complete, from its beginning in UTC
    since: datetime
    #: the first day that spending has
    spending_since: datetime
    #: of the whole database; empty where only some workspaces count
    tables: list[TableSize]
    #: of the whole database, with what else is in it; None where only some workspaces count
    database_bytes: int | None
    growth: list[Growth]
    spending: list[Spending]
    largest: list[LargeSession]
    standing: Standing


def stats(using: str | None = None, *, days: int = DAYS, workspaces: Collection[str] | None = None) -> Stats:
    """Figures of now and of the last ``days``, today included, in UTC; of some ``workspaces``, or of all.

    Tokens and their cost are exact: it reads the messages of sessions that were written to since. All else is bounded:
    sizes are the database's own, growth and the largest sessions come from a sample of the rows, which is all of them
    where they are few, and what waits or has failed is looked for among the sessions that were written to last.
    """
    since, now = _since(days), _now()
    using = using or conf.current().DATABASE
    with failures.in_our_words(using):
        tonight = since + days * DAY  # a busy session's times run ahead
        counts = count(using, since, tonight, workspaces, conf.current().TOKEN_PRICES)
        return _stats(using, since, now, counts, workspaces)


def recent_stats(using: str | None = None, *, days: int = DAYS, workspaces: Collection[str] | None = None) -> Stats:
    """`stats` of a minute ago at most, by Django's cache.

    Tokens are counted on from where they were counted to, and back into the past for about a second a call: where they
    are many, the first calls give only the last days (``spending_since``). All are counted anew each day (in UTC): rows
    may have been deleted, or imported with times of the past. One thread of a process counts at a time.
    """
    since, now = _since(days), _now()
    using = using or conf.current().DATABASE
    prices = conf.current().TOKEN_PRICES
    asked = json.dumps([using, since, None if workspaces is None else sorted(workspaces), sorted(prices)])
    key = f"obsku_checkpoint:{hashlib.sha256(asked.encode()).hexdigest()}"
    with _one_at_a_time:
        found: Stats | None = cache.get(f"{key}:stats")
        if found is None:
            with failures.in_our_words(using):
                today = now // DAY * DAY
                counts = cache.get(f"{key}:counts") or Counts(today, today)
                until = max(counts.until, now - LAG)
                counts = joined(counts, count(using, counts.until, until, workspaces, prices))
                counts = _further_back(counts, since, lambda begin, end: count(using, begin, end, workspaces, prices))
                found = _stats(using, since, now, counts, workspaces)
            cache.set(f"{key}:counts", counts, COUNTED)
            if counts.since == since:
                cache.set(f"{key}:stats", found, FRESH)
        return found


_one_at_a_time = threading.Lock()


def _further_back(counts: Counts, since: int, count: Callable[[int, int], Counts]) -> Counts:
    """Back to ``since``, or as far as there is time: one day, and then as many as fit if each takes as long."""
    began = end = time.monotonic()
    days = 1
    while counts.since > since and days and end - began < PATIENCE:
        counts = joined(count(max(since, counts.since - days * DAY), counts.since), counts)
        took, end = time.monotonic() - end, time.monotonic()
        days = int(days * (PATIENCE - (end - began)) / max(took, 0.001))
    return counts


def _now() -> int:
    return time.time_ns() // 1_000_000


def _since(days: int) -> int:
    if not 1 <= days <= MOST_DAYS:
        raise InvalidRecordError("days", f"must be from 1 to {MOST_DAYS}")
    return (_now() // DAY - days + 1) * DAY


def _stats(using: str, since: int, now: int, counts: Counts, workspaces: Collection[str] | None) -> Stats:
    sizes = Sizes(using)
    return Stats(
        at=fields.from_milliseconds(now),
        since=fields.from_milliseconds(since),
        spending_since=fields.from_milliseconds(counts.since),
        tables=sizes.tables if workspaces is None else [],
        database_bytes=sizes.database_bytes() if workspaces is None else None,
        growth=sizes.growth(since, workspaces),
        spending=spendings(counts, conf.current().TOKEN_PRICES),
        largest=sizes.largest(workspaces),
        standing=standing(using, workspaces),
    )
