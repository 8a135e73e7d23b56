"""How sessions stand: what the newest checkpoint of each of their runs says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.runs import Run, is_within_adapters, runs
from obsku_checkpoint.admin.values import text_of
from obsku_checkpoint.records import CorruptValue
from obsku_checkpoint.run_state import SEPARATOR, RunGraph, RunState
from obsku_checkpoint.store.ends import ends

#: nodes of a large checkpoint that are looked at: those that failed or are not finished come first
ENTRIES = 40
#: what is unfinished counts as being worked on for so long after its last sign
PATIENCE = timedelta(minutes=1)

#: how a session may stand -> what a person reads
STATUSES = {
    "waiting": gettext_lazy("waiting for a person"),
    "failed": gettext_lazy("failed"),
    "working": gettext_lazy("working"),
    "silent": gettext_lazy("unfinished"),
    "finished": gettext_lazy("finished"),
    "new": gettext_lazy("no checkpoint"),
    "unknown": gettext_lazy("state not known"),
}


@dataclass(frozen=True, slots=True)
class Status:
    """How one session stands."""

    #: the newest checkpoint of each namespace, the newest first
    newest: list[Run]
    #: those of runs that are not within another
    outermost: list[Run]
    #: the session's last activity
    updated: datetime | CorruptValue
    #: the session began at another one's checkpoint, this one
    forked_from: str | None
    is_fork: bool

    @property
    def words(self) -> Sequence[str]:
        """Of `STATUSES`: those of ``waiting`` and ``failed`` that are so, else one of the others."""
        found = {_word(run.state, self.updated) for run in self.outermost}
        for words in (("waiting", "failed"), ("working",), ("silent",), ("unknown",), ("finished",)):
            if said := [word for word in words if word in found]:
                return said
        return ["new"]

    @property
    def badges(self) -> list[tuple[str, str]]:
        """(class, text) of each word."""
        badges = [(word, self._text(word)) for word in self.words]
        return [*badges, ("fork", _("fork"))] if self.is_fork else badges

    def _text(self, word: str) -> str:
        if isinstance(self.updated, CorruptValue) or word not in ("working", "silent"):
            return str(STATUSES[word])
        ago = {"time": format.since(self.updated)}
        return _("working, last sign %(time)s ago") % ago if word == "working" else _("silent for %(time)s") % ago

    @property
    def hindrance(self) -> str:
        """The error or the question that stands in the way; empty where nothing does."""
        for state in self._states():
            for node, error in state.failures.items():
                return f"{node}: {error}"
        for state in self._states():
            for path, question in state.questions.items():
                return text_of(question.get("reason") or path)
        return ""

    @property
    def first_line(self) -> str:
        """What stands in the way, else what the run was given; empty where that is not known."""
        given = (text_of(state.input) for state in self._states() if state.input is not None)
        return self.hindrance or next(given, "")

    def _states(self) -> Iterable[RunState]:
        return (state for run in self.outermost if (state := run.state))


def statuses(database: str, sessions: Sequence[Any], *, entries: int = ENTRIES) -> dict[str, Status]:
    """Session id -> its status, by a fixed number of statements. ``sessions`` have ``updated_at``."""
    all_ends = ends(database, [session.pk for session in sessions])
    found = runs(database, [end.id for end in all_ends if end.is_newest], entries=entries) if all_ends else {}
    newest: dict[str, list[Run]] = {session.pk: [] for session in sessions}
    forks: dict[str, str | None] = {}
    for end in all_ends:
        if end.is_newest and end.id in found:
            newest[end.session_id].append(found[end.id])
        if end.source == "fork":
            forks.setdefault(end.session_id, end.parent_id)
    return {
        session.pk: Status(
            newest=newest[session.pk],
            outermost=[run for run in newest[session.pk] if not _is_nested(run, newest[session.pk])],
            updated=session.updated_at,
            forked_from=forks.get(session.pk),
            is_fork=session.pk in forks,
        )
        for session in sessions
    }


def around(namespace: str) -> tuple[str, str]:
    """The namespace around a nested one, and the name of the node there that it is."""
    outer, _separator, node = namespace.rpartition(SEPARATOR)
    return outer, node


def _is_nested(run: Run, others: Sequence[Run]) -> bool:
    if run.state and is_within_adapters(run.state, run.namespace):
        return True
    outer, node = around(run.namespace)
    return bool(run.namespace) and any(other.namespace == outer and _has(other.state, node) for other in others)


def _has(state: RunState | None, node: str) -> bool:
    """Whether a run has a node of this name; what cannot be read might."""
    if state is None or node in state.results or node in state.pending or node in state.working:
        return True
    return isinstance(state.graph, RunGraph) and any(node == each.name for each in state.graph.nodes)


def _word(state: RunState | None, updated: datetime | CorruptValue) -> str:
    match state and state.status:
        case "interrupted":
            return "waiting"
        case "failed":
            return "failed"
        case "complete":
            return "finished"
        case None:
            return "unknown"
    recent = isinstance(updated, datetime) and datetime.now(UTC) - updated < PATIENCE
    return "working" if recent else "silent"
