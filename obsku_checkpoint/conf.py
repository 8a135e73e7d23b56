"""Our settings: one dict, ``OBSKU_CHECKPOINT``, every key optional. Read from Django each time they are used."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

NAME = "OBSKU_CHECKPOINT"


@dataclass(frozen=True, slots=True)
class Settings:
    DATABASE: str = DEFAULT_DB_ALIAS
    """The alias in ``DATABASES`` that holds the tables. Other than "default", it needs
    `obsku_checkpoint.routers.CheckpointRouter` in ``DATABASE_ROUTERS``."""


KEYS = frozenset(field.name for field in fields(Settings))


def given() -> dict[str, Any]:
    """The project's dict as it stands; the system checks judge it."""
    return getattr(settings, NAME, {})


def current() -> Settings:
    return Settings(**{key: value for key, value in given().items() if key in KEYS})
