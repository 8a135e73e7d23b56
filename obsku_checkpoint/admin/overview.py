"""The first page of a session: its figures, how it stands, and what it asks."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.utils.safestring import SafeString

from obsku_checkpoint.admin import units, values
from obsku_checkpoint.admin.drawings.sparkline import sparkline
from obsku_checkpoint.admin.figures import figures
from obsku_checkpoint.admin.links import Links
from obsku_checkpoint.admin.newest import NAMESPACES, namespaces
from obsku_checkpoint.admin.states import State
from obsku_checkpoint.admin.stored import json_columns, stored_json
from obsku_checkpoint.admin.transcript import entries, messages_of
from obsku_checkpoint.models import Message, Session
from obsku_checkpoint.plain_text import plain

#: messages of the sparkline
SPARK = 150
#: messages that are shown in short
LAST = 4


def overview(database: str, session: Session, state: State, links: Links) -> dict[str, Any]:
    """The context of the template."""
    found = figures(database, [session.pk])[session.pk]
    last = list(messages_of(database, session.pk).newest_first()[:LAST])[::-1]
    lasted = units.span(session.created_at, session.updated_at)
    return {
        "told": {name: f"{number:,}" for name, number in asdict(found).items()},
        "lasted": units.duration(lasted) if lasted is not None else "",
        "created": units.moment(session.created_at),
        "updated": units.moment(session.updated_at),
        "namespaces": namespaces(database, state.newest, links),
        "more_namespaces": max(0, len(state.newest) - NAMESPACES),
        "sparkline": _tokens(database, session.pk),
        "last": [(entry, links.message(session.pk, entry.id)) for entry in entries(last)],
        "about": {"workspace": plain(session.workspace_id or "none", 200), "directory": plain(session.directory, 500)},
        "metadata": _metadata(database, session),
    }


def _tokens(database: str, session_id: str) -> SafeString:
    rows = Message.objects.using(database).in_session(session_id).newest_first().values_list("tokens_in", "tokens_out")
    counted = [(tokens_in or 0, tokens_out or 0) for tokens_in, tokens_out in rows[:SPARK]]
    return sparkline([pair for pair in reversed(counted) if any(pair)])


def _metadata(database: str, session: Session) -> SafeString:
    row = (
        Session.objects.using(database)
        .filter(pk=session.pk)
        .defer("metadata")
        .annotate(**json_columns("metadata"))
        .first()
    )
    stored = stored_json(row, "metadata") if row else None
    return values.tree(stored.value) if stored else SafeString("")
