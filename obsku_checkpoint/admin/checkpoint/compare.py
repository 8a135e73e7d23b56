"""Two checkpoints side by side: what was added, removed and changed, node by node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from django.db.models import Sum, TextField, Value
from django.db.models.functions import Cast, Coalesce
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obsku_checkpoint import run_state
from obsku_checkpoint.admin import format, values
from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.admin.checkpoint.choices import choices
from obsku_checkpoint.admin.checkpoint.difference import Change, Comparison, Path, place
from obsku_checkpoint.admin.checkpoint.name import checkpoint_name
from obsku_checkpoint.admin.large_columns import BytesIn
from obsku_checkpoint.admin.values import harmless
from obsku_checkpoint.codec import loads_or_corrupt
from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.records import STATE

#: changes that are shown, and counted
SHOWN, COUNTED = 400, 20_000
#: bytes of results that are compared
BYTES = 16_000_000
#: characters shown around the place where two texts begin to differ
AROUND = 60
#: when each node ran: always different, and seldom what is looked for
TIMES = ("startedAt", "completedAt")


class Compare(Page):
    """``?with=`` the id of the other one, ``previous`` (the version before) or ``parent``; ``times=1``: the nodes'
    times, too.
    """

    name = "compare"
    title = gettext_lazy("Compare checkpoints")
    template = "admin/obsku_checkpoint/checkpoint/compare.html"

    def context(self, request: HttpRequest, subject: Checkpoint) -> dict[str, Any]:
        wanted = request.GET.get("with", "previous").replace("\x00", "").strip()
        visible: Any = self.admin.get_queryset(request).defer(*STATE)
        before = visible.filter(
            session_id=subject.session_id, namespace=subject.namespace, version__lt=subject.version
        ).newest_version_first()
        if wanted == "previous":
            other = before.first()
        else:
            other = visible.filter(pk=(subject.parent_id or "") if wanted == "parent" else wanted).first()
        times = request.GET.get("times") == "1"
        pair = [subject, other] if other else [subject]
        titles = self.admin.session_titles(request, {row.session_id for row in pair})
        return {
            "wanted": wanted,
            "other": other and self._head(other, titles),
            "this": self._head(subject, titles),
            "choices": choices(self.admin, request, visible, subject, other),
            "times": times,
            **(self._compared(other, subject, times=times) if other else {}),
        }

    def _compared(self, old: Checkpoint, new: Checkpoint, *, times: bool) -> dict[str, Any]:
        pair, size = self._values(old.pk, new.pk)
        if size > BYTES:
            return {"too_large": format.size(size)}
        comparison = Comparison()
        every = list(islice(comparison.differences(*pair), COUNTED))
        changes = [change for change in every if times or not _is_time(change.path)]
        return {
            "groups": _groups(changes[:SHOWN], times=times),
            "counts": {"added": 0, "removed": 0, "changed": 0} | Counter(change.kind for change in changes),
            "left_out": len(changes) - len(changes[:SHOWN]),
            "more": len(every) == COUNTED,
            "same": not changes,
            "times_left_out": len(every) - len(changes),
            "by_position": not comparison.aligned,
        }

    def _values(self, *ids: str) -> tuple[list[dict[str, Any]], int]:
        """What is compared, and its size; nothing where that is above `BYTES`."""
        pair = Checkpoint.objects.using(self.database).filter(pk__in=ids)
        bytes = sum((Coalesce(BytesIn(column), Value(0)) for column in STATE), start=Value(0))
        size: int = pair.aggregate(size=Sum(bytes))["size"] or 0
        if size > BYTES:
            return [], size
        texts = {f"{column}_text": Cast(column, TextField()) for column in STATE}
        rows = pair.defer(*STATE).annotate(**texts).in_bulk(ids)
        for row in rows.values():
            for column in STATE:
                text = getattr(row, f"{column}_text")
                setattr(row, column, None if text is None else loads_or_corrupt(text))
        return [_comparable(rows[id]) for id in ids], size

    def _head(self, checkpoint: Checkpoint, titles: Mapping[str, str]) -> dict[str, Any]:
        return {
            "id": checkpoint.pk,
            "address": self.links.checkpoint(checkpoint.pk),
            "name": checkpoint_name(checkpoint),
            "session": self.links.session(checkpoint.session_id),
            "session_id": checkpoint.session_id,
            "session_title": titles.get(checkpoint.session_id, ""),
        }


# -- what is compared


def _comparable(row: Any) -> dict[str, Any]:
    """``run``, ``input`` and ``nodes``; what is stored in another shape as ``stored``."""
    stored = {column: getattr(row, column) for column in STATE}
    saved = {"step": row.step, "node": row.node_id, "source": row.source}
    try:
        state = run_state.read(row)
    except CheckpointCorruptionError:
        return {"run": saved, "stored": stored}
    of_run = {"status": state.status, "pending": state.pending, "iterations": state.iterations}
    if not isinstance(row.node_results, dict):
        return {"run": saved | of_run, "stored": stored}
    odd = {
        name: entry
        for name, entry in row.node_results.items()
        if name not in state.results and not (isinstance(name, str) and run_state.is_reserved(name))
    }
    return {"run": saved | of_run, "input": state.input, "nodes": state.results} | ({"stored": odd} if odd else {})


def _is_time(path: Path) -> bool:
    return len(path) == 3 and path[0] == "nodes" and path[2] in TIMES


def _without_times(change: Change) -> Change:
    """Of a node that one of the two has not: all but when it ran."""
    if len(change.path) != 2 or change.path[0] != "nodes":
        return change
    sides = [
        {name: value for name, value in side.items() if name not in TIMES} if isinstance(side, Mapping) else side
        for side in (change.old, change.new)
    ]
    return replace(change, old=sides[0], new=sides[1])


# -- how it is shown


def _groups(changes: Iterable[Change], *, times: bool) -> list[tuple[SafeString, list[dict[str, Any]]]]:
    """(heading, rows) of each node, and of the run as a whole."""
    groups: dict[Path, list[dict[str, Any]]] = {}
    for change in changes:
        length = 2 if change.path[0] == "nodes" else 1
        shown = change if times else _without_times(change)
        groups.setdefault(change.path[:length], []).append(_row(shown, change.path[length:]))
    return [(_heading(path), rows) for path, rows in groups.items()]


def _heading(path: Path) -> SafeString:
    names = {"run": _("The run"), "input": _("Input"), "nodes": _("Nodes"), "stored": _("As it is stored")}
    return harmless(str(path[1]) if len(path) > 1 else names[str(path[0])])


def _row(change: Change, path: Path) -> dict[str, Any]:
    old, new = change.old, change.new
    if change.kind == "changed" and isinstance(old, str) and isinstance(new, str):
        pair = _texts(old, new)
    else:
        nothing = SafeString("")
        pair = (
            nothing if change.kind == "added" else values.tree(old, entries=60),
            nothing if change.kind == "removed" else values.tree(new, entries=60),
        )
    words = {"added": _("added"), "removed": _("removed"), "changed": _("changed")}
    return {
        "place": harmless(place(path)) or _("the whole"),
        "kind": change.kind,
        "word": words[change.kind],
        "old": pair[0],
        "new": pair[1],
    }


def _texts(old: str, new: str) -> tuple[SafeString, SafeString]:
    """Two long texts around the place where they differ; short ones whole."""
    if max(len(old), len(new)) <= 3 * AROUND:
        return values.tree(old), values.tree(new)
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return _excerpt(old, start, len(old) - end), _excerpt(new, start, len(new) - end)


def _excerpt(text: str, start: int, end: int) -> SafeString:
    low, high = max(0, start - AROUND), min(len(text), end + AROUND)
    differing = text[start:end]
    return format_html(
        '<span class="obsku-string" dir="auto">{}{}<mark>{}</mark>{}{}</span>',
        "…" if low else "",
        harmless(text[low:start]),
        harmless(differing if len(differing) <= 600 else differing[:600] + "…"),
        harmless(text[end:high]),
        "…" if high < len(text) else "",
    )
