"""Searching entities and facts: by what they mean where the project has an embedder, and by what they say."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Case, IntegerField, Q, Value, When
from django.http import HttpRequest
from django.utils.translation import gettext as _

from obsku_checkpoint import conf
from obsku_checkpoint.admin.session.filters import NO_WORKSPACE, WorkspaceFilter
from obsku_checkpoint.scope import visible_workspaces

if TYPE_CHECKING:
    from obsku_checkpoint.admin.memory.admin import MemoryAdmin

logger = logging.getLogger(__name__)

#: the nearest that a search shows, and how near they are at least
NEAREST, NEAR = 50, 0.3
#: rows that a list counts, and leads to
COUNTED = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # generic for the type checker only
    """Counts no more rows than anybody will page through."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED].count())


def matching(admin: MemoryAdmin, request: HttpRequest, rows: Any, text: str) -> Any:
    """Those of the rows that are near to the text, the nearest first, and behind them those that have it in them."""
    text = text.replace("\x00", "").strip()
    if not text:
        return rows
    has_text = Q(*((f"{column}__icontains", text) for column in admin.search_fields), _connector=Q.OR)
    near = _nearest(admin, request, text)
    places = [When(pk=id, then=Value(place)) for place, id in enumerate(near)]
    rank = Case(*places, default=Value(NEAREST), output_field=IntegerField())
    return rows.filter(has_text | Q(pk__in=near)).order_by(*([rank] if near else []), *admin.ordering)


def _nearest(admin: MemoryAdmin, request: HttpRequest, text: str) -> list[str]:
    """Ids, the nearest first; none where there is no embedder, or it fails."""
    embedder = conf.embedder()
    if embedder is None:
        return []
    try:
        [vector] = embedder.embed([text])
    except Exception as error:  # noqa: BLE001 - it is the project's, and may be another machine
        logger.warning("The embedder failed: %s", type(error).__name__)
        admin.message_user(request, _("Nothing was searched by meaning: the embedder failed."), messages.WARNING)
        return []
    workspace = request.GET.get(WorkspaceFilter.parameter_name)
    found = admin.store.nearest(
        admin.model,
        vector,
        top_k=NEAREST,
        threshold=NEAR,
        workspace_id=None if workspace == NO_WORKSPACE else workspace,
        workspaces=visible_workspaces(request),
    )
    return [id for id, _ in found]
