"""The backend: a thread's connection is taken from the store's pool, and given back with the call or transaction."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base
from psycopg import IsolationLevel

from obsku_checkpoint.store.pools import threads_pools


class DatabaseWrapper(base.DatabaseWrapper):
    _in_transaction = False

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        self.isolation_level = IsolationLevel.READ_COMMITTED
        return threads_pools[self.alias].take(lambda: base.DatabaseWrapper.get_new_connection(self, conn_params))

    def _close(self) -> None:
        if self.connection is not None:
            threads_pools[self.alias].give(self.connection)
            self.connection = None

    def set_autocommit(self, autocommit: bool, *args: Any, **kwargs: Any) -> None:
        """Django's ``atomic()`` switches it off when it begins and on when it has ended."""
        ended, self._in_transaction = self._in_transaction and autocommit, False
        super().set_autocommit(autocommit, *args, **kwargs)  # it may have to connect, which calls this once more
        self._in_transaction = not autocommit
        if ended:
            self.close()
