"""Prepared statements on PostgreSQL: what they give, and what keeps working around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import connections
from django.test import SimpleTestCase
from django.test.utils import CaptureQueriesContext

from obsku_checkpoint.store import DjangoCheckpointStore

TIMES = 10


@pytest.fixture
def store_with(committed: None) -> Iterator[Callable[..., DjangoCheckpointStore]]:
    """Makes a store over a connection of its own to the test database, with further settings."""
    aliases: list[str] = []

    def make(**settings: Any) -> DjangoCheckpointStore:
        alias = f"prepared-{len(aliases)}"
        aliases.append(alias)
        connections.settings[alias] = {**connections["postgres"].settings_dict, **settings}
        return DjangoCheckpointStore(alias)

    yield make
    for alias in aliases:
        connections[alias].close()
        del connections[alias], connections.settings[alias]


def prepared(store: DjangoCheckpointStore) -> list[str]:
    """The statements of the store that its connection has prepared."""
    store.get_session("x")
    for _ in range(TIMES):
        store.get_checkpoint("unknown")
    with connections[store.using].cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall()]


def test_a_statement_that_is_repeated_is_parsed_and_planned_once(store_with: Any) -> None:
    assert [statement for statement in prepared(store_with()) if "FROM checkpoints" in statement]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"DISABLE_SERVER_SIDE_CURSORS": True}, id="behind a pooler of transactions"),
        pytest.param({"OPTIONS": {"prepare_threshold": None}}, id="switched off"),
        pytest.param({"OPTIONS": {"server_side_binding": True}}, id="Django's own statements would be, too"),
    ],
)
def test_nothing_is_prepared_where_the_project_does_not_want_it(store_with: Any, settings: Any) -> None:
    assert prepared(store_with(**settings)) == []


def test_the_projects_threshold_counts(store_with: Any) -> None:
    assert prepared(store_with(OPTIONS={"prepare_threshold": TIMES + 5})) == []
    assert prepared(store_with(OPTIONS={"prepare_threshold": 2}))


def test_statements_of_the_project_are_not_prepared(store_with: Any) -> None:
    store = store_with()
    prepared(store)
    for _ in range(TIMES):
        with connections[store.using].cursor() as cursor:
            cursor.execute("SELECT %s", [1])
    assert not [statement for statement in prepared(store) if statement.startswith("SELECT $1")]


def test_queries_are_logged_with_their_parameters(store_with: Any) -> None:
    store = store_with()
    with CaptureQueriesContext(connections[store.using]) as captured:
        store.get_session("the-one")
    (query,) = captured.captured_queries
    assert "the-one" in query["sql"]
    assert "FROM sessions WHERE id = " in query["sql"]


def test_execute_wrappers_see_each_statement(store_with: Any) -> None:
    store = store_with()
    seen = []

    def watch(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        seen.append((sql.partition(" ")[0], list(parameters)))
        return execute(sql, parameters, many, context)

    with connections[store.using].execute_wrapper(watch):
        store.get_session("the-one")
    assert seen == [("SELECT", ["the-one"])]


def test_a_tool_that_replaces_the_connections_cursor_sees_each_statement(
    store_with: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_with()
    connection = connections[store.using]
    watched = Mock(wraps=connection.cursor)
    monkeypatch.setattr(connection, "cursor", watched, raising=False)
    session = store.create_session(".")
    assert store.get_session(session.id) == session
    assert watched.call_count == 2


def test_a_test_case_that_may_not_use_the_database_leaves_nothing_behind(store_with: Any) -> None:
    store = store_with()

    class OfAnotherDatabase(SimpleTestCase):
        """As it is, with no database at all."""

    OfAnotherDatabase.setUpClass()
    OfAnotherDatabase.doClassCleanups()
    assert prepared(store)
