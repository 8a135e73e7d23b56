"""Databases for the tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import connections
from django.test.utils import setup_databases, teardown_databases
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pytest_django import DjangoDbBlocker

from obsku_checkpoint.contrib.langgraph.models import Memory
from obsku_checkpoint.models import Fact, Session
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.postgres_server import ends_with_the_tests


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The thousands of short tests come last: with them workers end together, and none is left with a long one."""
    items.sort(key=lambda item: item.nodeid.startswith("tests/contract/test_conformance.py"))


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Both databases, whatever the marks of the selected tests say."""
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False)
    yield
    if ends_with_the_tests():
        connections.close_all()
    else:
        with django_db_blocker.unblock():
            teardown_databases(made, verbosity=0)


@pytest.fixture
def sqlite_db(request: pytest.FixtureRequest) -> None:
    """The alias ``default``, in a transaction that is rolled back."""
    request.getfixturevalue("db")


@pytest.fixture
def postgres_db(request: pytest.FixtureRequest) -> None:
    """The alias ``postgres``, in a transaction that is rolled back."""
    request.getfixturevalue("db")


@pytest.fixture(autouse=True)
def _both_databases(request: pytest.FixtureRequest) -> None:
    if {"sqlite_db", "postgres_db"} & set(request.fixturenames):
        request.applymarker(pytest.mark.django_db(databases=["default", "postgres"]))


@pytest.fixture(scope="session")
def unblocked(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Databases may be used outside tests, too."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="module")
def committed(unblocked: None) -> Iterator[None]:
    """Both databases for tests that commit, from threads and processes as well; emptied at the end of the module.

    Such a test makes sessions of its own and looks at nothing else.
    """
    yield
    for alias in ("default", "postgres"):
        for model in (Session, Fact, Memory):  # the others go with their sessions
            model._default_manager.using(alias).all().delete()


@pytest.fixture(params=["default", "postgres"], ids=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, committed: None) -> DjangoCheckpointStore:
    """The store over each database, committing."""
    return DjangoCheckpointStore(using=request.param)


@pytest.fixture(scope="session")
def postgres_database(unblocked: None) -> Iterator[Callable[[], str]]:
    """Makes empty databases on the test server; each call returns the connection string of a new one."""
    settings = connections["postgres"].settings_dict
    server = make_conninfo(
        host=settings["HOST"], port=settings["PORT"], user=settings["USER"], password=settings["PASSWORD"]
    )
    prefix, numbers, made = settings["NAME"], itertools.count(1), []
    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:

        def make() -> str:
            name = f"{prefix}_{next(numbers)}"
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            made.append(name)
            return make_conninfo(server, dbname=name)

        yield make
        for name in [] if ends_with_the_tests() else made:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def tables_url(postgres_database: Callable[[], str]) -> str:
    """A database with the tables, for programs and servers in processes of their own."""
    url = postgres_database()
    with PostgresCheckpointStore(url) as store:
        store.setup()
    return url
