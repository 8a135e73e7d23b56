"""A primary and a streaming replica, as the databases of a project."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from obsku_checkpoint.store import DjangoCheckpointStore
from tests.postgres_server import postgres_server, replica_of

PRIMARY, REPLICA = "leader", "follower"
CONFIGURATION = "fsync = off\nfull_page_writes = off"
#: seconds in which the replica has what the primary has
PATIENCE = 30


class Cluster(NamedTuple):
    primary: str
    replica: str

    def pause(self) -> None:
        """From here on the replica takes what is written, and shows none of it."""
        self.catch_up()
        self._tell("SELECT pg_wal_replay_pause()")

    def catch_up(self) -> None:
        """Until the replica shows what the primary has."""
        self._tell("SELECT pg_wal_replay_resume() WHERE pg_is_wal_replay_paused()")
        with psycopg.connect(self.primary, autocommit=True) as connection:
            ((place,),) = connection.execute("SELECT pg_current_wal_lsn()").fetchall()
        end = time.monotonic() + PATIENCE
        while not self._tell(f"SELECT pg_last_wal_replay_lsn() >= '{place}'"):
            assert time.monotonic() < end
            time.sleep(0.01)

    def _tell(self, statement: str) -> Any:
        with psycopg.connect(self.replica, autocommit=True) as connection:
            row = connection.execute(statement.encode()).fetchone()
        return row and row[0]


def add(alias: str, url: str) -> None:
    found: dict[str, Any] = dict(conninfo_to_dict(url))
    entry = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": found["dbname"],
        "USER": found["user"],
        "HOST": found["host"],
        "CONN_MAX_AGE": None,
    }
    connections.settings[alias] = connections.configure_settings({**connections.settings, alias: entry})[alias]


@pytest.fixture(scope="module")
def servers(committed: None) -> Iterator[Cluster]:
    with postgres_server(CONFIGURATION) as primary, replica_of(primary) as replica:
        cluster = Cluster(primary, replica)
        add(PRIMARY, primary)
        add(REPLICA, replica)
        call_command("migrate", database=PRIMARY, verbosity=0)
        try:
            yield cluster
        finally:
            for alias in (PRIMARY, REPLICA):
                connections[alias].close()
                del connections[alias]
                del connections.settings[alias]


@pytest.fixture
def cluster(servers: Cluster, settings: Any) -> Iterator[Cluster]:
    """At the end of the test the replica goes on."""
    settings.ROOT_URLCONF = "tests.admin.urls"
    settings.OBSKU_CHECKPOINT = {"DATABASE": PRIMARY, "REPLICA": REPLICA, "STREAM_INTERVAL_MS": 20}
    settings.DATABASE_ROUTERS = ["obsku_checkpoint.routers.CheckpointRouter"]
    servers.catch_up()
    yield servers
    servers.catch_up()


@pytest.fixture
def store(cluster: Cluster) -> DjangoCheckpointStore:
    """What agents write with."""
    return DjangoCheckpointStore()
