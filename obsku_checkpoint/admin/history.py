"""What people did with a session, in Django's log of admin actions: who, when, and what.

Each entry is one of Django's own ("Added answer …"), so that its pages show and translate it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_noop

from obsku_checkpoint.admin import format
from obsku_checkpoint.models import Session
from obsku_checkpoint.printable import plain

Deed = Literal["answer", "resumption", "fork", "edited output", "failure of the hook"]

# Django translates the names of what was added when it shows an entry.
gettext_noop("answer")
gettext_noop("resumption")
gettext_noop("fork")
gettext_noop("edited output")
gettext_noop("failure of the hook")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that somebody did."""

    who: str
    when: datetime
    #: the same for a page
    moment: SafeString
    #: a sentence in the reader's language, harmless
    text: str
    #: what it was, and the checkpoint and the question it was for; None where another page has written the entry
    deed: Deed | None
    checkpoint_id: str | None
    question: str | None


def note(
    request: HttpRequest,
    session_id: str,
    title: str | None,
    deed: Deed,
    what: str,
    *,
    checkpoint_id: str,
    question: str | None = None,
) -> None:
    """Keep what the person of the request does with the session of this title. ``question`` is its path."""
    message = {
        "added": {"name": deed, "object": plain(what, 400)},
        "checkpoint": checkpoint_id,
        "question": question,
    }
    LogEntry.objects.create(
        user_id=str(request.user.pk),
        content_type=ContentType.objects.get_for_model(Session),
        object_id=session_id,
        object_repr=plain(title or session_id, 200),
        action_flag=CHANGE,
        change_message=json.dumps([message]),
    )


def log(model: type[models.Model], id: str) -> QuerySet[LogEntry]:
    """What Django's log has of one row, the newest first."""
    own = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(model), object_id=id)
    return own.select_related("user").order_by("-action_time", "-pk")


def entries(session_id: str, limit: int) -> list[Entry]:
    """The newest, the newest first."""
    return [_entry(each) for each in log(Session, session_id)[:limit]]


def when(entry: LogEntry) -> datetime:
    """The entry's time, aware also where the project's times are naive."""
    at = entry.action_time
    return timezone.make_aware(at, timezone.get_default_timezone()) if timezone.is_naive(at) else at


def as_logged(moment: datetime) -> datetime:
    """An aware time to compare the log's with."""
    return moment if settings.USE_TZ else moment.astimezone(timezone.get_default_timezone()).replace(tzinfo=None)


def noted(entry: LogEntry) -> dict[str, Any]:
    """What a page of ours has written beside Django's words; empty for an entry of another page."""
    try:
        stored = json.loads(entry.change_message)
    except ValueError:
        return {}
    first = stored[0] if isinstance(stored, list) and stored else None
    return first if isinstance(first, dict) else {}


def _entry(entry: LogEntry) -> Entry:
    what = noted(entry)
    return Entry(
        who=plain(entry.user.get_username(), 80),
        when=when(entry),
        moment=format.ago(when(entry)),
        text=plain(entry.get_change_message() or str(entry), 600),
        deed=what.get("added", {}).get("name") if "checkpoint" in what else None,
        checkpoint_id=what.get("checkpoint"),
        question=what.get("question"),
    )
