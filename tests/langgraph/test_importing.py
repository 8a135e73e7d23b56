"""Threads of LangGraph's own savers are moved in, and their graphs go on here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.contrib.langgraph.importing import import_from
from obsku_checkpoint.errors import ConfigurationError
from tests.langgraph import graphs
from tests.langgraph.steps import config_of, new_thread
from tests.langgraph.test_differential import without_ids

THREADS = 3


def run(saver: Any) -> list[str]:
    """Threads that stand at a question, one of them with a sub-graph."""
    threads = [new_thread("imported") for _ in range(THREADS)]
    for thread in threads[1:]:
        graphs.tool_loop().compile(checkpointer=saver).invoke(graphs.question(1), config_of(thread))
    graphs.fan().compile(checkpointer=saver).invoke({"topics": ["a", "b", "c"]}, config_of(threads[0]))
    return threads


@pytest.fixture(params=["postgres", "sqlite"])
def official(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """(what is imported from, a saver over it)"""
    if request.param == "sqlite":
        path = tmp_path / "official.sqlite3"
        with SqliteSaver.from_conn_string(str(path)) as saver:
            yield str(path), saver
    else:
        make: Callable[[], str] = request.getfixturevalue("postgres_database")
        url = make()
        with PostgresSaver.from_conn_string(url) as saver:
            saver.setup()
            yield url, saver


def test_threads_are_moved_in_and_go_on(alias: str, official: Any) -> None:
    source, saver = official
    threads = run(saver)
    expected = import_from(source, alias, workspace_id="moved", dry_run=True)
    ours = DjangoSaver(alias)
    assert ours.get_tuple(config_of(threads[0])) is None
    figures = import_from(source, alias, workspace_id="moved", directory="shop")
    assert figures == expected
    assert figures["threads"] == THREADS
    for thread, build in zip(threads, (graphs.fan, graphs.tool_loop, graphs.tool_loop), strict=True):
        one, other = build().compile(checkpointer=saver), build().compile(checkpointer=ours)
        config = config_of(thread)
        assert histories(other, config) == histories(one, config)
        assert other.invoke(Command(resume="b"), config) == one.invoke(Command(resume="b"), config)
        session = ours.store.get_session(thread)
        assert session is not None
        assert (session.workspace_id, session.directory) == ("moved", "shop")
    assert [one.role for one in ours.store.get_messages(threads[1])] == ["user", "assistant", "tool", "assistant"]


def histories(graph: Any, config: Any) -> list[Any]:
    return [without_ids(state) for state in graph.get_state_history(config)]


def test_again_changes_nothing(alias: str, official: Any) -> None:
    source, saver = official
    threads = run(saver)
    first = import_from(source, alias)
    store = DjangoSaver(alias).store
    before = [store.get_session(thread) for thread in threads]
    again = import_from(source, alias)
    assert again == {"threads": THREADS, "checkpoints": 0, "here_already": first["checkpoints"]}
    assert [store.get_session(thread) for thread in threads] == before


def test_some_threads_only(alias: str, official: Any) -> None:
    source, saver = official
    threads = run(saver)
    seen: list[int] = []
    assert (
        import_from(source, alias, threads=threads[:1], progress=lambda done, what: seen.append(done))["threads"] == 1
    )
    assert seen == [*range(1, len(seen) + 1)]
    assert DjangoSaver(alias).get_tuple(config_of(threads[1])) is None


def test_from_a_schema(alias: str, postgres_database: Callable[[], str]) -> None:
    url = postgres_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA agents")
    with PostgresSaver.from_conn_string(f"{url} options='-c search_path=agents'") as saver:
        saver.setup()
        run(saver)
    with pytest.raises(ConfigurationError, match="UndefinedTable"):
        import_from(url, alias)
    assert import_from(url, alias, schema="agents")["threads"] == THREADS


def test_what_cannot_be_read(alias: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="neither a connection string nor a file"):
        import_from(str(tmp_path / "missing"), alias)
    (tmp_path / "text").write_text("x" * 1000)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        import_from(str(tmp_path / "text"), alias)
    with pytest.raises(ConfigurationError, match="cannot be read") as error:
        import_from("postgresql://me:secret@localhost:1/none", alias)
    assert "secret" not in str(error.value)
