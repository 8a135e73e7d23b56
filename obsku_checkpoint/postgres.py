"""`PostgresCheckpointStore`: the store for a program that has no Django project.

Importing this module configures Django if nobody has: with the project that ``DJANGO_SETTINGS_MODULE`` names, else
with what the store needs and nothing more. Where Django is configured, the store adds a database alias of its own.
"""

from __future__ import annotations

import getpass
import inspect
import itertools
import os
from typing import Any, Self, cast

import django
import psycopg
from django.apps import apps
from django.conf import ENVIRONMENT_VARIABLE, settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

from obsku_checkpoint import routers
from obsku_checkpoint.errors import ConfigurationError

APP = "obsku_checkpoint"
URL_VARIABLE = "POSTGRES_URL"
#: of the pool, where the caller says nothing
POOL_OPTIONS = {"min_size": 1, "max_size": 10}
#: one arbitrary number, so that processes that set the tables up wait for each other
SETUP_LOCK = 0x6F62736B75

if not settings.configured and not os.environ.get(ENVIRONMENT_VARIABLE):
    settings.configure(INSTALLED_APPS=[APP], USE_TZ=True, LOGGING_CONFIG=None)
if not apps.ready and not apps.loading:
    django.setup()
if APP not in settings.INSTALLED_APPS and not apps.is_installed(APP):
    raise ConfigurationError(f"add {APP!r} to INSTALLED_APPS")

from obsku_checkpoint.store import DjangoCheckpointStore  # noqa: E402 - its models need Django to be set up

_numbers = itertools.count(1)


def _forget_pools() -> None:
    """In a forked child: its parent's connections are not its own, and the pools' threads are gone."""
    for alias in routers.own_aliases:
        DatabaseWrapper._connection_pools.pop(alias, None)  # type: ignore[attr-defined]  # not in the stubs


os.register_at_fork(after_in_child=_forget_pools)


class PostgresCheckpointStore(DjangoCheckpointStore):
    """The checkpoint store over a connection string, with a pool of connections.

    A connection is taken for the time of a call, or of a transaction, and given back; a thread holds none between
    calls. A context manager, sync and async: leaving it closes the pool.
    """

    def __init__(self, connection_string: str | None = None, **pool_options: Any) -> None:
        """``connection_string`` is a URL or a libpq string, by default that in the environment's ``POSTGRES_URL``.

        ``pool_options`` are psycopg_pool's, such as ``min_size``, ``max_size`` and ``timeout`` (seconds).
        Raises `ConfigurationError` for a string that is missing or cannot be read; connects to nothing yet.
        """
        alias = f"{APP}_{next(_numbers)}"
        connections.settings[alias] = _database(connection_string, {**POOL_OPTIONS, **pool_options})
        routers.own_aliases.add(alias)
        super().__init__(using=alias)

    def setup(self) -> None:
        """Create or upgrade the tables, or adopt those of the npm package. Any number of processes may call it."""
        with self._call():
            self._statements.rows("SELECT pg_advisory_lock(%s)", [SETUP_LOCK])
            try:
                executor = MigrationExecutor(connections[self.using])
                executor.migrate(executor.loader.graph.leaf_nodes(APP), fake_initial=True)
            finally:
                self._statements.rows("SELECT pg_advisory_unlock(%s)", [SETUP_LOCK])

    async def asetup(self) -> None:
        await self._run_async(self.setup)

    def close(self) -> None:
        """Close the pool. A later call opens it again."""
        super().close()
        cast("DatabaseWrapper", connections[self.using]).close_pool()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def _release(self) -> None:
        connection = connections[self.using]
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _database(connection_string: str | None, pool_options: dict[str, Any]) -> dict[str, Any]:
    """What ``DATABASES`` would hold for the connection string."""
    connection_string = connection_string or os.environ.get(URL_VARIABLE)
    if not connection_string:
        raise ConfigurationError(f"give a connection string, or set {URL_VARIABLE}")
    try:
        parts = conninfo_to_dict(connection_string)
    except psycopg.ProgrammingError:
        # Without the cause, which quotes the string and so its password.
        raise ConfigurationError("the connection string is neither a URL nor a libpq string") from None
    try:
        inspect.signature(ConnectionPool).bind(**pool_options)
    except TypeError as error:
        raise ConfigurationError(f"psycopg's pool does not know these options: {error}") from error
    user = parts.pop("user", "") or os.environ.get("PGUSER", "")
    name = parts.pop("dbname", "") or os.environ.get("PGDATABASE", "")
    if not name and "service" not in parts:
        name = user or getpass.getuser()  # as libpq does
    database: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": user,
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "OPTIONS": {**parts, "pool": pool_options},
    }
    # Django completes the dict in place with the defaults of the other keys.
    connections.configure_settings({DEFAULT_DB_ALIAS: {}, APP: database})
    return database
