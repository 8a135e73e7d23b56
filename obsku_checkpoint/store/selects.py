"""The hot reads as SQL, made once for each form; the other questions are in `querysets`."""

from __future__ import annotations

from functools import cache

from django.db import models


def columns(model: type[models.Model]) -> list[str]:
    return [str(field.column) for field in model._meta.concrete_fields]


@cache
def select(
    model: type[models.Model], conditions: tuple[str, ...] = (), order: str = "", *, limited: bool = False
) -> str:
    """All columns of the rows for which ``conditions``, each with a placeholder, hold."""
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT {', '.join(columns(model))} FROM {model._meta.db_table}{where}"
        f"{f' ORDER BY {order}' if order else ''}{' LIMIT %s' if limited else ''}"
    )
