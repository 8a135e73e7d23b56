"""The server under the benchmarks: embedded, PostgreSQL's own defaults (fsync on), a database filled for the run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import psycopg

from benchmarks import dataset, sqlite_file
from benchmarks.systems import System
from benchmarks.systems.ours import SQLITE
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.postgres_server import postgres_server

CONFIGURATION = "max_connections = 500"
SHARED = "benchmark"


class Server:
    """One database of the server with our tables, and those of peers that have other tables."""

    def __init__(self, url: str, shared: str = SHARED) -> None:
        self._url = url
        self.shared = shared
        with psycopg.connect(url) as connection:
            self.version = str(connection.info.parameter_status("server_version"))

    def create_tables(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{self.shared}"'.encode())
        with PostgresCheckpointStore(self.url(self.shared)) as store:
            store.setup()

    def create(self, systems: Sequence[System], size: dataset.Size) -> None:
        """The database with our tables, filled; and an empty one for each peer that has tables of its own."""
        self.create_tables()
        with psycopg.connect(self._url, autocommit=True) as connection:
            for name in [system.name for system in systems if system.database == "own"]:
                connection.execute(f'CREATE DATABASE "{name}"'.encode())
        with psycopg.connect(self.url(self.shared), autocommit=True) as connection:
            dataset.fill(
                connection, size, [system.name for system in systems if system.database in ("shared", "sqlite")]
            )
            if any(system.database == "sqlite" for system in systems):
                sqlite_file.create(self.sqlite_url, connection)

    def url(self, database: str, folder: str | None = None) -> str:
        """With ``folder`` that of a socket in front of the server's."""
        parts = urlsplit(self._url)
        query = parts.query if folder is None else f"host={folder}"
        return urlunsplit(parts._replace(netloc=parts.netloc, path=f"/{database}", query=query))

    def url_of(self, system: System, folder: str | None = None) -> str:
        if system.database == "none":
            return ""
        if system.database == "sqlite":
            return self.sqlite_url
        return self.url(system.name if system.database == "own" else self.shared, folder)

    def beside(self, shared: str) -> Server:
        return Server(self._url, shared)

    @property
    def sqlite_url(self) -> str:
        return f"{SQLITE}{Path(self.folder, self.shared)}.sqlite3"

    @property
    def folder(self) -> str:
        return parse_qs(urlsplit(self._url).query)["host"][0]


@contextlib.contextmanager
def server() -> Iterator[Server]:
    with postgres_server(CONFIGURATION) as url:
        yield Server(url)
