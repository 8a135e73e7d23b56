"""For index pages of the admin, a project's own among them: how many sessions wait for a person, and how many failed.

``{% load obsku_checkpoint_admin %}{% session_counts as counts %}`` gives (word, text, number, address) of each state.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib import admin
from django.contrib.admin.sites import site as default_site

from obsku_checkpoint.admin.base import BaseAdmin
from obsku_checkpoint.admin.session.change_list import standing
from obsku_checkpoint.admin.session.status import STATUSES
from obsku_checkpoint.models import Session

register = template.Library()


@register.simple_tag(takes_context=True)
def session_counts(context: Any) -> list[tuple[str, Any, int, str]]:
    """Of the sessions that were active last and that the request may see; empty without the right to see any."""
    request = context["request"]
    site = next((each for each in admin.sites.all_sites if each.name == request.current_app), default_site)
    session_admin = site._registry.get(Session)
    if not isinstance(session_admin, BaseAdmin) or not session_admin.has_view_permission(request):
        return []
    found = standing(session_admin, request)
    address = session_admin.links.sessions()
    shown = (("waiting", "waiting"), ("failed", "failed"), ("working", "unfinished"), ("silent", "unfinished"))
    return [(word, STATUSES[word], found[word], f"{address}?state={state}") for word, state in shown if found.get(word)]
