"""Cursors that a connection keeps: each call gets its own rows, and large ones do not stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connections

from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.store.kept_cursors import MOST, Cursor, KeptCursors
from tests.test_faults import hang_up, url_of


def test_a_statement_keeps_its_cursor_without_the_rows(postgres_database: Callable[[], str]) -> None:
    with psycopg.connect(postgres_database(), autocommit=True) as driver:
        kept = KeptCursors(driver, Cursor)
        for value, length in (("x", 1_000_000), ("x", 0), (7, 2), (None, 1), ("x", 3)):
            cursor = kept.of("SELECT repeat(%s::text, %s)")
            assert cursor is kept.of("SELECT repeat(%s::text, %s)")
            expected = None if value is None else str(value) * length
            assert cursor.execute("SELECT repeat(%s::text, %s)", (value, length)).fetchall() == [(expected,)]
            assert cursor.pgresult is not None
            assert cursor.pgresult.ntuples == 0


def test_statements_that_are_made_for_each_call_do_not_pile_up(postgres_database: Callable[[], str]) -> None:
    with psycopg.connect(postgres_database(), autocommit=True) as driver:
        kept = KeptCursors(driver, Cursor)
        cursors = [kept.of(f"SELECT {number}") for number in range(MOST + 1)]
        assert kept.of("SELECT 0") is not cursors[0]


@pytest.mark.django_db(databases=["postgres"])
def test_a_wrapper_of_statements_may_call_the_store() -> None:
    store = DjangoCheckpointStore("postgres")
    one, other = store.create_session("/one"), store.create_session("/other")
    assert store.get_session(one.id) == one
    within: list[Any] = []

    def wrapper(execute: Any, *arguments: Any) -> Any:
        result = execute(*arguments)
        if not within:
            within.append(None)
            within.append(store.get_session(other.id))
        return result

    with connections["postgres"].execute_wrapper(wrapper):
        assert store.get_session(one.id) == one
    assert within == [None, other]


def test_a_connection_that_was_opened_anew_has_cursors_of_its_own(committed: None) -> None:
    store = DjangoCheckpointStore("postgres")
    session = store.create_session("/one")
    assert store.get_session(session.id) == session
    connections["postgres"].close()
    assert store.get_session(session.id) == session
    hang_up(url_of("postgres"))
    connections["postgres"].close()
    assert store.get_session(session.id) == session
