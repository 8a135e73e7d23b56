"""System checks: what is wrong with the settings is told at start-up, with a hint."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.urls import URLResolver, get_resolver
from django.utils.module_loading import import_string

from obsku_checkpoint import conf

ENGINES = ("postgresql", "sqlite")
SIZES = (
    "ASYNC_MAX_CONNECTIONS",
    "PAGE_SIZE",
    "MAX_PAGE_SIZE",
    "MAX_PAGE_BYTES",
    "MAX_BODY_BYTES",
    "STREAM_INTERVAL_MS",
    "STREAM_MAX_SECONDS",
    "STREAMS_PER_USER",
)


@register
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What the dict holds.

    E001 not a dict, W001 unknown key, E002 unknown database, W002 router missing, E003 unsupported database, E004 no
    positive integer, E005 no list of dotted paths, E006 a dotted path that leads to nothing that can be called as
    it is, E007 an unknown way of async calls, E009 an embedder that does not embed, E010 prices that are none, E011 no
    replica, W003 PAGE_SIZE above MAX_PAGE_SIZE.
    """
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
    current = conf.current()
    if current.ASYNC not in ("native", "django"):
        message = f"{conf.NAME}['ASYNC'] must be 'native' or 'django', not {current.ASYNC!r}."
        messages.append(Error(message, id="obsku_checkpoint.E007"))
    messages += check_database(current.DATABASE) + check_replica(current) + check_sizes(current) + check_paths(given)
    return messages + check_embedder(current) + check_prices(given)


