"""The hot reads as SQL, made once for each form; the other questions are in `querysets`."""

from __future__ import annotations

from functools import cache

from django.db import models

BY_ID, OF_SESSION = "id = %s", "session_id = %s"


def columns(model: type[models.Model]) -> list[str]:
    return [str(field.column) for field in model._meta.concrete_fields]


@cache
def select(model: type[models.Model], column: str, conditions: tuple[str, ...], order: str, *, limited: bool) -> str:
    """The rows for which all ``conditions`` hold, each with its placeholders; of one column, or ("") all of them."""
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT {column or ', '.join(columns(model))} FROM {model._meta.db_table}{where}"
        f"{f' ORDER BY {order}' if order else ''}{' LIMIT %s' if limited else ''}"
    )
