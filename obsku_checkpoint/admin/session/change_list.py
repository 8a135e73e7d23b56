"""The list of sessions: newest activity first, paged by where one is, never by counting the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.http import HttpRequest

from obsku_checkpoint.admin.base import BaseAdmin
from obsku_checkpoint.admin.format import number
from obsku_checkpoint.admin.session.counts import figures, first_messages
from obsku_checkpoint.admin.session.failures import Place, may_have_failed
from obsku_checkpoint.admin.session.filters import StatusFilter, WorkspaceFilter
from obsku_checkpoint.admin.session.status import Status, statuses
from obsku_checkpoint.fields import from_milliseconds, to_milliseconds
from obsku_checkpoint.maintenance.newest import narrowed, workspaces
from obsku_checkpoint.records import CorruptValue

#: the query parameter that says where a page begins: below this session, ``<updated_at in ms>,<id>``
BEFORE = "before"


class SessionList(ChangeList):
    """Its rows have the attributes ``figures``, ``status`` and ``line``: an error, a question, or the input."""

    model_admin: BaseAdmin

    def get_filters_params(self, params: Any = None) -> Any:
        return {name: value for name, value in super().get_filters_params(params).items() if name != BEFORE}

    def url_for_result(self, result: Any) -> str:
        return self.model_admin.links.session(result.pk)

    def get_results(self, request: HttpRequest) -> None:
        size = self.list_per_page
        place = _place(request.GET.get(BEFORE, ""))
        state = request.GET.get(StatusFilter.parameter_name, "")
        #: sessions that were looked at, where there are more of them
        self.looked_at = ""
        if state == "failed":
            looked = may_have_failed(self.model_admin.database, self._below, place, size + 1)
            rows = looked.sessions
            self.older = _query(self, looked.last) if looked.last else ""
            self.looked_at = number(looked.looked_at) if looked.last and len(rows) <= size else ""
        else:
            rows = self._below(place, size + 1)
            self.older = ""
        self.result_list = rows[:size]
        if len(rows) > size:
            self.older = _query(self, rows[size - 1])
        self.newest = self.get_query_string(remove=[BEFORE]) if place else ""
        self._add_figures(self.result_list)
        if wanted := StatusFilter.words.get(state):
            self.result_list = [row for row in self.result_list if stands_so(row.status, wanted)]
        # What the admin's templates ask for.
        self.result_count = len(self.result_list)
        self.full_result_count = self.result_count  # no count is shown, as nothing was counted
        self.show_full_result_count = False
        self.show_admin_actions = bool(self.result_list)
        self.can_show_all = True
        self.multi_page = False
        self.paginator = Paginator(self.result_list, size)

    def _below(self, place: Place | None, count: int) -> list[Any]:
        """The next sessions of the list, without what a row tells of them."""
        sessions: Any = self.queryset
        unfiltered = not sessions.query.where
        sessions = sessions.below(*place) if place else sessions.newest_first()
        if unfiltered:
            sessions = narrowed(sessions, self._workspaces(), count + bool(place), place and place[0])
        return list(sessions[:count])

    def _workspaces(self) -> list[str]:
        """Those that the filter has asked for already."""
        return next(spec.names for spec in self.filter_specs if isinstance(spec, WorkspaceFilter))

    def _add_figures(self, rows: list[Any]) -> None:
        database = self.model_admin.database
        found, standing = figures(database, [row.pk for row in rows]), statuses(database, rows)
        for row in rows:
            row.figures, row.status, row.line = found[row.pk], standing[row.pk], standing[row.pk].first_line
        said = first_messages(database, [row.pk for row in rows if not row.line])
        for row in rows:
            row.line = row.line or said.get(row.pk, "")


def stands_so(status: Status, wanted: Collection[str]) -> bool:
    """Whether a session is one of a filter's. One whose state is not known here is left out of none."""
    return not {*wanted, "unknown"}.isdisjoint(status.words)


def _place(text: str) -> Place | None:
    milliseconds, comma, id = text.partition(",")
    try:
        return (from_milliseconds(int(milliseconds)), id.replace("\x00", "")) if comma else None
    except (ValueError, OverflowError):
        return None  # not a link of ours: the first page


def _query(changes: ChangeList, last: Any) -> str:
    moment = last.updated_at
    milliseconds = moment.text if isinstance(moment, CorruptValue) else to_milliseconds(moment, "updated_at")
    return changes.get_query_string({BEFORE: f"{milliseconds},{last.pk}"}, remove=[BEFORE])


#: sessions that an action on all pages of a state looks at, and at once
ACROSS, STEP = 10_000, 200


def all_of_state(database: str, sessions: Any, state: str) -> list[str] | None:
    """The ids of the sessions of all pages of a state's filter; None where they are too many to be looked at.

    ``sessions`` are those that the database has filtered: how each stands is known when its checkpoints are read.
    """

    def below(place: Place | None, count: int) -> list[Any]:
        return list((sessions.below(*place) if place else sessions.newest_first())[:count])

    if state == "failed":
        looked = may_have_failed(database, below, None, ACROSS)
        rows, more = looked.sessions, looked.last is not None
    else:
        rows = below(None, ACROSS + 1)
        more = len(rows) > ACROSS
    if more:
        return None
    found: list[str] = []
    for start in range(0, len(rows), STEP):
        standing = statuses(database, rows[start : start + STEP])
        found += [id for id, status in standing.items() if set(status.words) & set(StatusFilter.words[state])]
    return found


#: sessions, the last ones, of which the pages of the index say how many wait and failed
LAST = 200


def standing(admin: BaseAdmin, request: HttpRequest) -> dict[str, int]:
    """How many of the last sessions stand how: a word of `STATUSES` -> a number."""
    sessions: Any = admin.get_queryset(request)
    rows = sessions.newest_first()
    if not sessions.query.where:
        rows = narrowed(rows, workspaces(admin.database), LAST, None)
    found = statuses(admin.database, list(rows.only("id", "updated_at")[:LAST]))
    return dict(Counter(word for status in found.values() for word in status.words))
