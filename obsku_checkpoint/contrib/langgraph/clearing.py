"""Threads are deleted, copied and pruned, and the checkpoints of runs deleted: each thread in a transaction."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Sequence
from functools import partial

from obsku_checkpoint import validation
from obsku_checkpoint.async_twins import Steps, method, steps_of, twin
from obsku_checkpoint.contrib.langgraph import copying, pruning
from obsku_checkpoint.contrib.langgraph.base import Saver
from obsku_checkpoint.contrib.langgraph.pruning import Entry, Key
from obsku_checkpoint.contrib.langgraph.sql import IN_WORKSPACE
from obsku_checkpoint.contrib.langgraph.sql_clearing import (
    CLEAR_PARENTS,
    DELETE_BLOBS,
    DELETE_ITEMS,
    DELETE_RECORDS,
    DELETE_STATES,
    DELETE_WRITES,
    ENTRIES,
    NEW_EPOCH,
    THREADS_OF_RUNS,
)
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.store.calls import Write, atomic


class Clearing(Saver):
    @method
    def delete_thread(self, thread_id: str) -> Steps[None]:
        """Delete the session, and with it all that belongs to it."""
        if (yield from self._is_ours(thread_id)):
            yield from steps_of(DjangoCheckpointStore.delete_session)(self.store, str(thread_id))

    adelete_thread = twin(delete_thread)  # type: ignore[arg-type]  # the checker takes self for the base's

    @method
    def delete_for_runs(self, run_ids: Sequence[str]) -> Steps[None]:
        """Delete the checkpoints whose metadata name one of these runs, and their writes and records."""
        runs = [id for id in map(str, run_ids) if validation.can_exist("run_ids", id)]
        if not runs:
            return
        threads = yield self._sql.said(THREADS_OF_RUNS), {"runs": json.dumps(runs)}
        for (thread_id,) in threads:
            if (yield from self._is_ours(thread_id)):
                yield from self._remove(thread_id, lambda entries: {one.key for one in entries if one.run_id in runs})

    adelete_for_runs = twin(delete_for_runs)  # type: ignore[arg-type]  # the checker takes self for the base's

    @method
    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> Steps[None]:
        """Delete the checkpoints of the threads: with ``keep_latest`` all but the newest of each namespace and what
        its delta channels are built of, with ``delete`` all of them. The session and its transcript stay.
        """
        if isinstance(thread_ids, str):
            raise InvalidRecordError("thread_ids", "takes a sequence of ids, not text")
        if strategy not in ("keep_latest", "delete"):
            raise InvalidRecordError("strategy", f"must be keep_latest or delete, not {strategy!r}")
        for thread_id in thread_ids:
            if (yield from self._is_ours(thread_id)):
                yield from self._remove(str(thread_id), _all if strategy == "delete" else _all_but_newest)

    aprune = twin(prune)  # type: ignore[arg-type]  # the checker takes self for the base's

    @method
    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> Steps[None]:
        """Copy the thread, its transcript included. Raises `IdConflictError` where the target has checkpoints."""
        if not (yield from self._is_ours(source_thread_id)):
            return
        target = validation.key("target_thread_id", str(target_thread_id))
        yield from atomic(partial(copying.copied, self._sql, str(source_thread_id), target))

    acopy_thread = twin(copy_thread)  # type: ignore[arg-type]  # the checker takes self for the base's

    def _is_ours(self, thread_id: str) -> Steps[bool]:
        """Whether the session exists, and is one of the saver's workspace."""
        if not validation.can_exist("thread_id", str(thread_id)):
            return False
        return bool((yield IN_WORKSPACE, {"session_id": str(thread_id), "workspace_id": self.workspace_id}))

    def _remove(self, thread_id: str, choose: Callable[[Sequence[Entry]], Collection[Key]]) -> Steps[int]:
        """How many checkpoints were removed. What they alone used goes with them."""
        return (yield from atomic(partial(self._removed, thread_id, choose)))

    def _removed(self, thread_id: str, choose: Callable[[Sequence[Entry]], Collection[Key]]) -> Steps[int]:
        session = {"session_id": thread_id}
        yield self._sql.lock, session  # no checkpoint is stored meanwhile
        rows = yield ENTRIES, session
        entries = [pruning.entry(row) for row in rows]
        gone = sorted(choose(entries))
        if not gone:
            return 0
        self._known.forget(thread_id)
        records = [one.record_id for one in entries if one.record_id is not None and one.key in set(gone)]
        parameters = {**session, "gone": json.dumps(gone), "records": json.dumps(records)}
        for statement in (DELETE_WRITES, DELETE_STATES, CLEAR_PARENTS, DELETE_RECORDS, DELETE_BLOBS, DELETE_ITEMS):
            yield Write(self._sql.said(statement), parameters)
        yield Write(NEW_EPOCH, {**session, "epoch": secrets.randbits(62)})
        return len(gone)


def _all(entries: Sequence[Entry]) -> list[Key]:
    return [one.key for one in entries]


def _all_but_newest(entries: Sequence[Entry]) -> set[Key]:
    return {one.key for one in entries} - pruning.kept(entries)
