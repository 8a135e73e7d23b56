"""System checks: what is wrong with the settings is told at start-up, with a hint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import DEFAULT_DB_ALIAS, connections, router

from obsku_checkpoint import conf

ENGINES = ("postgresql", "sqlite")


@register
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E001 not a dict, W001 unknown key, E002 unknown database, W002 router missing, E003 unsupported database."""
    given: object = conf.given()
    if not isinstance(given, dict):
        return [Error(f"{conf.NAME} must be a dict.", id="obsku_checkpoint.E001")]
    messages: list[CheckMessage] = [
        Warning(
            f"{conf.NAME} has the unknown key {key!r}.",
            hint=f"Known keys: {', '.join(sorted(conf.KEYS))}.",
            id="obsku_checkpoint.W001",
        )
        for key in given
        if key not in conf.KEYS
    ]
    return messages + check_database(conf.current().DATABASE)


def check_database(alias: object) -> list[CheckMessage]:
    if not isinstance(alias, str) or alias not in connections.settings:
        hint = f"DATABASES has: {', '.join(sorted(connections.settings))}."
        message = f"{conf.NAME}['DATABASE'] names no database: {alias!r}."
        return [Error(message, hint=hint, id="obsku_checkpoint.E002")]
    if connections[alias].vendor not in ENGINES:
        message = f"obsku_checkpoint keeps its tables in PostgreSQL or SQLite, not in {connections[alias].vendor}."
        return [Error(message, id="obsku_checkpoint.E003")]
    if alias != DEFAULT_DB_ALIAS and router.allow_migrate(DEFAULT_DB_ALIAS, "obsku_checkpoint"):
        message = f"{conf.NAME}['DATABASE'] is {alias!r}, but the tables would be created in 'default' too."
        hint = "Add 'obsku_checkpoint.routers.CheckpointRouter' to DATABASE_ROUTERS."
        return [Warning(message, hint=hint, id="obsku_checkpoint.W002")]
    return []