@register(Tags.urls)
def check_access(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W005 nobody can be signed in, where the project has mounted the API."""
    given: object = conf.given()
    mounted = getattr(settings, "ROOT_URLCONF", None) and _mounts_api(get_resolver())
    if not mounted or not isinstance(given, dict):
        return []
    messages: list[CheckMessage] = []
    classes = given.get("PERMISSION_CLASSES", ())
    if not isinstance(classes, list | tuple):
        return []
    authentication = getattr(settings, "REST_FRAMEWORK", {}).get("DEFAULT_AUTHENTICATION_CLASSES")
    if authentication is not None and not authentication and not classes:
        message = "REST_FRAMEWORK['DEFAULT_AUTHENTICATION_CLASSES'] is empty, so the API refuses everybody."
        hint = f"Nobody can be signed in: name classes there, or {conf.NAME}['PERMISSION_CLASSES'] that need no user."
        messages.append(Warning(message, hint=hint, id="obsku_checkpoint.W005"))
    return messages


def _mounts_api(resolver: URLResolver) -> bool:
    below = (pattern for pattern in resolver.url_patterns if isinstance(pattern, URLResolver))
    return any(
        getattr(one.urlconf_name, "__name__", "") == "obsku_checkpoint.api.urls" or _mounts_api(one) for one in below
    )


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


def check_replica(current: conf.Settings) -> list[CheckMessage]:
    alias: object = current.REPLICA
    if alias is None:
        return []
    if not isinstance(alias, str) or alias not in connections.settings:
        reason = "names no database"
    elif alias == current.DATABASE:
        reason = "is DATABASE itself"
    elif connections[alias].vendor != "postgresql":
        reason = f"is {connections[alias].vendor}, which has no streaming replicas"
    else:
        return []
    hint = f"It is the alias of a PostgreSQL server that replicates {current.DATABASE!r}; leave it out where none does."
    return [Error(f"{conf.NAME}['REPLICA'] {reason}: {alias!r}.", hint=hint, id="obsku_checkpoint.E011")]


#: tables of the same names that others make: (table, a column that ours does not have, whose it is)
FOREIGN = (("checkpoints", "thread_id", "LangGraph"), ("sessions", "app_name", "Google's Agent Development Kit"))


@register(Tags.database)
def check_tables(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """E008: a table of ours has the name of one that is there already, and is somebody else's. Before `migrate`."""
    return [
        Error(f"The table {table} in the database {alias!r} is {owner}'s.", hint=HINT, id="obsku_checkpoint.E008")
        for alias in databases or ()
        if router.allow_migrate(alias, "obsku_checkpoint") and connections[alias].vendor in ENGINES
        for table, owner in foreign_tables(alias)
    ]


HINT = (
    "Give this app a schema or a database of its own: an alias in DATABASES, on PostgreSQL with OPTIONS={'options': '-c"
    f" search_path=agents'}}, which {conf.NAME}['DATABASE'] names, and 'obsku_checkpoint.routers.CheckpointRouter' in"
    " DATABASE_ROUTERS."
)


def foreign_tables(alias: str) -> list[tuple[str, str]]:
    """(table, whose it is) of those that are in the way of ours."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        columns = {
            table: {column.name for column in connection.introspection.get_table_description(cursor, table)}
            for table, _, _ in FOREIGN
            if table in tables
        }
    return [(table, owner) for table, column, owner in FOREIGN if column in columns.get(table, ())]


def check_sizes(current: conf.Settings) -> list[CheckMessage]:
    sizes: dict[str, object] = {name: getattr(current, name) for name in SIZES}
    messages: list[CheckMessage] = [
        Error(f"{conf.NAME}[{name!r}] must be a positive integer, not {size!r}.", id="obsku_checkpoint.E004")
        for name, size in sizes.items()
        if type(size) is not int or size < 1
    ]
    if not messages and current.PAGE_SIZE > current.MAX_PAGE_SIZE:
        message = f"{conf.NAME}['PAGE_SIZE'] is above MAX_PAGE_SIZE: a page has MAX_PAGE_SIZE records."
        return [Warning(message, id="obsku_checkpoint.W003")]
    return messages


def check_prices(given: Mapping[str, object]) -> list[CheckMessage]:
    prices = given.get("TOKEN_PRICES", {})
    hint = "{'a-model': [0.5, 2]} is the price of a million tokens in, and of a million tokens out."
    if not isinstance(prices, Mapping):
        message = f"{conf.NAME}['TOKEN_PRICES'] must be a dict, not {prices!r}."
        return [Error(message, hint=hint, id="obsku_checkpoint.E010")]
    return [
        Error(f"{conf.NAME}['TOKEN_PRICES'][{name!r}] {wrong}.", hint=hint, id="obsku_checkpoint.E010")
        for name, price in prices.items()
        if (wrong := _no_price(name, price))
    ]


def _no_price(name: object, price: object) -> str:
    if not isinstance(name, str):
        return "must be the price of a model or a workspace, whose name is text"
    if not isinstance(price, list | tuple) or len(price) != 2:
        return f"must be two numbers, not {price!r}"
    bad = [one for one in price if type(one) not in (int, float) or not 0 <= one < math.inf]
    return f"must be two numbers from 0 on, not {bad[0]!r}" if bad else ""


def check_paths(given: Mapping[str, object]) -> list[CheckMessage]:
    """Dotted paths that the project gave. (The default needs no look: it leads to what the API's extra installs.)"""
    paths: list[tuple[str, object]] = []
    classes = given.get("PERMISSION_CLASSES", ())
    if not isinstance(classes, list | tuple):
        message = f"{conf.NAME}['PERMISSION_CLASSES'] must be a list of dotted paths, not {classes!r}."
        return [Error(message, id="obsku_checkpoint.E005")]
    if "PERMISSION_CLASSES" in given and not classes:
        message = f"{conf.NAME}['PERMISSION_CLASSES'] is empty, so the API would be open to everybody."
        hint = "If that is meant, say so: ['rest_framework.permissions.AllowAny']."
        return [Error(message, hint=hint, id="obsku_checkpoint.E005")]
    paths += [("PERMISSION_CLASSES", path) for path in classes]
    functions = ("WORKSPACE_SCOPE", "RESUME")
    paths += [(name, given[name]) for name in functions if given.get(name) is not None]
    return [
        Error(f"{conf.NAME}[{name!r}] cannot be called: {path!r}.", hint=reason, id="obsku_checkpoint.E006")
        for name, path in paths
        if (reason := refusal(path) or (_wrong_arguments(path) if name == "RESUME" else None))
    ]


def check_embedder(current: conf.Settings) -> list[CheckMessage]:
    if current.EMBEDDER is None:
        return []
    try:
        found = import_string(current.EMBEDDER)
    except (ImportError, AttributeError, TypeError) as error:
        reason = str(error)
    else:
        if callable(getattr(found, "embed", None)) and not inspect.isclass(found):
            return []
        reason = "It takes the dotted path of an object (not of a class) with a method embed(texts)."
    return [
        Error(f"{conf.NAME}['EMBEDDER'] cannot embed: {current.EMBEDDER!r}.", hint=reason, id="obsku_checkpoint.E009")
    ]


def _wrong_arguments(path: Any) -> str | None:
    try:
        inspect.signature(import_string(path)).bind("checkpoint", "answers")
    except TypeError:
        return "It must take two arguments: checkpoint, and answers by the paths of their questions."
    except ValueError:
        return None  # some callables written in C say nothing of their arguments
    return None


def refusal(path: object, attribute: str = "__call__") -> str | None:
    """Why a setting's value is no dotted path of something that has the attribute; None where it is."""
    if not isinstance(path, str):
        return "It takes a dotted path as text."
    try:
        found = import_string(path)
    except ImportError as error:
        return str(error)
    return None if hasattr(found, attribute) else f"It is of the type {type(found).__name__}."
