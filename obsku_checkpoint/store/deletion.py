"""Deletion where models of the host project refer to ours: Django's rules (CASCADE, SET_NULL, PROTECT, …) are followed.

Our own tables need none of it: the database deletes what hangs on a session.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, connections, models, transaction
from django.db.models.deletion import DO_NOTHING, PROTECT, RESTRICT, ProtectedError, RestrictedError

from obsku_checkpoint.errors import SessionInUseError
from obsku_checkpoint.fields import SessionForeignKey
from obsku_checkpoint.models import Checkpoint, Entity, Message, Session
from obsku_checkpoint.routers import has_table, own_aliases

#: what the database deletes with a session
CHILDREN = (Message, Checkpoint, Entity)
DELETED = (Session, *CHILDREN)
#: of one statement: databases have a limit on parameters
SESSIONS = 1000


def referring_fields(using: str, model: type[models.Model]) -> Iterator[Any]:
    """The foreign keys to one of our models from the host project's in the same database.

    A many-to-many relation has one, and so has a model that inherits from ours. What the database itself deletes, or
    clears, is none of Django's business.
    """
    if using in own_aliases:
        return
    for relation in model._meta.get_fields(include_hidden=True):
        if relation.auto_created and not relation.concrete and (relation.one_to_one or relation.one_to_many):
            host = relation.field.model._meta  # type: ignore[union-attr]  # such a relation has a field
            field = relation.field  # type: ignore[union-attr]  # as above
            if not isinstance(field, SessionForeignKey) and has_table(using, host.model):
                yield field


def is_referred_to(using: str, *ours: type[models.Model]) -> bool:
    return any(True for model in ours for _ in referring_fields(using, model))


def delete(using: str, session_ids: Sequence[str]) -> list[str]:
    """Delete the sessions, and what Django would delete of the host's, all or none. Returns the ids that there were.

    Raises `SessionInUseError` where Django protects one of them.
    """
    # In order: of two that delete the same ones, the second waits.
    ids = sorted(set(session_ids))
    only = ids[0] if len(ids) == 1 else ""
    deleted: list[str] = []
    with _protection_in_our_words(using, only), transaction.atomic(using=using):
        for start in range(0, len(ids), SESSIONS):
            sessions = Session._base_manager.using(using).filter(pk__in=ids[start : start + SESSIONS])
            there = list(sessions.select_for_update().order_by("pk").values_list("pk", flat=True))
            for child in CHILDREN:
                if is_referred_to(using, child):
                    child._base_manager.using(using).filter(session_id__in=there).delete()
            sessions.delete()
            deleted += there
        if deleted:
            _check_constraints(using, only)
    return deleted


def delete_checkpoints(using: str, ids: Sequence[str]) -> None:
    """Delete checkpoints, and what Django would delete of the host's. Raises `SessionInUseError` as `delete` does."""
    with _protection_in_our_words(using, ""):
        Checkpoint._base_manager.using(using).filter(pk__in=ids).delete()


def _check_constraints(using: str, session_id: str) -> None:
    """Django lets the database look at its foreign keys only when the transaction ends, which may be the caller's.

    Where models leave the deletion to the database (``DO_NOTHING``), it looks now.
    """
    fields = [field for model in DELETED for field in referring_fields(using, model)]
    left = [field for field in fields if field.remote_field.on_delete is DO_NOTHING and field.db_constraint]
    if left:
        try:
            connections[using].check_constraints(table_names=[field.model._meta.db_table for field in left])
        except IntegrityError as error:
            constraint = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
            label = " or ".join(f"{field.model._meta.label}.{field.name}" for field in left)
            raise SessionInUseError(session_id, constraint or label) from error


@contextmanager
def _protection_in_our_words(using: str, session_id: str) -> Iterator[None]:
    """``session_id`` is empty where several may be meant."""
    try:
        yield
    except ProtectedError as error:
        raise _in_use(using, session_id, next(iter(error.protected_objects))) from error
    except RestrictedError as error:
        raise _in_use(using, session_id, next(iter(error.restricted_objects))) from error


def _in_use(using: str, session_id: str, row: models.Model) -> SessionInUseError:
    """By a row that Django protects us by: ``app.Model.field``; an indirect one has only its model's name."""
    for model in DELETED:
        for field in referring_fields(using, model):
            if isinstance(row, field.model) and field.remote_field.on_delete in (PROTECT, RESTRICT):
                ours = model._base_manager.using(using).filter(**{field.target_field.name: getattr(row, field.attname)})
                found = ours.values_list("pk" if model is Session else "session_id", flat=True).first()
                return SessionInUseError(found or session_id, f"{field.model._meta.label}.{field.name}")
    return SessionInUseError(session_id, row._meta.label)
