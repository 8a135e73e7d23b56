"""A session's transcript as a conversation: the newest messages at the page's end, older ones on the way up.

Between the messages stands what happened to the runs meanwhile. One gets to the first and the last message, to the
next failed tool, to a message by its number, and to those that hold some words.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from django.db.models import F, Q, Sum, TextField, Value, Window
from django.db.models.functions import Cast, Coalesce, Greatest, Lower, StrIndex, Substr
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext_lazy

from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.admin.large_columns import BytesIn
from obsku_checkpoint.admin.session.events import events, together
from obsku_checkpoint.admin.session.messages import Entry, entries, messages_of
from obsku_checkpoint.admin.session.repair import dangling
from obsku_checkpoint.models import Message, Session
from obsku_checkpoint.printable import plain
from obsku_checkpoint.querysets import beyond
from obsku_checkpoint.records import Dangling

#: messages on a page, and in each load of older ones
MESSAGES = 50
#: messages that hold the words one looks for, and characters of each
FOUND, AROUND = 50, 60
#: calls without a result on the page that are looked for behind it
OPEN_CALLS = 40
#: bytes of messages that are searched for a page
SEARCHED = 100_000_000
_FAILED = '"status":"error"'


class Transcript(Page):
    name = "transcript"
    title = gettext_lazy("Transcript")
    template = "admin/obsku_checkpoint/session/transcript.html"

    def respond(self, request: HttpRequest, subject: Session) -> HttpResponseBase:
        """The page; with ``fragment`` only the messages ``before`` or ``after`` one, for the script."""
        context = self.context(request, subject)
        if "fragment" in request.GET:
            return render(request, "admin/obsku_checkpoint/session/messages.html", context)
        return self.render(request, subject, context)

    def context(self, request: HttpRequest, subject: Session) -> dict[str, Any]:
        all = Message.objects.using(self.database).in_session(subject.pk)
        at, before, after = (_number(request.GET.get(name)) for name in ("at", "before", "after"))
        total = all.count()
        if (number := _number(request.GET.get("number"))) is not None:
            at = all.oldest_first().values_list("pk", flat=True)[min(max(number, 1), total) - 1] if total else None
        if (failure := _number(request.GET.get("failure"))) is not None:
            failures, _is_all = _failures(all.beside(failure, before=False))
            at = failures.values_list("pk", flat=True).first()
        rows, older, newer = self._page(subject, at, before, after)
        shown = list(entries(rows))
        self._number(all, shown)
        self._mark_open_calls(all, shown)
        last = self._add_events(subject, shown, older=older, newer=newer) if shown else []
        unpaired = dangling(self.admin.store, subject.pk)
        self._mark_results(shown, unpaired or [])
        next_failure, failures_searched = self._next_failure(all, rows, at, newer=newer)
        query = request.GET.get("q", "").replace("\x00", "").strip()
        return {
            "entries": shown,
            "events": last,
            "older": rows[0].pk if rows and older else None,
            "newer": rows[-1].pk if rows and newer else None,
            "at": at,
            "total": total,
            "dangling": len(unpaired or []),
            "is_unpaired_known": unpaired is not None,
            "repair_address": self.links.session(subject.pk, "repair")
            if unpaired and self.admin.has_change_permission(request, subject)
            else "",
            "first": shown[0].number if shown else 0,
            "last_number": shown[-1].number if shown else 0,
            "next_failure": next_failure,
            "failures_searched": failures_searched,
            "query": query,
            "found": None,
            "bound": FOUND,
            **(self._found(all, subject, query) if query else {}),
            "address": self.links.session(subject.pk, "transcript"),
            "rest_address": self.links.session(subject.pk, "message"),
        }

    def _page(
        self, subject: Session, at: int | None, before: int | None, after: int | None
    ) -> tuple[list[Any], bool, bool]:
        """The messages, and whether there are older and newer ones."""
        own = messages_of(self.database, subject.pk)
        if at is not None and (place := own.filter(pk=at).first()):
            head = list(own.beside(at, before=True).newest_first()[: MESSAGES + 1])
            tail = list(own.beside(at, before=False)[: MESSAGES + 1])
            return [*head[:MESSAGES][::-1], place, *tail[:MESSAGES]], len(head) > MESSAGES, len(tail) > MESSAGES
        if after is not None:
            tail = list(own.beside(after, before=False)[: MESSAGES + 1])
            return tail[:MESSAGES], True, len(tail) > MESSAGES
        wanted = own if before is None else own.beside(before, before=True)
        head = list(wanted.newest_first()[: MESSAGES + 1])
        return head[:MESSAGES][::-1], len(head) > MESSAGES, before is not None

    def _number(self, all: Any, shown: list[Entry]) -> None:
        if shown:
            before = all.beside(shown[0].id, before=True).count()
            for number, entry in enumerate(shown, before + 1):
                entry.number = number

    def _mark_open_calls(self, all: Any, shown: list[Entry]) -> None:
        """A call whose result is neither on the page nor behind it."""
        lacking = [call for entry in shown for call in entry.calls if call.result is None][-OPEN_CALLS:]
        if not lacking:
            return
        later = all.beside(shown[-1].id, before=False).filter(tool_results__isnull=False)
        behind, is_all = searched(later, "tool_results")
        behind = behind.annotate(_text=Cast("tool_results", TextField()))
        for call in lacking:
            call.is_open = is_all and not behind.filter(_text__contains=call.use_id).exists()

    def _mark_results(self, shown: list[Entry], unpaired: list[Dangling]) -> None:
        """A result without a call."""
        lonely = {(one.message_id, one.tool_use_id) for one in unpaired if one.kind == "result"}
        for entry in shown:
            for result in entry.results:
                result.is_lonely = (entry.id, result.use_id) in lonely

    def _add_events(self, subject: Session, shown: list[Entry], *, older: bool, newer: bool) -> list[Any]:
        """Between the messages; those after the last one are returned."""
        start = shown[0].message.created_at if older else None
        happened = events(self.database, subject.pk, start, shown[-1].message.created_at if newer else None, self.links)
        for entry in shown:
            while happened and entry.message.created_at >= happened[0].moment:
                entry.events.append(happened.pop(0))
            entry.events = together(entry.events)
        return together(happened)

    def _next_failure(self, all: Any, rows: list[Any], at: int | None, *, newer: bool) -> tuple[int | None, str]:
        """The message from which on the next failed tool is looked for; None where none was seen.

        And the size of what was searched in vain, where that is not all.
        """
        if not rows:
            return None, ""
        place = at if at is not None else rows[-1].pk
        searches = []
        if newer or at is not None:
            searches.append((place, all.beside(place, before=False)))
        if at is None:  # from the end one begins at the first again
            searches.append((0, all.oldest_first()))
        saw_all = True
        for start, where in searches:
            failures, is_all = _failures(where)
            if failures.exists():
                return start, ""
            saw_all = saw_all and is_all
        return None, "" if saw_all else format.size(SEARCHED)

    def _found(self, all: Any, subject: Session, query: str) -> dict[str, Any]:
        """What the search says: ``found``, and ``searched``, the size of what was looked at where that is not all."""
        texts = {f"_{name}": Cast(name, TextField()) for name in ("tool_calls", "tool_results")}
        holds = Q(content__icontains=query) | Q(_tool_calls__icontains=query) | Q(_tool_results__icontains=query)
        start = Greatest(StrIndex(Lower("content"), Lower(Value(query))) - AROUND, Value(1))
        excerpt = Substr(F("content"), start, 2 * AROUND + len(query))
        rows, is_all = searched(all.oldest_first(), "content", "tool_calls", "tool_results")
        rows = rows.annotate(**texts).filter(holds).annotate(_excerpt=excerpt)
        found = [
            {"role": plain(role, 40), "excerpt": plain(text or "", 200), "address": self.links.message(subject.pk, id)}
            for id, role, text in rows.values_list("pk", "role", "_excerpt")[: FOUND + 1]
        ]
        return {"found": found, "searched": "" if is_all else format.size(SEARCHED)}


def searched(messages: Any, *columns: str) -> tuple[Any, bool]:
    """The first of some ordered messages, as many as have `SEARCHED` bytes in these columns, and whether these are all.

    To search a text the database reads all of it.
    """
    size = reduce(add, (Coalesce(BytesIn(F(column)), Value(0)) for column in columns))
    total = Window(Sum(size), order_by=[F("created_at").asc(), F("id").asc()])
    rows = messages.annotate(_total=total).filter(_total__gt=SEARCHED)
    last = rows.values_list("created_at", "id").first()
    return (messages, True) if last is None else (beyond(messages, last, backward=True), False)


def _failures(messages: Any) -> tuple[Any, bool]:
    """Those with the result of a tool that failed, and whether all were searched."""
    rows, is_all = searched(messages.filter(tool_results__isnull=False), "tool_results")
    return rows.annotate(_text=Cast("tool_results", TextField())).filter(_text__contains=_FAILED), is_all


def _number(text: str | None) -> int | None:
    """A message's id from a query string; None for what is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
