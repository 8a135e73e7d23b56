"""Messages as pages show them: bounded, each tool result beside its call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from obsku_checkpoint.admin import format, values
from obsku_checkpoint.admin.large_columns import Stored, json_columns, stored_json, stored_text, text_columns
from obsku_checkpoint.admin.session.events import Event
from obsku_checkpoint.admin.values import harmless, text_of
from obsku_checkpoint.models import Message
from obsku_checkpoint.printable import plain
from obsku_checkpoint.records import CorruptValue

#: a content longer than this, or of more lines, is folded
LONG, LINES = 1200, 16
#: bytes of a tool's input or result that are shown as a tree
TREE_BYTES = 200_000
TREE_ENTRIES = 300
GAP = timedelta(seconds=1)


@dataclass(slots=True)
class Result:
    """One tool result."""

    use_id: str
    status: str
    value: SafeString
    message_id: int

    first_line: str
    content: Any
    #: from the call to the result
    lasted: str = ""
    #: no message before has a call for it
    is_lonely: bool = False

    @property
    def name(self) -> str:
        return plain(self.use_id, 60)

    @property
    def failed(self) -> bool:
        return self.status == "error"


@dataclass(slots=True)
class Call:
    """One tool call, with its result where that is on the same page."""

    name: str
    use_id: str
    preview: str
    input: SafeString
    result: Result | None = None
    #: no later message has a result either
    is_open: bool = False


@dataclass(slots=True)
class Entry:
    """One message as the page shows it."""

    message: Any
    content: Stored | None
    gap: str = ""
    calls: list[Call] = field(default_factory=list)
    #: results whose call is not on the page
    results: list[Result] = field(default_factory=list)
    #: what happened between the message before and this one
    events: list[Event] = field(default_factory=list)
    #: the place in the session, from 1; 0 where it is not known
    number: int = 0
    all_results: list[Result] = field(default_factory=list)
    #: columns that are corrupt or too long: (name, html)
    unread: list[tuple[str, SafeString]] = field(default_factory=list)

    @property
    def id(self) -> int:
        id: int = self.message.pk
        return id

    @property
    def role(self) -> str:
        return plain(self.message.role, 40)

    @property
    def role_class(self) -> str:
        return self.message.role if self.message.role in ("user", "assistant", "system", "tool") else "other"

    @property
    def is_beside(self) -> bool:
        """Whether all that the message says stands beside calls of messages before it."""
        if not self.all_results or self.calls or self.results or self.unread:
            return False
        return self.content is None or self.content.value in ("", *(result.content for result in self.all_results))

    @property
    def saved(self) -> SafeString:
        return format.timestamp(self.message.created_at)

    @property
    def time(self) -> SafeString:
        return format.exact(self.message.created_at)

    @property
    def text(self) -> SafeString:
        return harmless(self.content.value) if self.content else SafeString("")

    @property
    def first_line(self) -> str:
        return plain(self.content.value, 160) if self.content else ""

    @property
    def folded(self) -> bool:
        text = self.content.value if self.content else ""
        return len(text) > LONG or text.count("\n") >= LINES

    @property
    def size(self) -> str:
        return format.size(self.content.bytes) if self.content else ""


def messages_of(database: str, session_id: str) -> Any:
    """The session's messages, whose long columns are read up to a bound."""
    messages: QuerySet[Any] = Message.objects.using(database).in_session(session_id)
    return messages.defer("content", "tool_calls", "tool_results").annotate(
        **text_columns("content"), **json_columns("tool_calls", TREE_BYTES), **json_columns("tool_results", TREE_BYTES)
    )


def entries(rows: Sequence[Any]) -> Iterator[Entry]:
    """The messages as they are shown, oldest first, each tool result beside its call."""
    calls: dict[str, tuple[Any, Call]] = {}
    last: datetime | CorruptValue | None = None
    for row in rows:
        entry = Entry(row, stored_text(row, "content"))
        passed = format.span(last, row.created_at) if last is not None else None
        entry.gap = format.duration(passed) if passed is not None and passed >= GAP else ""
        last = row.created_at
        for item in _items(entry, "tool_calls"):
            call = _call(item)
            entry.calls.append(call)
            calls[call.use_id] = (row, call)
        for item in _items(entry, "tool_results"):
            result = _result(item, row.pk)
            entry.all_results.append(result)
            asking, asked = calls.get(result.use_id, (None, None))
            if asking is None or asked is None or asked.result:
                entry.results.append(result)
            else:
                asked.result = result
                passed = format.span(asking.created_at, row.created_at)
                result.lasted = format.duration(passed) if passed is not None else ""
        yield entry


def _items(entry: Entry, column: str) -> Iterable[dict[str, Any]]:
    stored = stored_json(entry.message, column)
    if stored is None:
        return []
    if isinstance(stored.value, list) and all(isinstance(item, dict) for item in stored.value):
        return stored.value
    entry.unread.append((column, values.tree(stored.value, entries=TREE_ENTRIES)))
    return []


def _call(item: dict[str, Any]) -> Call:
    input = item.get("input")
    rest = {key: value for key, value in item.items() if key not in ("name", "toolUseId", "input")}
    shown = {"input": input, **rest} if rest else input
    return Call(
        name=text_of(item.get("name", ""), 80) or _("unnamed"),
        use_id=_use_id(item),
        preview=_summary(input),
        input=values.tree(shown, entries=TREE_ENTRIES),
    )


def _result(item: dict[str, Any], message_id: int) -> Result:
    """A result's data says more than its text, which is shown beside it where it is not the JSON of the data."""
    rest = {key: value for key, value in item.items() if key not in ("content", "toolUseId", "status")}
    content = values.parsed(item.get("content"))
    if "data" in rest and rest["data"] == content:
        del rest["data"]
    shown = {"content": content, **rest} if rest else content
    return Result(
        use_id=_use_id(item),
        status=text_of(item.get("status", ""), 40),
        value=values.tree(shown, entries=TREE_ENTRIES),
        message_id=message_id,
        first_line=text_of(item.get("content", ""), 120),
        content=item.get("content"),
    )


def _summary(input: Any) -> str:
    if not isinstance(input, dict):
        return text_of(input, 100)
    return plain(
        ", ".join(f"{text_of(name, 40)}: {text_of(value, 100)}" for name, value in islice(input.items(), 8)), 100
    )


def _use_id(item: dict[str, Any]) -> str:
    return text_of(item.get("toolUseId", ""), 1000)
