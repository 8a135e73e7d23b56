"""Two checkpoints side by side: what was added, removed and changed, by path."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from obsku_checkpoint.admin import format, values
from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.admin.checkpoint.difference import Change, differences
from obsku_checkpoint.admin.values import harmless
from obsku_checkpoint.codec import loads_or_corrupt
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.printable import plain
from obsku_checkpoint.records import CorruptValue

#: changes that are shown, and counted
SHOWN, COUNTED = 400, 20_000
#: bytes of results that are compared
BYTES = 16_000_000
#: characters shown around the place where two texts begin to differ
AROUND = 60
#: checkpoints that are offered to compare with
OFFERED = 50
COLUMNS = ("node_results", "pending_nodes", "cycle_state")


class Compare(Page):
    """``?with=`` the id of the other one, ``previous`` (the version before) or ``parent``."""

    name = "compare"
    title = "Compare checkpoints"
    template = "admin/obsku_checkpoint/checkpoint/compare.html"

    def context(self, request: HttpRequest, subject: Checkpoint) -> dict[str, Any]:
        wanted = request.GET.get("with", "previous").replace("\x00", "").strip()
        own: Any = self.admin.get_queryset(request).defer(*COLUMNS)
        siblings = own.filter(session_id=subject.session_id, namespace=subject.namespace)
        before = siblings.filter(version__lt=subject.version).newest_version_first()
        if wanted == "previous":
            other = before.first()
        else:
            other = own.filter(pk=(subject.parent_id or "") if wanted == "parent" else wanted).first()
        offered = siblings.exclude(pk=subject.pk).newest_version_first()[:OFFERED]
        context: dict[str, Any] = {
            "wanted": wanted,
            "other": other and self._head(other),
            "this": self._head(subject),
            "offered": [self._head(row) for row in offered],
        }
        return context | (self._compared(other, subject) if other else {})

    def _compared(self, old: Checkpoint, new: Checkpoint) -> dict[str, Any]:
        (one, other), size = self._values(old.pk, new.pk)
        if size > BYTES:
            return {"too_large": format.size(size)}
        changes = list(islice(differences(one, other), COUNTED))
        shown = [_row(change) for change in changes[:SHOWN]]
        counts = {kind: sum(change.kind == kind for change in changes) for kind in ("added", "removed", "changed")}
        return {
            "changes": shown,
            "counts": counts,
            "left_out": len(changes) - len(shown),
            "more": len(changes) == COUNTED,
            "same": not changes,
        }

    def _values(self, *ids: str) -> tuple[list[dict[str, Any]], int]:
        texts = {f"{column}_text": Cast(column, TextField()) for column in COLUMNS}
        rows = Checkpoint.objects.using(self.database).filter(pk__in=ids).defer(*COLUMNS).annotate(**texts).in_bulk(ids)
        found = [{column: getattr(rows[id], f"{column}_text") for column in COLUMNS} for id in ids]
        size = sum(len(text or "") for row in found for text in row.values())
        if size > BYTES:
            return [{}, {}], size
        heads = [{name: getattr(rows[id], name) for name in ("step", "node_id", "source")} for id in ids]
        return [
            head | {column: None if text is None else loads_or_corrupt(text) for column, text in row.items()}
            for head, row in zip(heads, found, strict=True)
        ], size

    def _head(self, checkpoint: Checkpoint) -> dict[str, Any]:
        return {
            "id": checkpoint.pk,
            "address": self.links.checkpoint(checkpoint.pk),
            "compare": self.links.checkpoint(checkpoint.pk, "compare"),
            "name": f"{plain(checkpoint.namespace, 40) or 'main'} v{checkpoint.version}, step {checkpoint.step}"
            + (f", {plain(checkpoint.node_id, 40)}" if checkpoint.node_id else ""),
            "moment": format.moment(checkpoint.created_at),
            "session": self.links.session(checkpoint.session_id),
            "session_id": checkpoint.session_id,
        }


def _row(change: Change) -> dict[str, Any]:
    old, new = change.old, change.new
    both = change.kind == "changed"
    if both and isinstance(old, str) and isinstance(new, str):
        shown = _texts(old, new)
    else:
        shown = (
            SafeString("") if change.kind == "added" else _shown(old),
            SafeString("") if change.kind == "removed" else _shown(new),
        )
    return {"place": harmless(change.place), "kind": change.kind, "old": shown[0], "new": shown[1]}


def _shown(value: Any) -> SafeString:
    return values.corrupt(value) if isinstance(value, CorruptValue) else values.tree(value, entries=60)


def _texts(old: str, new: str) -> tuple[SafeString, SafeString]:
    """Two long texts around the place where they differ; short ones whole."""
    if max(len(old), len(new)) <= 3 * AROUND:
        return _shown(old), _shown(new)
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
    shown = differing if len(differing) <= 600 else differing[:600] + "…"
    return format_html(
        '<span class="obsku-string" dir="auto">{}{}<mark>{}</mark>{}{}</span>',
        "…" if low else "",
        harmless(text[low:start]),
        harmless(shown),
        harmless(text[end:high]),
        "…" if high < len(text) else "",
    )
