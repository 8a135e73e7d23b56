"""Keeps the app's tables in the database that ``OBSKU_CHECKPOINT["DATABASE"]`` names."""

from __future__ import annotations

from typing import Any

from django.db import models, router

from obsku_checkpoint import conf

#: the app's, and those of the adapters for agent frameworks, whose tables hang on its sessions: each adds its own
app_labels = {"obsku_checkpoint"}

#: aliases that `PostgresCheckpointStore` has added for itself: they may be migrated as well
own_aliases: set[str] = set()


def has_table(using: str, model: type[models.Model]) -> bool:
    """Whether the database has the model's table; a replica has those of its primary, and migrates none itself."""
    given = conf.current()
    return router.allow_migrate_model(given.DATABASE if using == given.REPLICA else using, model)


class CheckpointRouter:
    """Add ``"obsku_checkpoint.routers.CheckpointRouter"`` to ``DATABASE_ROUTERS``."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        """Of a row of the replica's, whose columns were put off, that is the replica."""
        found, replica = hints.get("instance"), conf.current().REPLICA
        if replica is not None and found is not None and found._state.db == replica:
            return replica if model._meta.app_label in app_labels else None
        return self.db_for_write(model, **hints)

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        return conf.current().DATABASE if model._meta.app_label in app_labels else None

    def allow_relation(self, one: models.Model, other: models.Model, **hints: Any) -> bool | None:
        labels = {one._meta.app_label, other._meta.app_label}
        return True if labels <= app_labels else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        if app_label in app_labels:
            return db == conf.current().DATABASE or db in own_aliases
        return False if db in own_aliases else None
