"""The figures of all sessions: what they use, how they grow, which are the largest, what waits and has failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import formats
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.drawings.bars import Bar, bars
from obsku_checkpoint.admin.session.filters import NO_WORKSPACE
from obsku_checkpoint.fields import to_milliseconds
from obsku_checkpoint.maintenance.figures import DAYS, Stats, recent_stats
from obsku_checkpoint.maintenance.spending import Spending
from obsku_checkpoint.models import Checkpoint, Message, Session
from obsku_checkpoint.printable import plain
from obsku_checkpoint.scope import visible_workspaces

if TYPE_CHECKING:
    from obsku_checkpoint.admin.base import BaseAdmin

TEMPLATE = "admin/obsku_checkpoint/session/figures.html"
#: workspaces in the table; the others are one row
WORKSPACES = 20
NAMES = {model._meta.db_table: model._meta.verbose_name_plural for model in (Session, Message, Checkpoint)}


@dataclass(slots=True)
class Used:
    """What a workspace has used in all of the days."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    unpriced: int = 0

    def add(self, one: Spending | Used) -> None:
        self.tokens_in += one.tokens_in
        self.tokens_out += one.tokens_out
        self.unpriced += one.unpriced
        if one.cost is not None:
            self.cost = (self.cost or 0) + one.cost

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out


def figures(admin: BaseAdmin, request: HttpRequest) -> HttpResponse:
    if not admin.has_view_permission(request):
        raise PermissionDenied
    visible = visible_workspaces(request)
    found = recent_stats(admin.database, workspaces=None if visible is None else sorted(visible))
    page = _Page(admin, found)
    context = {
        **admin.admin_site.each_context(request),
        "title": _("Figures"),
        "opts": admin.opts,
        "sessions_address": admin.links.sessions(),
        "counts": list(page.counts()),
        "tokens": page.tokens(),
        "costs": page.costs(),
        "workspaces": list(page.workspaces()),
        "growth": list(page.growth()),
        "largest": list(page.largest()),
        "tables": list(page.tables()),
        "notes": list(page.notes()),
        "days": DAYS,
    }
    request.current_app = admin.admin_site.name
    return TemplateResponse(request, TEMPLATE, context)


