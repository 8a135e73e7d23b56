"""How the calls of this package reach the database: as the store's own do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from django.apps import apps
from django.db import connections

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.contrib.langgraph.sql import sql_of
from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.store import DjangoCheckpointStore

R = TypeVar("R")

APP = "obsku_checkpoint.contrib.langgraph"


class OverStore:
    """``using`` is an alias of ``DATABASES`` (by default that of the setting), or a store."""

    def __init__(self, using: str | DjangoCheckpointStore | None) -> None:
        if not apps.is_installed(APP):
            raise ConfigurationError(f"add {APP!r} to INSTALLED_APPS")
        self.store = using if isinstance(using, DjangoCheckpointStore) else DjangoCheckpointStore(using)
        self._sql = sql_of(self.store.using)

    def _run(self, begin: Callable[[], Steps[R]]) -> R:
        """LangGraph makes calls from threads of its own, which end with a run: nobody else closes what they opened."""
        if threading.get_ident() == threading.main_thread().ident:
            return self.store._run(begin)
        connection = connections[self.store.using]
        passing = connection.connection is None
        try:
            return self.store._run(begin)
        finally:
            if passing:
                connection.close()

    async def _run_async(self, begin: Callable[[], Steps[R]]) -> R:
        return await self.store._run_async(begin)
