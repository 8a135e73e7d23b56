"""Keeps the app's tables in the database that ``OBSKU_CHECKPOINT["DATABASE"]`` names."""

from __future__ import annotations

from typing import Any

from django.db import models

from obsku_checkpoint import conf

#: the app's, and those of the adapters for agent frameworks, whose tables hang on its sessions: each adds its own
app_labels = {"obsku_checkpoint"}

#: aliases that `PostgresCheckpointStore` has added for itself: they may be migrated as well
own_aliases: set[str] = set()


class CheckpointRouter:
    """Add ``"obsku_checkpoint.routers.CheckpointRouter"`` to ``DATABASE_ROUTERS``."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        return conf.current().DATABASE if model._meta.app_label in app_labels else None

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        return self.db_for_read(model, **hints)

    def allow_relation(self, one: models.Model, other: models.Model, **hints: Any) -> bool | None:
        labels = {one._meta.app_label, other._meta.app_label}
        return True if labels <= app_labels else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        if app_label in app_labels:
            return db == conf.current().DATABASE or db in own_aliases
        return False if db in own_aliases else None
