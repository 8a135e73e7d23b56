"""Ours: the Django store over a persistent connection, its async twins, and the store with a pool."""

from __future__ import annotations

import functools
import os
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from benchmarks.driver import Parameters, serve, session_of
from obsku_checkpoint import codec

#: how the names of files begin among the URLs
SQLITE = "sqlite:///"
#: as in the example project's settings; the same for all systems on SQLite
SQLITE_OPTIONS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"


def django_database(url: str) -> dict[str, Any]:
    if url.startswith(SQLITE):
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": url.removeprefix(SQLITE),
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30, "init_command": SQLITE_OPTIONS},
            "CONN_MAX_AGE": None,
        }
    parts = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.get("dbname"),
        "USER": parts.get("user"),
        "HOST": parts.get("host"),
        "CONN_MAX_AGE": None,
    }


class Ours:
    """``call`` is how a method of the store is called: as it is, or as its async twin."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def create(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.store.create_session("/srv/agent", title="A session")

    def save(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.store.save_checkpoint(session_of(parameters, client), step=turn, node_results=parameters["state"])

    def add(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.store.add_message(session_of(parameters, client), **parameters["message"])

    def latest(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.store.get_latest_checkpoint(parameters["session"], parameters["namespace"])

    def by_id(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.store.get_checkpoint(parameters["checkpoint"])

    def transcript(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.store.get_messages(parameters["session"], limit=parameters["limit"])

    def sessions(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.store.list_sessions(parameters["workspace"], limit=parameters["limit"])

    def fork(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.store.fork(parameters["checkpoint"])

    def save_with_id(self, parameters: Parameters, client: int, turn: int) -> Any:
        session, id = session_of(parameters, client), str(uuid.uuid4())
        return self.store.save_checkpoint(session, id=id, step=turn, node_results=parameters["state"])

    def update(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.store.update_session(session_of(parameters, client), title=f"Title {turn}")

    def add_many(self, parameters: Parameters, client: int, turn: int) -> Any:
        messages = [parameters["message"]] * parameters["count"]
        return self.store.add_messages(session_of(parameters, client), messages)

    def summaries(self, parameters: Parameters, client: int, turn: int) -> Any:
        return self.store.list_session_summaries(parameters["workspace"], limit=parameters["limit"])


class OursWithCodec(Ours):
    value: Any = None

    def prepare_encode(self, parameters: Parameters) -> None:
        self.value = codec.loads(parameters["text"])

    def encode(self, parameters: Parameters, client: int, turn: int) -> str:
        return codec.dumps(self.value)

    def decode(self, parameters: Parameters, client: int, turn: int) -> Any:
        return codec.loads(parameters["text"])


class _Twins:
    """A store's async twins under the names of its sync methods."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, f"a{name}")


class OursAsync:
    """The same operations as coroutines."""

    OPERATIONS = (
        "create",
        "save",
        "add",
        "latest",
        "by_id",
        "transcript",
        "sessions",
        "fork",
        "save_with_id",
        "update",
        "add_many",
        "summaries",
    )

    def __init__(self, store: Any) -> None:
        calls = Ours(_Twins(store))
        for name in self.OPERATIONS:
            setattr(self, name, self._awaited(getattr(calls, name)))

    @staticmethod
    def _awaited(call: Callable[[Parameters, int, int], Any]) -> Any:
        @functools.wraps(call)
        async def awaited(parameters: Parameters, client: int, turn: int) -> Any:
            return await call(parameters, client, turn)

        return awaited


def adapter(url: str) -> object:
    form = os.environ.get("BENCHMARK_FORM", "")
    if form == "pool":
        from obsku_checkpoint.postgres import PostgresCheckpointStore  # noqa: PLC0415 - it configures Django

        return Ours(PostgresCheckpointStore(url, max_size=32))
    settings.configure(
        INSTALLED_APPS=["obsku_checkpoint"],
        DATABASES={"default": django_database(url)},
        USE_TZ=True,
        LOGGING_CONFIG=None,
    )
    import django  # noqa: PLC0415 - after the settings

    django.setup()
    from obsku_checkpoint.store import DjangoCheckpointStore  # noqa: PLC0415 - after Django's set-up

    store = DjangoCheckpointStore()
    return OursAsync(store) if form == "async" else OursWithCodec(store)


if __name__ == "__main__":
    serve(adapter)
