"""The list of sessions: newest activity first, paged by where one is, never by counting the table."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.http import HttpRequest

from obsku_checkpoint.admin.base import BaseAdmin
from obsku_checkpoint.admin.session.counts import figures
from obsku_checkpoint.admin.session.filters import StatusFilter, WorkspaceFilter, narrowed, workspaces
from obsku_checkpoint.admin.session.status import ENTRIES, statuses
from obsku_checkpoint.fields import from_milliseconds, to_milliseconds
from obsku_checkpoint.records import CorruptValue

#: the query parameter that says where a page begins: below this session, ``<updated_at in ms>,<id>``
BEFORE = "before"


class SessionList(ChangeList):
    """Its rows have the attributes ``figures`` and ``status``."""

    model_admin: BaseAdmin

    def get_filters_params(self, params: Any = None) -> Any:
        return {name: value for name, value in super().get_filters_params(params).items() if name != BEFORE}

    def url_for_result(self, result: Any) -> str:
        return self.model_admin.links.session(result.pk)

    def get_results(self, request: HttpRequest) -> None:
        size = self.list_per_page
        below = _place(request.GET.get(BEFORE, ""))
        sessions: Any = self.queryset
        unfiltered = not sessions.query.where
        sessions = sessions.below(*below) if below else sessions.newest_first()
        if unfiltered:
            sessions = narrowed(sessions, self._workspaces(), size + 1 + bool(below), below and below[0])
        rows = list(sessions[: size + 1])
        self.result_list = rows[:size]
        self.older = _query(self, rows[size - 1]) if len(rows) > size else ""
        self.newest = self.get_query_string(remove=[BEFORE]) if below else ""
        self._add_figures(self.result_list)
        wanted = StatusFilter.words.get(request.GET.get(StatusFilter.parameter_name, ""))
        if wanted:
            self.result_list = [row for row in self.result_list if set(row.status.words) & set(wanted)]
        # What the admin's templates ask for.
        self.result_count = len(self.result_list)
        self.full_result_count = self.result_count  # no count is shown, as nothing was counted
        self.show_full_result_count = False
        self.show_admin_actions = bool(self.result_list)
        self.can_show_all = True
        self.multi_page = False
        self.paginator = Paginator(self.result_list, size)

    def _workspaces(self) -> list[str]:
        """Those that the filter has asked for already."""
        return next(spec.names for spec in self.filter_specs if isinstance(spec, WorkspaceFilter))

    def _add_figures(self, rows: list[Any]) -> None:
        database = self.model_admin.database
        found, standing = figures(database, [row.pk for row in rows]), statuses(database, rows)
        for row in rows:
            row.figures, row.status = found[row.pk], standing[row.pk]


def _place(text: str) -> tuple[datetime, str] | None:
    milliseconds, comma, id = text.partition(",")
    try:
        return (from_milliseconds(int(milliseconds)), id.replace("\x00", "")) if comma else None
    except (ValueError, OverflowError):
        return None  # not a link of ours: the first page


def _query(changes: ChangeList, last: Any) -> str:
    moment = last.updated_at
    milliseconds = moment.text if isinstance(moment, CorruptValue) else to_milliseconds(moment, "updated_at")
    return changes.get_query_string({BEFORE: f"{milliseconds},{last.pk}"}, remove=[BEFORE])


#: sessions, the last ones, of which the pages of the index say how many wait and failed
LAST = 200


def standing(admin: BaseAdmin, request: HttpRequest) -> dict[str, int]:
    """How many of the last sessions stand how: a word of `STATUSES` -> a number."""
    sessions: Any = admin.get_queryset(request)
    rows = sessions.newest_first()
    if not sessions.query.where:
        rows = narrowed(rows, workspaces(admin.database), LAST, None)
    found = statuses(admin.database, list(rows.only("id", "updated_at")[:LAST]), entries=ENTRIES)
    return dict(Counter(word for status in found.values() for word in status.words))
