"""Old checkpoints go, by age and by count, and sessions that nobody has written to for long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby, islice
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connections
from django.utils.module_loading import import_string

from obsku_checkpoint import conf
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance.tables import references_to_checkpoints
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.records import STATE
from obsku_checkpoint.store import DjangoCheckpointStore, deletion, failures

#: app -> what prunes the threads that it keeps, which are sessions as well
ADAPTERS = {"obsku_checkpoint.contrib.langgraph": "obsku_checkpoint.contrib.langgraph.retention.prune"}

#: sessions whose checkpoints are looked at at once
SESSIONS = 200
#: checkpoints that are deleted by one statement: they are locked while it runs, and no session is
ROWS = 1000
#: times as long as it has worked rests prune after each batch: it takes a sixth of what the server has to give
REST = 5.0
#: the sources of a run's first checkpoint
BEGINNINGS = ("input", "fork")
MILLISECOND = timedelta(milliseconds=1)

SELECT_SESSIONS = """
SELECT id FROM sessions
WHERE {beyond}(%(any_workspace)s OR workspace_id = %(workspace_id)s) AND updated_at < %(before)s
ORDER BY id LIMIT %(limit)s
"""

#: no index has them; read once
SELECT_FORKED = "SELECT DISTINCT parent_id FROM checkpoints WHERE source = 'fork' AND parent_id IS NOT NULL"

SELECT_CHECKPOINTS = """
SELECT id, session_id, namespace, source, created_at FROM checkpoints
WHERE session_id IN (SELECT value FROM {texts}) AND (%(any_namespace)s OR namespace = %(namespace)s){others}
ORDER BY session_id, namespace, version DESC
"""

#: the newest of each namespace asks
SELECT_ASKING = """
SELECT 1 FROM checkpoints c
WHERE c.session_id = %(session_id)s AND c.source = 'interrupt' AND c.version = (
    SELECT max(n.version) FROM checkpoints n WHERE n.session_id = c.session_id AND n.namespace = c.namespace
)
LIMIT 1
"""


class Row(NamedTuple):
    id: str
    session_id: str
    namespace: str
    source: str
    created_at: int


class Pruner:
    def __init__(
        self,
        using: str,
        *,
        older_than: timedelta | None,
        keep_last: int,
        workspace_id: str | None,
        namespace: str | None,
        session_ids: Sequence[str] | None,
        force: bool,
        dry_run: bool,
    ) -> None:
        now = time.time_ns() // 1_000_000
        self._using = using
        self._connection = connections[using]
        self._texts = "json_array_elements_text(%(ids)s::json)" if self._is_postgres else "json_each(%(ids)s)"
        self._before = now - (older_than or -timedelta(days=1)) // MILLISECOND
        self._keep_last = keep_last
        self._workspace = {"workspace_id": workspace_id, "any_workspace": workspace_id is None}
        self._namespace = {"namespace": namespace, "any_namespace": namespace is None}
        self._session_ids = session_ids
        self._force = force
        self._dry_run = dry_run
        self._forked = set() if force else {id for (id,) in self._rows(SELECT_FORKED, {})}

    @property
    def _is_postgres(self) -> bool:
        return self._connection.vendor == "postgresql"

    def sessions(self, before: int) -> Iterator[Sequence[str]]:
        if self._session_ids is not None:
            yield from (self._session_ids[at : at + SESSIONS] for at in range(0, len(self._session_ids), SESSIONS))
            return
        beyond, last = "", None  # the first id may be the empty text
        while True:
            parameters = {**self._workspace, "after": last, "before": before, "limit": SESSIONS}
            ids = [id for (id,) in self._rows(SELECT_SESSIONS.format(beyond=beyond), parameters)]
            if ids:
                yield ids
            if len(ids) < SESSIONS:
                return
            beyond, last = "id > %(after)s AND ", ids[-1]

    def old_checkpoints(self, session_ids: Sequence[str]) -> Iterator[str]:
        """The ids of those that go, of some sessions."""
        sql = SELECT_CHECKPOINTS.format(texts=self._texts, others=self._without_adapters())
        rows = map(Row._make, self._rows(sql, {"ids": json.dumps(session_ids), **self._namespace}))
        for _, namespace in groupby(rows, key=lambda row: (row.session_id, row.namespace)):
            for run in _runs(enumerate(namespace)):
                gone = [row for place, row in run if self._goes(place, row)]
                # The first of a run holds its graph, and stays while another one does.
                if gone and gone[-1].source in BEGINNINGS and len(gone) < len(run) and not self._force:
                    gone.pop()
                yield from (row.id for row in gone)

    def _without_adapters(self) -> str:
        """But for the rows that an adapter keeps beside a state of its own, which go with that, and the rows before
        those that ask: the same step, before it asked.
        """
        name = self._connection.ops.quote_name
        kept = " UNION ".join(
            f"SELECT k.* FROM {name(table)} o JOIN checkpoints k ON k.id = o.{name(column)}"
            f" WHERE k.session_id IN (SELECT value FROM {self._texts})"
            for table, column in references_to_checkpoints(self._using)
        )
        return (
            kept
            and f""" AND id NOT IN (
            WITH RECURSIVE kept AS (
                SELECT * FROM ({kept}) kept
                UNION
                SELECT old.* FROM kept JOIN checkpoints old
                    ON old.id = kept.parent_id AND old.session_id = kept.session_id AND old.step = kept.step
                WHERE kept.source = 'interrupt'
            )
            SELECT id FROM kept
        )"""
        )

    def _goes(self, place: int, row: Row) -> bool:
        return place >= self._keep_last and row.created_at < self._before and row.id not in self._forked

    def delete(self, ids: Sequence[str]) -> tuple[int, int]:
        """How many went, or would go, and the bytes that they took."""
        with self._connection.cursor() as cursor:
            parameters = {"ids": json.dumps(ids)}
            among = f"id IN (SELECT value FROM {self._texts})"
            if self._dry_run or deletion.is_referred_to(self._using, Checkpoint):
                cursor.execute(f"SELECT {self._size} FROM checkpoints WHERE {among}", parameters)
                sizes = cursor.fetchall()
                if not self._dry_run:
                    deletion.delete_checkpoints(self._using, ids)
            else:
                cursor.execute(f"DELETE FROM checkpoints WHERE {among} RETURNING {self._size}", parameters)
                sizes = cursor.fetchall()
        return len(sizes), sum(size for (size,) in sizes)

    @property
    def _size(self) -> str:
        """The bytes of a row as it is stored: compressed, where the database compresses."""
        size = "pg_column_size({})" if self._is_postgres else "length(CAST({} AS BLOB))"
        return " + ".join(f"coalesce({size.format(column)}, 0)" for column in STATE)

    def may_go(self, session_id: str) -> bool:
        """Whether nothing is open in the session, and no fork came from it."""
        if self._force:
            return True
        if self._rows(SELECT_ASKING, {"session_id": session_id}):
            return False
        own = Checkpoint.objects.using(self._using).in_session(session_id)
        return self._forked.isdisjoint(own.values_list("id", flat=True))

    def _rows(self, sql: str, parameters: dict[str, Any]) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            rows: list[Any] = cursor.fetchall()
            return rows


def _runs(rows: Iterator[tuple[int, Row]]) -> Iterator[list[tuple[int, Row]]]:
    """The checkpoints of one namespace, newest first, run by run: each ends with the first one of the run."""
    run = []
    for place, row in rows:
        run.append((place, row))
        if row.source in BEGINNINGS:
            yield run
            run = []
    if run:
        yield run


def prune(
    using: str | None = None,
    *,
    older_than: timedelta | None = None,
    keep_last: int | None = None,
    idle_sessions: timedelta | None = None,
    workspace_id: str | None = None,
    namespace: str | None = None,
    session_ids: Sequence[str] | None = None,
    force: bool = False,
    dry_run: bool = False,
    progress: Callable[[int, str], None] = lambda done, what: None,
) -> dict[str, int]:
    """Delete checkpoints that are older than an age and not among the newest ``keep_last`` of their namespace (of
    either, where only one is given; at least the newest one always stays), and whole sessions that nothing was written
    to for ``idle_sessions``: of all sessions, or in one workspace, or checkpoints of the sessions ``session_ids``.

    What stays as well, unless ``force``: what a fork came from, sessions with an open question, and the first
    checkpoint of a run of which another one stays. Each statement takes at most 1,000 rows and is a transaction, so
    pruning can be stopped and repeated at any moment; after each it rests five times as long as it took. With them go
    the states that adapters keep. Returns ``checkpoints``, their ``bytes`` as they were stored, ``sessions``, and the
    ``batches`` that it took; with ``dry_run`` nothing is deleted.
    """
    if older_than is None and keep_last is None and idle_sessions is None:
        raise InvalidRecordError("older_than", "is required, or else keep_last or idle_sessions")
    if keep_last is not None and keep_last < 1:
        raise InvalidRecordError("keep_last", "must be at least 1")
    if session_ids is not None and (workspace_id is not None or idle_sessions is not None):
        raise InvalidRecordError("session_ids", "stands for workspace_id, and whole sessions are not pruned by id")
    using = using or conf.current().DATABASE
    figures = {"checkpoints": 0, "bytes": 0, "sessions": 0, "batches": 0}
    progress = progress if dry_run else _resting(progress)
    with failures.in_our_words(using):
        pruner = Pruner(
            using,
            older_than=older_than,
            keep_last=keep_last or 1,
            workspace_id=workspace_id,
            namespace=namespace,
            session_ids=session_ids,
            force=force,
            dry_run=dry_run,
        )
        if idle_sessions is not None:
            _prune_sessions(pruner, using, idle_sessions, figures, progress, dry_run=dry_run)
        if older_than is not None or keep_last is not None:
            _prune_checkpoints(pruner, figures, progress)
            for app, path in ADAPTERS.items():
                if apps.is_installed(app) and namespace is None:
                    pruned = import_string(path)(
                        using,
                        older_than=older_than,
                        keep=keep_last or 1,
                        workspace_id=workspace_id,
                        session_ids=session_ids,
                        dry_run=dry_run,
                        progress=progress,
                    )
                    figures["checkpoints"] += pruned["checkpoints"]
                    figures["bytes"] += pruned["bytes"]
    return figures


def _resting(progress: Callable[[int, str], None]) -> Callable[[int, str], None]:
    """``progress``, and time for others: a server that is busy takes longer for a batch, and gets a longer rest."""
    began = time.monotonic()

    def rest(done: int, what: str) -> None:
        nonlocal began
        progress(done, what)
        time.sleep(REST * (time.monotonic() - began))
        began = time.monotonic()

    return rest


def _prune_checkpoints(pruner: Pruner, figures: dict[str, int], progress: Callable[[int, str], None]) -> None:
    ahead = 2**62
    old = (id for ids in pruner.sessions(ahead) for id in pruner.old_checkpoints(ids))
    while batch := list(islice(old, ROWS)):
        count, size = pruner.delete(batch)
        figures["checkpoints"] += count
        figures["bytes"] += size
        figures["batches"] += 1
        progress(figures["checkpoints"], "checkpoints")


def _prune_sessions(
    pruner: Pruner,
    using: str,
    idle: timedelta,
    figures: dict[str, int],
    progress: Callable[[int, str], None],
    *,
    dry_run: bool,
) -> None:
    store = DjangoCheckpointStore(using)
    before = time.time_ns() // 1_000_000 - idle // MILLISECOND
    for ids in pruner.sessions(before):
        for id in ids:
            if pruner.may_go(id):
                if not dry_run:
                    store.delete_session(id)
                figures["sessions"] += 1
                progress(figures["sessions"], "sessions")
