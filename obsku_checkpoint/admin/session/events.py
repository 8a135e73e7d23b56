"""What happened to a session's runs: checkpoints, questions, answers, failures, and what people did in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from obsku_checkpoint.admin import format, history
from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.admin.runs import HISTORY, Run, runs
from obsku_checkpoint.admin.values import text_of
from obsku_checkpoint.models import Checkpoint, Session
from obsku_checkpoint.printable import plain
from obsku_checkpoint.run_state import SEPARATOR, RunState

#: checkpoints that are looked at, nodes of a large one of them, and entries of the admin's log
CHECKPOINTS, ENTRIES, LOG = 150, 30, 50


@dataclass(frozen=True, slots=True)
class Event:
    """One line between messages."""

    moment: datetime
    #: ``checkpoint``, ``asked``, ``answered``, ``failed``, ``resumed``, ``fork``, ``person``, ``more``
    kind: str
    text: str
    #: where more is said; empty where nothing is
    address: str
    id: str

    @property
    def time(self) -> SafeString:
        return format.exact(self.moment)


def events(database: str, session_id: str, start: datetime | None, end: datetime | None, links: Links) -> list[Event]:
    """Those from ``start`` to ``end``, oldest first. Where there are more than are looked at, the first one says so."""
    own: Any = Checkpoint.objects.using(database).in_session(session_id)
    if not isinstance(end, datetime | None) or not isinstance(start, datetime | None):
        return []  # a time that cannot be read has no place
    own = own.filter(created_at__lte=end) if end else own
    ids = list(own.order_by("-created_at", "-id").values_list("pk", flat=True)[:CHECKPOINTS])
    found = runs(database, ids, entries=ENTRIES, taken_apart=HISTORY)
    before: dict[str, RunState] = {}
    happened: list[Event] = []
    for run in (found[id] for id in reversed(ids) if id in found):
        state = run.state
        if not isinstance(run.checkpoint.created_at, datetime):
            continue
        if start is None or run.checkpoint.created_at >= start:
            happened += _of_run(run, state, before, links) if state else [_plain(run, links)]
        if state:
            before[run.namespace] = state
    if len(ids) == CHECKPOINTS and happened and (start is None or happened[0].moment > start):
        said = _("What checkpoints say from before is not shown here.")
        address = links.session(session_id, "checkpoints")
        happened.insert(0, Event(happened[0].moment, "more", said, address, "event-more"))
    happened += _of_people(session_id, start, end)
    return sorted(happened, key=lambda event: event.moment)


def _of_run(run: Run, state: RunState, states: Mapping[str, RunState], links: Links) -> list[Event]:
    """``states``: those of the namespaces until then."""
    before = states.get(run.namespace)
    moment, address = run.checkpoint.created_at, links.checkpoint(run.id)
    said: list[tuple[str, str]] = []
    if run.source == "fork":
        said.append(("fork", _("forked here")))
    if before is not None and before.status in ("failed", "interrupted") and state.status != before.status:
        said += [("answered", text) for text in _answers(before, state)]
        if before.status == "failed":
            said.append(("resumed", _("the run went on")))
    known = before.failures if before else {}
    for node, error in state.failures.items():
        if known.get(node) != error:
            failed = {"node": plain(node, 60), "error": plain(error, 200)}
            said.append(("failed", _("%(node)s failed: %(error)s") % failed))
    asked = before.questions if before else {}
    for path, question in state.questions.items():
        if path not in asked and not _is_asked_within(run.namespace, path, states):
            reason = {"node": plain(path, 60), "question": text_of(question.get("reason") or "?", 200)}
            said.append(("asked", _("%(node)s asks: %(question)s") % reason))
    if not said:
        return [_plain(run, links)]
    return [Event(moment, kind, text, address, f"event-{number}-{run.id}") for number, (kind, text) in enumerate(said)]


def _is_asked_within(namespace: str, path: str, states: Mapping[str, RunState]) -> bool:
    """Whether the nested graph whose node asks has said so in a checkpoint of its own."""
    graph, separator, node = path.rpartition(SEPARATOR)
    inner = states.get(f"{namespace}{SEPARATOR}{graph}" if namespace else graph)
    return bool(separator) and inner is not None and node in inner.questions


def _plain(run: Run, links: Links) -> Event:
    place = f"{plain(run.namespace, 40)} " if run.namespace else ""
    node = f", {plain(run.node_id, 40)}" if run.node_id else ""
    name = f"{place}v{run.checkpoint.version}{node}"
    return Event(run.checkpoint.created_at, "checkpoint", name, links.checkpoint(run.id), f"event-0-{run.id}")


def _answers(before: RunState, state: RunState) -> list[str]:
    told = []
    for path in before.questions:
        result: Any = state.results.get(path, {})
        given = result.get("answers")
        if path not in state.questions and isinstance(given, list) and given:
            last = given[-1]
            answer = last.get("answer") if isinstance(last, dict) else last
            told.append(_("%(node)s was answered: %(answer)s") % {"node": plain(path, 60), "answer": text_of(answer)})
    return told


def _of_people(session_id: str, start: datetime | None, end: datetime | None) -> list[Event]:
    """What the admin's log says: who did what."""
    log = history.log(Session, session_id)
    log = log.filter(action_time__gte=history.as_logged(start)) if start else log
    log = log.filter(action_time__lte=history.as_logged(end)) if end else log
    return [
        Event(
            history.when(entry),
            "person",
            f"{plain(entry.user.get_username(), 60)}: {plain(entry.get_change_message(), 300)}",
            "",
            f"event-log-{entry.pk}",
        )
        for entry in log[:LOG]
    ]


def together(happened: list[Event]) -> list[Event]:
    """The events between two messages, in which plain checkpoints that follow each other are one."""
    joined: list[Event] = []
    for is_checkpoint, group in groupby(happened, key=lambda event: event.kind == "checkpoint"):
        alike = list(group)
        if not is_checkpoint:
            joined += alike
            continue
        first, last = alike[0], alike[-1]
        if (count := len(alike)) == 1:
            said = _("checkpoint %(name)s") % {"name": last.text}
        else:
            text = ngettext("%(count)s checkpoint", "%(count)s checkpoints", count) % {"count": format.number(count)}
            said = _("%(text)s, the last %(last)s") % {"text": text, "last": last.text}
        joined.append(Event(first.moment, "checkpoint", said, last.address, first.id))
    return joined
