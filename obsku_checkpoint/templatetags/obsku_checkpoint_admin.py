"""For index pages of an admin site: how many sessions wait for a person, and how many failed.

``{% load obsku_checkpoint_admin %}{% session_counts as counts %}`` gives (word, text, number, address) of each state.
Imports nothing of the admin: Django loads all tags early, also in projects without it.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.apps import apps
from django.db import DatabaseError, transaction

register = template.Library()


@register.simple_tag(takes_context=True)
def session_counts(context: Any) -> list[tuple[str, Any, int, str]]:
    """Of the sessions that were active last and that the request may see; empty without the right to see any.

    Empty as well where they cannot be read: an index page is for other apps, too.
    """
    request = context["request"]
    site = getattr(request.resolver_match.func, "admin_site", None)
    session_admin = site._registry.get(apps.get_model("obsku_checkpoint", "Session")) if site else None
    if session_admin is None:
        return []
    try:
        with transaction.atomic(using=session_admin.database):  # the page may be in a transaction of its own
            counts: list[tuple[str, Any, int, str]] = session_admin.counts_by_state(request)
    except DatabaseError:
        return []
    return counts
