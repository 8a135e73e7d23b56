"""What would be deleted with sessions, and what stands in the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import get_deleted_objects
from django.http import HttpRequest
from django.utils.translation import gettext as _

from obsku_checkpoint.models import Checkpoint, Entity, Fact, Message, Session
from obsku_checkpoint.store.deletion import DELETED, is_referred_to


def counts(database: str, session_ids: Sequence[str]) -> dict[str, int]:
    """What to call it -> how many, of what there is: one statement each, no row is read.

    The database itself deletes what hangs on a session; facts lose their source and stay.
    """
    numbers = {
        str(model._meta.verbose_name_plural): model._base_manager.using(database)
        .filter(session_id__in=session_ids)
        .count()
        for model in (Message, Checkpoint, Entity)
    }
    facts = Fact._base_manager.using(database).filter(source_session_id__in=session_ids).count()
    kept = {_("facts that stay, without their source"): facts} if facts else {}
    some = {name: number for name, number in numbers.items() if number}
    return {str(Session._meta.verbose_name_plural): len(session_ids)} | some | kept


def of_the_project(
    database: str, session_ids: Sequence[str], request: HttpRequest, site: AdminSite
) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
    """Rows of the project's own models that refer to ours, as Django's admin has them: trees of what would be deleted,
    numbers, the names of those that this person may not delete, and what is protected.
    """
    trees, numbers, lacking, protected = list[Any](), dict[str, int](), set[str](), list[Any]()
    for model in DELETED:
        if is_referred_to(database, model):
            key = "pk__in" if model is Session else "session_id__in"
            rows = model._base_manager.using(database).filter(**{key: session_ids})
            nested, counted, may_not, protecting = get_deleted_objects(rows, request, site)
            trees += [tree for tree in nested if isinstance(tree, list)]
            own = {str(model._meta.verbose_name), str(model._meta.verbose_name_plural)}
            numbers |= {name: count for name, count in counted.items() if str(name) not in own}
            lacking |= {name for name in may_not if str(name) not in own}
            protected += protecting
    return trees, numbers, lacking, protected
