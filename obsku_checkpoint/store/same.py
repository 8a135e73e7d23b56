"""Whether a retried write says the same as what is stored."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import models

from obsku_checkpoint import codec
from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.fields import JsonPlusField
from obsku_checkpoint.store.rows import Row


def same_content(model: type[models.Model], stored: Row, given: Row, columns: Collection[str]) -> bool:
    """Compare the raw values of ``columns``; JSON columns regardless of white space and order of keys."""
    for field, one, other in zip(model._meta.concrete_fields, stored, given, strict=True):
        if field.column in columns and one != other and not (isinstance(field, JsonPlusField) and _equal(one, other)):
            return False
    return True


def _equal(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return False
    try:
        return codec.canonical(one) == codec.canonical(other)
    except CheckpointCorruptionError:
        return False