class _Page:
    def __init__(self, admin: BaseAdmin, stats: Stats) -> None:
        self._links = admin.links
        self._stats = stats
        self._days = [stats.since.date() + timedelta(days=number) for number in range(DAYS)]
        self._by_day = {day: Used() for day in self._days}
        for one in stats.spending:
            if one.day in self._by_day:  # a message may be of tomorrow
                self._by_day[one.day].add(one)

    def counts(self) -> Iterator[tuple[str, str, str]]:
        """(name, figure, address) of what stands at the top."""
        standing, sessions = self._stats.standing, self._links.sessions()
        yield _("Waiting for a person"), format.number(standing.waiting), self._links.waiting()
        at_least = "≥ " if standing.unsearched else ""
        yield _("Failed"), f"{at_least}{format.number(standing.failed)}", f"{sessions}?state=failed"
        for one in self._stats.tables:
            if one.table in NAMES:
                yield _named(NAMES[one.table]), _about(one.rows, one.estimated), sessions
        if self._stats.database_bytes is not None:
            yield _("Database"), format.size(self._stats.database_bytes), ""
        today = self._by_day[self._days[-1]]
        yield _("Tokens today"), format.number(today.tokens), self._until(self._days[-1])
        if today.cost is not None:
            yield _("Cost today"), _money(today.cost), self._until(self._days[-1])

    def tokens(self) -> str:
        def bar(day: date, used: Used) -> Bar:
            parts = [(used.tokens_in, "obsku-tokens-in"), (used.tokens_out, "obsku-tokens-out")]
            said = _("%(tokens_in)s in, %(tokens_out)s out") % {
                "tokens_in": format.number(used.tokens_in),
                "tokens_out": format.number(used.tokens_out),
            }
            return self._bar(day, parts, said)

        return bars([bar(*each) for each in self._by_day.items()], label=_("Tokens of each day"))

    def costs(self) -> str:
        columns = [
            self._bar(day, [(used.cost or 0, "obsku-bar")], _money(used.cost)) for day, used in self._by_day.items()
        ]
        return bars(columns, label=_("Cost of each day"))

    def _bar(self, day: date, parts: Sequence[tuple[float, str]], said: str) -> Bar:
        """Of what is used on a day, which may not have been counted yet."""
        known = day >= self._stats.spending_since.date()
        said = said if known else _("not counted yet")
        return Bar(_short(day), parts, f"{_long(day)}: {said}", self._until(day), known)

    def workspaces(self) -> Iterator[dict[str, Any]]:
        """Of all days together, most tokens first."""
        used: dict[tuple[str | None, bool], Used] = {}
        for one in self._stats.spending:
            used.setdefault((one.workspace_id, one.others), Used()).add(one)
        known = sorted((key for key in used if not key[1]), key=lambda key: -used[key].tokens)
        others = Used()
        for key in [*known[WORKSPACES:], *(key for key in used if key[1])]:
            others.add(used[key])
        for name, _others in known[:WORKSPACES]:
            value = NO_WORKSPACE if name is None else name
            address = f"{self._links.sessions()}?{urlencode({'workspace': value})}"
            yield self._row(_("none") if name is None else plain(name, 60) or "“”", address, used[name, False])
        if others.tokens:
            yield self._row(_("all others"), "", others)

    def _row(self, name: str, address: str, used: Used) -> dict[str, Any]:
        return {
            "name": name,
            "address": address,
            "tokens_in": format.number(used.tokens_in),
            "tokens_out": format.number(used.tokens_out),
            "cost": "" if used.cost is None else _money(used.cost),
            "unpriced": format.number(used.unpriced) if used.unpriced else "",
        }

    def growth(self) -> Iterator[tuple[str, str]]:
        """(name, drawing) of each table that grew."""
        rows = {(one.table, one.day): one for one in self._stats.growth}
        for table, plural in NAMES.items():
            name = _named(plural)
            days = [(day, rows.get((table, day))) for day in self._days]
            drawn = bars(
                [
                    Bar(
                        _short(day),
                        [(one.rows if one else 0, "obsku-bar obsku-status-running")],
                        f"{_long(day)}: {_about(one.rows, one.estimated) if one else 0}",
                        self._until(day),
                    )
                    for day, one in days
                ],
                label=_("%(name)s of each day") % {"name": name},
            )
            if drawn:
                yield name, drawn

    def largest(self) -> Iterator[dict[str, Any]]:
        for one in self._stats.largest:
            yield {
                "title": plain(one.title or one.id, 100),
                "address": self._links.session(one.id),
                "workspace": plain(one.workspace_id or "", 60),
                "messages": format.number(one.messages),
                "checkpoints": format.number(one.checkpoints),
                "size": f"{'~' if one.estimated else ''}{format.size(one.bytes)}",
            }

    def tables(self) -> Iterator[tuple[str, str, str]]:
        for one in self._stats.tables:
            if one.rows:
                size = "" if one.bytes is None else format.size(one.bytes)
                yield one.table, _about(one.rows, one.estimated), size

    def notes(self) -> Iterator[Any]:
        """How the figures came about."""
        yield format_html(_("Counted at {time}; days are those of UTC."), time=format.timestamp(self._stats.at))
        if self._stats.spending_since > self._stats.since:
            day = _long(self._stats.spending_since.date())
            yield _("Tokens of the days before %(day)s are counted when this page is asked for again.") % {"day": day}
        yield _("What begins with ~ is an estimate.")
        looked_at = self._stats.standing.sessions
        yield ngettext(
            "Waiting and failed are of the %(count)s session that was active last.",
            "Waiting and failed are of the %(count)s sessions that were active last.",
            looked_at,
        ) % {"count": format.number(looked_at)}
        if unsearched := self._stats.standing.unsearched:
            yield ngettext(
                "The results of %(count)s of them are too large to be searched for failures.",
                "The results of %(count)s of them are too large to be searched for failures.",
                unsearched,
            ) % {"count": format.number(unsearched)}

    def _until(self, day: date) -> str:
        """The sessions whose last activity was on that day, and those before."""
        end = datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=1)
        return f"{self._links.sessions()}?before={to_milliseconds(end, 'before')},"


def _about(count: int, estimated: bool) -> str:
    return f"{'~' if estimated else ''}{format.number(count)}"


def _named(plural: Any) -> str:
    text = str(plural)
    return text[:1].upper() + text[1:]


def _money(cost: float | None) -> str:
    return formats.number_format(cost or 0, 2, force_grouping=True)


def _short(day: date) -> str:
    return f"{day:%m-%d}"


def _long(day: date) -> str:
    return formats.date_format(day, "DATE_FORMAT")
