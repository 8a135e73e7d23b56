"""Old states of many threads go: by age and by count."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.contrib.langgraph import pruning
from obsku_checkpoint.contrib.langgraph.pruning import Entry, Key
from obsku_checkpoint.contrib.langgraph.saver import DjangoSaver
from obsku_checkpoint.contrib.langgraph.sql_clearing import ASKING, BYTES, DELETE_EXPIRED, EXPIRED, FORKED, THREADS
from obsku_checkpoint.store.calls import Write, atomic

Progress = Callable[[int, str], None]


class _TakenBackError(Exception):
    """Ends the transaction of a dry run; it carries the figures."""


def prune(
    using: str | None = None,
    *,
    older_than: timedelta | None = None,
    keep: int = 1,
    workspace_id: str | None = None,
    session_ids: Sequence[str] | None = None,
    batch: int = 200,
    dry_run: bool = False,
    progress: Progress = lambda done, what: None,
) -> dict[str, int]:
    """Remove all but the newest ``keep`` checkpoints of each namespace of the threads that nothing was written to for
    so long, each thread in a transaction: of all threads, or those of one workspace, or of ``session_ids``.

    What delta channels are built of stays, and so do questions that nobody has answered, and what forks come from.
    Items of the memory whose time is over go, too, unless ``session_ids`` are given. Returns how many threads were
    looked at, and how many checkpoints, bytes of values and items of the memory went, or would go.
    """
    saver = DjangoSaver(using, workspace_id=workspace_id)
    expired = 0 if session_ids is not None else _forgotten(saver, dry_run=dry_run)
    figures = {"threads": 0, "checkpoints": 0, "bytes": 0, "expired_items": expired}
    for threads in _batches(saver, older_than, session_ids, batch):
        parameters = {"threads": json.dumps(threads)}
        forked = {id for (id,) in saver._run(partial(_read, saver._sql.said(FORKED), parameters))}
        for thread_id in threads:
            removed, size = _pruned(saver, thread_id, partial(_gone, keep, forked), dry_run=dry_run)
            figures["threads"] += 1
            figures["checkpoints"] += removed
            figures["bytes"] += size
            progress(figures["threads"], "threads")
    return figures


def _read(sql: str, parameters: dict[str, Any]) -> Steps[list[Any]]:
    rows: list[Any] = yield sql, parameters
    return rows


def _forgotten(saver: DjangoSaver, *, dry_run: bool) -> int:
    parameters = {"workspace_id": saver.workspace_id, "now": time.time_ns() // 1_000_000}
    if dry_run:
        ((count,),) = saver._run(partial(_read, EXPIRED, parameters))
        return int(count)
    return len(saver._run(partial(_write, DELETE_EXPIRED, parameters)))


def _write(sql: str, parameters: dict[str, Any]) -> Steps[list[Any]]:
    rows: list[Any] = yield Write(sql, parameters)
    return rows


def _batches(
    saver: DjangoSaver, older_than: timedelta | None, session_ids: Sequence[str] | None, batch: int
) -> Iterator[list[str]]:
    # A session's clock may be ahead of this one: where no age is given, no time is too late.
    before = time.time_ns() // 1_000_000 - (older_than or -timedelta(days=1)) // timedelta(milliseconds=1)
    after: str | None = None  # the first id may be the empty text
    while True:
        parameters = {
            "workspace_id": saver.workspace_id,
            "sessions": None if session_ids is None else json.dumps([*session_ids]),
            "before": before,
            "after": after,
            "limit": batch,
        }
        threads = [id for (id,) in saver._run(partial(_read, saver._sql.said(THREADS), parameters))]
        if threads:
            yield threads
        if len(threads) < batch:
            return
        after = threads[-1]


def _gone(keep: int, forked: set[str], entries: Sequence[Entry], asking: set[Key]) -> set[Key]:
    kept = pruning.kept(entries, keep)
    parents = {(one.namespace, one.parent_id) for one in entries}
    kept |= {one.key for one in entries if one.record_id in forked}
    kept |= {key for key in asking if key not in parents}
    return {one.key for one in entries} - kept


def _pruned(
    saver: DjangoSaver, thread_id: str, choose: Callable[[Sequence[Entry], set[Key]], set[Key]], *, dry_run: bool
) -> tuple[int, int]:
    def steps() -> Steps[tuple[int, int]]:
        session = {"session_id": thread_id}
        ((before,),) = yield BYTES, session
        asking = {(row[0], row[1]) for row in (yield ASKING, session)}
        removed = yield from saver._removed(thread_id, lambda entries: choose(entries, asking))
        ((after,),) = yield BYTES, session
        if dry_run:
            raise _TakenBackError(removed, before - after)
        return removed, before - after

    try:
        return saver._run(partial(atomic, steps))
    except _TakenBackError as taken_back:
        removed, size = taken_back.args
        return removed, size
