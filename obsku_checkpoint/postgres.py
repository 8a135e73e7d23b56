"""`PostgresCheckpointStore`: the store for a program that has no Django project.

Importing this module configures Django if nobody has: with the project that ``DJANGO_SETTINGS_MODULE`` names, else
with what the store needs and nothing more. Where Django is configured, the store adds a database alias of its own.
"""

from __future__ import annotations

import getpass
import itertools
import math
import os
import weakref
from typing import Any, Self

import django
from django.apps import apps
from django.conf import ENVIRONMENT_VARIABLE, settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.migrations.executor import MigrationExecutor

from obsku_checkpoint import checks, routers, table_locks
from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.extras import is_installed, require

require("postgres", "psycopg")

import psycopg  # noqa: E402 - it is looked for first
from psycopg.conninfo import conninfo_to_dict  # noqa: E402 - as well

APP = "obsku_checkpoint"
#: the adapters' apps, and the frameworks that they serve
ADAPTERS = {
    "obsku_checkpoint.contrib.langgraph": ["langgraph.checkpoint"],
    "obsku_checkpoint.contrib.transcripts": ["agents", "pydantic_ai"],
}
URL_VARIABLE = "POSTGRES_URL"
#: one arbitrary number, so that processes that set the tables up wait for each other
SETUP_LOCK = 0x6F62736B75


if not settings.configured and not os.environ.get(ENVIRONMENT_VARIABLE):
    adapters = [app for app, frameworks in ADAPTERS.items() if any(map(is_installed, frameworks))]
    settings.configure(INSTALLED_APPS=[APP, *adapters], USE_TZ=True, LOGGING_CONFIG=None)
if not apps.ready and not apps.loading:
    django.setup()
if APP not in settings.INSTALLED_APPS and not apps.is_installed(APP):
    raise ConfigurationError(f"add {APP!r} to INSTALLED_APPS")

from obsku_checkpoint.store import DjangoCheckpointStore, loop_pools, pools  # noqa: E402 - its models need Django to be set up

_numbers = itertools.count(1)


class _Unset:
    """The type of an argument that was not given, where None has a meaning of its own."""


_UNSET = _Unset()


class PostgresCheckpointStore(DjangoCheckpointStore):
    """The checkpoint store over a connection string, with a pool of connections.

    A connection is taken for the time of a call, or of a transaction, and given back; a thread holds none between
    calls. A context manager, sync and async: leaving it closes the pool.
    """

    def __init__(
        self,
        connection_string: str | None = None,
        *,
        min_size: int = 1,
        max_size: int = 10,
        timeout: float = 30,
        prepare_threshold: int | _Unset | None = _UNSET,
        **unknown: Any,
    ) -> None:
        """``connection_string`` is a URL or a libpq string, by default that in the environment's ``POSTGRES_URL``.

        At most ``max_size`` connections serve the threads of a process, and as many each event loop; of the former,
        ``min_size`` stay open however long they are idle. ``timeout`` is how many seconds a call waits for a
        connection. A statement is prepared after ``prepare_threshold`` executions on a connection, with None never; by
        default after 5, unless a pooler of transactions is noticed. Raises `ConfigurationError` for what cannot be
        used; connects to nothing yet.
        """
        if unknown:
            known = "min_size, max_size, timeout and prepare_threshold"
            raise ConfigurationError(f"unexpected arguments: {', '.join(unknown)}; known are {known}")
        _check(min_size, max_size, timeout, prepare_threshold)
        alias = f"{APP}_{next(_numbers)}"
        self._sizes = {"async_size": max_size, "timeout": timeout}
        connections.settings[alias] = _database(connection_string, timeout, prepare_threshold)
        routers.own_aliases.add(alias)
        pools.threads_pools[alias] = pools.ThreadsPool(alias, size=max_size, timeout=timeout, keep=min_size)
        weakref.finalize(self, _forget, alias).atexit = False
        super().__init__(using=alias)

    def _calls_of(self, calls: type[Any]) -> Any:
        return calls(self.using, type(self), gives_back=True, **self._sizes)

    def setup(self) -> None:
        """Create or upgrade the tables, also those of the adapters in ``INSTALLED_APPS`` (in a program without Django
        settings: of the frameworks that can be imported), or adopt those of the npm package. Any number of processes
        may call it.

        All of it is one transaction. They are looked for, and made, in the first schema of the ``search_path``. Where
        nothing is to be done, rights to change the schema are not needed.
        """
        with self._calls.in_our_words("setup"), transaction.atomic(using=self.using):
            self._set_up()

    def _set_up(self) -> None:
        with connections[self.using].cursor() as cursor:
            # Without a word to other sessions, which a pooler would carry to the next client.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SETUP_LOCK])
            cursor.execute("SELECT current_schema(), set_config('search_path', quote_ident(current_schema()), true)")
            schema = cursor.fetchone()[0]
            if schema is None:
                raise ConfigurationError("no schema of the search_path exists, or may be used: create it first")
            labels = sorted(routers.app_labels)
            models = [model for label in labels for model in apps.get_app_config(label).get_models()]
            cursor.execute(
                "SELECT has_table_privilege(to_regclass('django_migrations'), 'SELECT'), count(to_regclass(name))"
                " FROM unnest(%s::text[]) AS name",
                [[model._meta.db_table for model in models]],
            )
            may_read, tables = cursor.fetchone()
            if may_read is False and tables == len(models):
                return  # a role that may not even look cannot have been meant to upgrade
            executor = MigrationExecutor(connections[self.using])
            targets = [node for label in labels for node in executor.loader.graph.leaf_nodes(label)]
            if executor.migration_plan(targets):
                cursor.execute("SELECT has_schema_privilege(%s, 'CREATE')", [schema])
                if cursor.fetchone() == (False,):
                    raise ConfigurationError(
                        f"the tables must be made or upgraded, and this role may not create in the schema {schema!r}:"
                        " call setup() as a role that may"
                    )
                for table, owner in checks.foreign_tables(self.using):
                    raise ConfigurationError(
                        f"the table {table} in the schema {schema!r} is {owner}'s: name a schema of your own in the"
                        " connection string (options=-csearch_path%3Dagents), or another database"
                    )
                table_locks.lock(connections[self.using], "ACCESS EXCLUSIVE")  # all of what follows is one transaction
                executor.migrate(targets, fake_initial=True)

    async def asetup(self) -> None:
        await self._in_thread(self.setup)

    def close(self) -> None:
        """Close the pool of the threads. A later call opens it again."""
        super().close()
        pools.threads_pools[self.using].close_free()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


