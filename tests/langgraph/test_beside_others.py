"""In one database with LangGraph's own tables, which have our names: that is said, and a schema of one's own does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections
from langgraph.checkpoint.postgres import PostgresSaver
from psycopg.conninfo import make_conninfo

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.langgraph import graphs
from tests.langgraph.steps import config_of, new_thread


@pytest.fixture
def occupied(postgres_database: Callable[[], str]) -> str:
    """A database with LangGraph's tables in its schema ``public``."""
    url = postgres_database()
    with PostgresSaver.from_conn_string(url) as saver:
        saver.setup()
    return url


@pytest.fixture
def alias_of(occupied: str) -> Iterator[str]:
    name = psycopg.conninfo.conninfo_to_dict(occupied)["dbname"]
    connections.settings["occupied"] = {**connections.settings["postgres"], "NAME": name}
    yield "occupied"
    connections["occupied"].close()
    del connections.settings["occupied"]


def test_a_check_says_so_before_the_tables_are_made(alias_of: str) -> None:
    with pytest.raises(SystemCheckError, match="The table checkpoints in the database 'occupied' is LangGraph's"):
        call_command("check", databases=[alias_of])


def test_setup_says_so(occupied: str) -> None:
    with PostgresCheckpointStore(occupied) as store, pytest.raises(ConfigurationError, match="is LangGraph's"):
        store.setup()


def test_a_schema_of_ones_own_does(occupied: str) -> None:
    with psycopg.connect(occupied, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA agents")
    thread = new_thread()
    with PostgresCheckpointStore(make_conninfo(occupied, options="-c search_path=agents")) as store:
        store.setup()
        store.setup()
        ours = graphs.tool_loop().compile(checkpointer=DjangoSaver(store))
        ours.invoke(graphs.question(1), config_of(thread))
        with PostgresSaver.from_conn_string(occupied) as saver:
            theirs = graphs.tool_loop().compile(checkpointer=saver)
            theirs.invoke(graphs.question(2), config_of(thread))
            assert theirs.get_state(config_of(thread)).values["messages"][0].id == "h2"
        assert ours.get_state(config_of(thread)).values["messages"][0].id == "h1"
