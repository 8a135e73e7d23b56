"""How sessions stand: what the newest checkpoint of each of their namespaces says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from obsku_checkpoint.admin.node_results import failed_nodes
from obsku_checkpoint.admin.questions import asking
from obsku_checkpoint.codec import loads_or_corrupt
from obsku_checkpoint.models import Checkpoint, Session, Source

_CHECKPOINTS, _SESSIONS = Checkpoint._meta.db_table, Session._meta.db_table

# Walks the unique index from one namespace to the next, so that a session of 100,000 checkpoints costs no more than
# one of ten. The oldest of a namespace is read as well: where it is a fork's, the session is one.
_ENDS = f"""
WITH RECURSIVE namespaces (session_id, namespace) AS (
    SELECT s.id, (SELECT MIN(c.namespace) FROM {_CHECKPOINTS} c WHERE c.session_id = s.id)
    FROM {_SESSIONS} s WHERE s.id IN (%s)
    UNION ALL
    SELECT n.session_id, (SELECT MIN(c.namespace) FROM {_CHECKPOINTS} c
                          WHERE c.session_id = n.session_id AND c.namespace > n.namespace)
    FROM namespaces n WHERE n.namespace IS NOT NULL
), ends (session_id, namespace, oldest, newest) AS (
    SELECT n.session_id, n.namespace,
           (SELECT MIN(version) FROM {_CHECKPOINTS} c WHERE c.session_id = n.session_id AND c.namespace = n.namespace),
           (SELECT MAX(version) FROM {_CHECKPOINTS} c WHERE c.session_id = n.session_id AND c.namespace = n.namespace)
    FROM namespaces n WHERE n.namespace IS NOT NULL
)
SELECT c.id, c.session_id, c.namespace, c.parent_id, c.version, c.step, c.node_id, c.pending_nodes, c.source,
       c.created_at, e.newest,
       CASE WHEN c.version = e.newest
                 AND (c.node_results LIKE %s OR (c.source = 'fork' AND c.node_results LIKE %s))
            THEN c.node_results END AS results
FROM ends e JOIN {_CHECKPOINTS} c
    ON c.session_id = e.session_id AND c.namespace = e.namespace AND c.version IN (e.oldest, e.newest)
ORDER BY c.created_at DESC, c.id DESC
"""
#: only results in which a failure is possible are read; whether it is one, is then seen in the decoded value
_FAILURE, _QUESTION = '%"failed"%', '%"interrupt"%'


@dataclass(frozen=True, slots=True)
class State:
    """One session."""

    #: the newest `Checkpoint` of each namespace, the newest first; without ``node_results``
    newest: list[Any]
    #: namespace -> nodes that failed
    failed: dict[str, list[str]]
    #: the session began at another one's checkpoint
    forked_from: str | None
    is_fork: bool

    @property
    def waiting(self) -> list[Checkpoint]:
        """Those that wait for a person's answer: interrupts that nothing follows."""
        return [checkpoint for checkpoint in self.newest if asking(checkpoint, checkpoint.decoded)]

    @property
    def finished(self) -> bool:
        """Every namespace has come to its end."""
        return bool(self.newest) and not any(checkpoint.pending_nodes for checkpoint in self.newest)

    @property
    def words(self) -> list[str]:
        """``waiting`` and ``failed``, else ``pending``, ``finished``, or ``new`` where there is no checkpoint."""
        ended = ["waiting"] * bool(self.waiting) + ["failed"] * bool(self.failed)
        if ended:
            return ended
        if not self.newest:
            return ["new"]
        return ["finished" if self.finished else "pending"]


def states(database: str, session_ids: Sequence[str]) -> dict[str, State]:
    """Session id -> its state, by one statement."""
    if not session_ids:
        return {}
    sql = _ENDS.replace("(%s)", f"({', '.join(['%s'] * len(session_ids))})")
    rows = Checkpoint.objects.using(database).raw(sql, [*session_ids, _FAILURE, _QUESTION])
    found: dict[str, list[Any]] = {id: [] for id in session_ids}
    for row in rows:
        found[row.session_id].append(row)
    return {id: _state(ends) for id, ends in found.items()}


def _state(ends: list[Any]) -> State:
    newest: list[Any] = [end for end in ends if end.version == end.newest]
    for end in newest:
        end.decoded = loads_or_corrupt(end.results) if end.results else None
    fork = next((end for end in ends if end.source == Source.FORK), None)
    failed = {end.namespace: nodes for end in newest if (nodes := failed_nodes(end.decoded))}
    return State(newest, failed, fork.parent_id if fork else None, fork is not None)
