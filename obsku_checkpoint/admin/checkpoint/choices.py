"""The checkpoints that one may be compared with, by the titles of their sessions: those of its tree of forks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from django.db.models import Max, Q
from django.http import HttpRequest
from django.utils.translation import gettext as _

from obsku_checkpoint.admin.checkpoint.name import checkpoint_name
from obsku_checkpoint.admin.session.forks import forks, in_order
from obsku_checkpoint.models import Checkpoint

if TYPE_CHECKING:
    from obsku_checkpoint.admin.base import BaseAdmin

#: the newest of the checkpoint's own session and namespace, and of each other session
OWN, OTHERS = 50, 10
#: sessions that are offered
SESSIONS = 30


@dataclass(frozen=True, slots=True)
class Choices:
    """Of one session."""

    title: str
    #: (id, name), the newest first
    checkpoints: list[tuple[str, str]]


def choices(
    admin: BaseAdmin, request: HttpRequest, visible: Any, checkpoint: Checkpoint, chosen: Checkpoint | None
) -> list[Choices]:
    """Its own session first, then the tree of forks in order. What is ``chosen`` is always among them.

    ``visible`` are the checkpoints that the request may see.
    """
    tree = [id for id, _ in in_order(checkpoint.session_id, forks(admin.database, checkpoint.session_id))]
    others = [id for id in tree if id != checkpoint.session_id][: SESSIONS - 1]
    wanted = [checkpoint.session_id, *others]
    if chosen and chosen.session_id not in wanted:
        wanted.append(chosen.session_id)
    in_namespace = visible.filter(session_id__in=wanted, namespace=checkpoint.namespace)
    newest = in_namespace.order_by().values_list("session_id").annotate(newest=Max("version"))
    counts = {checkpoint.session_id: OWN}
    recent = [Q(session_id=id, version__gt=version - counts.get(id, OTHERS)) for id, version in newest]
    rows = list(in_namespace.filter(reduce(or_, recent)).newest_version_first()) if recent else []
    if chosen and chosen.pk not in {row.pk for row in rows}:
        rows.append(chosen)
    titles = admin.session_titles(request, wanted)
    found = {
        id: [(row.pk, checkpoint_name(row)) for row in rows if row.session_id == id and row.pk != checkpoint.pk]
        for id in wanted
    }
    return [
        Choices(_("This session") if id == checkpoint.session_id else titles[id], found[id])
        for id in wanted
        if id in titles and found[id]
    ]