def _check(min_size: Any, max_size: Any, timeout: Any, prepare_threshold: Any) -> None:
    if type(max_size) is not int or max_size < 1:
        raise ConfigurationError(f"max_size must be a positive integer, not {max_size!r}")
    if type(min_size) is not int or not 0 <= min_size <= max_size:
        raise ConfigurationError(f"min_size must be an integer from 0 to max_size, not {min_size!r}")
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
        raise ConfigurationError(f"timeout must be a positive number of seconds, not {timeout!r}")
    if prepare_threshold not in (None, _UNSET) and (type(prepare_threshold) is not int or prepare_threshold < 0):
        raise ConfigurationError(f"prepare_threshold must be an integer, 0 or more, or None, not {prepare_threshold!r}")


def _forget(alias: str) -> None:
    """The store is gone, and with it all that would use its connections."""
    pools.drop(alias)
    loop_pools.drop(alias)
    routers.own_aliases.discard(alias)
    connections.settings.pop(alias, None)


def _database(connection_string: str | None, timeout: float, prepare_threshold: int | _Unset | None) -> dict[str, Any]:
    """What ``DATABASES`` would hold for the connection string."""
    connection_string = connection_string or os.environ.get(URL_VARIABLE)
    if not connection_string:
        raise ConfigurationError(f"give a connection string, or set {URL_VARIABLE}")
    try:
        parts = conninfo_to_dict(connection_string)
    except psycopg.ProgrammingError:
        # Without the cause, which quotes the string and so its password.
        raise ConfigurationError("the connection string is neither a URL nor a libpq string") from None
    user = parts.pop("user", "") or os.environ.get("PGUSER", "")
    name = parts.pop("dbname", "") or os.environ.get("PGDATABASE", "")
    if not name and "service" not in parts:
        name = user or getpass.getuser()  # as libpq does
    options: dict[str, Any] = {"connect_timeout": max(2, math.ceil(timeout)), **parts}
    if not isinstance(prepare_threshold, _Unset):
        options["prepare_threshold"] = prepare_threshold
    database: dict[str, Any] = {
        "ENGINE": "obsku_checkpoint.pooled_postgresql",
        "NAME": name,
        "USER": user,
        "PASSWORD": options.pop("password", ""),
        "HOST": options.pop("host", ""),
        "PORT": options.pop("port", ""),
        "OPTIONS": options,
    }
    # Django completes the dict in place with the defaults of the other keys.
    connections.configure_settings({DEFAULT_DB_ALIAS: {}, APP: database})
    return database
