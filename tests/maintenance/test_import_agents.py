"""Sessions of OpenAI's agents SDK are moved in, and its runs go on here with the same items."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from agents import SQLiteSession
from agents.extensions.memory import SQLAlchemySession
from agents.memory import Session
from django.core.management import CommandError, call_command
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from obsku_checkpoint.contrib.openai_agents import DjangoSession
from obsku_checkpoint.errors import ConfigurationError, InvalidRecordError
from obsku_checkpoint.maintenance import agents_lines, export_lines, import_lines
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.openai_agents.test_session import CALL, ODD, OUTPUT

Make = Callable[[], DjangoCheckpointStore]

# The SDK's SQLiteSession opens a connection in each thread, and closes only one of them.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
CONVERSATIONS: dict[str, list[Any]] = {
    "odd": [*ODD[:-2], {"role": "user", "content": "é, 🂡 and  a NUL \x00", "big": 2**70}],
    "order-17": [{"role": "user", "content": "1+2?"}, CALL, OUTPUT, {"role": "assistant", "content": "3"}],
    "empty": [],
}


@pytest.fixture(params=["SQLiteSession", "SQLAlchemySession in SQLite", "SQLAlchemySession in PostgreSQL"])
def official(request: pytest.FixtureRequest, tmp_path: Path, postgres_database: Callable[[], str]) -> str:
    """What is imported from."""
    path = tmp_path / "agents.sqlite3"
    if request.param == "SQLiteSession":
        for id, items in CONVERSATIONS.items():
            asyncio.run(_fill(SQLiteSession(id, path), items))
        return str(path)
    if "PostgreSQL" in request.param:
        source = postgres_database()
        asyncio.run(_fill_with_sqlalchemy(_sqlalchemy_url(source)))
        return source
    asyncio.run(_fill_with_sqlalchemy(f"sqlite+aiosqlite:///{path}"))
    return str(path)


def _sqlalchemy_url(source: str) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(source)
    return f"postgresql+asyncpg://{parts['user']}@/{parts['dbname']}?host={parts['host']}"


async def _fill_with_sqlalchemy(url: str) -> None:
    engine = create_async_engine(make_url(url))
    for id, items in CONVERSATIONS.items():
        await _fill(SQLAlchemySession(id, engine=engine, create_tables=True), items)
    await engine.dispose()


async def _fill(session: Session, items: list[Any]) -> None:
    for item in items:
        # PostgreSQL's text holds no NUL; the SDK writes it as an escape, which is JSON.
        await session.add_items([item])
    if not items:
        await session.add_items([{"role": "user", "content": "gone"}])
        await session.pop_item()


def items_of(store: DjangoCheckpointStore, id: str) -> str:
    return json.dumps(asyncio.run(DjangoSession(id, using=store).get_items()))


def test_items_are_read_exactly_and_again_changes_nothing(empty_store: Make, official: str) -> None:
    store = empty_store()
    store.add_message(store.create_session("/", id="here").id, "user", "before")
    lines = list(agents_lines(official, store.using, workspace_id="moved"))
    assert import_lines(lines, store.using, dry_run=True).rows["sessions"] == 3
    assert store.get_session("odd") is None
    result = import_lines(lines, store.using)
    count = sum(map(len, CONVERSATIONS.values()))
    assert result.rows == {"sessions": 3, "messages": count, "originals": count}
    for id, items in CONVERSATIONS.items():
        assert items_of(store, id) == json.dumps(items)
        session = store.get_session(id)
        assert session is not None
        assert (session.workspace_id, session.directory) == ("moved", "openai-agents")
        messages = store.get_messages(id)
        assert all(session.created_at <= message.created_at <= session.updated_at for message in messages)
        assert all(message.id >= 1 for message in messages)
    call, output = store.get_messages("order-17")[1:3]
    assert call.tool_calls == [{"name": "add", "toolUseId": "c1", "input": {"a": 1, "b": 2}}]
    assert output.tool_results == [{"toolUseId": "c1", "content": "3"}]
    before = list(export_lines(store.using))
    again = import_lines(agents_lines(official, store.using, workspace_id="moved"), store.using)
    assert (again.rows, again.unchanged) == ({}, 3)
    assert list(export_lines(store.using)) == before


def test_from_a_schema(empty_store: Make, postgres_database: Callable[[], str]) -> None:
    store, source = empty_store(), postgres_database()
    asyncio.run(_fill_with_sqlalchemy(_sqlalchemy_url(source)))
    with psycopg.connect(source) as connection:
        connection.execute("CREATE SCHEMA agents")
        for table in ("agent_sessions", "agent_messages"):
            connection.execute(f"ALTER TABLE {table} SET SCHEMA agents")
    result = import_lines(agents_lines(source, store.using, schema="agents"), store.using)
    assert result.rows["sessions"] == len(CONVERSATIONS)
    assert items_of(store, "order-17") == json.dumps(CONVERSATIONS["order-17"])


def test_a_conversation_goes_on(empty_store: Make, official: str) -> None:
    store = empty_store()
    import_lines(agents_lines(official, store.using, session_ids=["order-17"]), store.using)
    assert [session.id for session in store.list_sessions()] == ["order-17"]
    more: Any = [{"role": "user", "content": "Thanks."}]
    asyncio.run(DjangoSession("order-17", using=store).add_items(more))
    assert items_of(store, "order-17") == json.dumps(CONVERSATIONS["order-17"] + more)
    with pytest.raises(InvalidRecordError, match="sessions order-17: it is there already, with other rows"):
        import_lines(agents_lines(official, store.using), store.using)


@pytest.fixture
def damaged(tmp_path: Path) -> str:
    path = tmp_path / "agents.sqlite3"
    for id, items in CONVERSATIONS.items():
        asyncio.run(_fill(SQLiteSession(id, path), items))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE agent_messages SET message_data = '{oops' WHERE session_id = 'odd' AND id % 3 = 0")
    connection.commit()
    connection.close()
    return str(path)


def test_a_session_goes_as_a_whole_or_not_at_all(empty_store: Make, damaged: str) -> None:
    store, rejects = empty_store(), io.BytesIO()
    with pytest.raises(InvalidRecordError, match=r"session odd, item \d+: is not JSON"):
        import_lines(agents_lines(damaged, store.using), store.using)
    result = import_lines(agents_lines(damaged, store.using), store.using, rejects=rejects)
    assert result.rejected == 1
    assert sorted(session.id for session in store.list_sessions()) == ["empty", "order-17"]
    assert b"{oops" in rejects.getvalue()
    again = import_lines(rejects.getvalue().splitlines(), store.using, rejects=io.BytesIO())
    assert (again.rows, again.rejected) == ({}, 1)


def test_branches_are_not_mixed(empty_store: Make, damaged: str) -> None:
    store = empty_store()
    connection = sqlite3.connect(damaged)
    connection.execute("CREATE TABLE message_structure (session_id, message_id, branch_id)")
    connection.execute("INSERT INTO message_structure VALUES ('odd', 1, 'other'), ('order-17', 2, 'main')")
    connection.commit()
    connection.close()
    result = import_lines(agents_lines(damaged, store.using), store.using, rejects=io.BytesIO())
    assert (result.rejected, result.rows["sessions"]) == (1, 2)


def test_what_is_no_such_database(empty_store: Make, tmp_path: Path, settings: Any) -> None:
    using = empty_store().using
    with pytest.raises(ConfigurationError, match="neither a connection string nor a file"):
        list(agents_lines(str(tmp_path / "missing"), using))
    (tmp_path / "text").write_text("x" * 1000)
    sqlite3.connect(tmp_path / "other").execute("CREATE TABLE t (x)").connection.close()
    for name in ("text", "other"):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            list(agents_lines(str(tmp_path / name), using))
    with pytest.raises(ConfigurationError, match="cannot be read") as error:
        list(agents_lines("postgresql+asyncpg://me:secret@localhost:1/none", using))
    assert "secret" not in str(error.value)


def test_the_command(empty_store: Make, damaged: str, tmp_path: Path) -> None:
    store = empty_store()
    arguments = ("import", damaged, "--from", "openai-agents", "--database", store.using, "--workspace", "moved")

    def output_of(*more: str) -> str:
        output = io.StringIO()
        call_command("checkpoints", *arguments, *more, stdout=output, stderr=io.StringIO())
        return output.getvalue().strip()

    with pytest.raises(CommandError, match=r"session odd, item \d+: is not JSON"):
        output_of()
    rejects = str(tmp_path / "rejects.jsonl")
    assert output_of("--dry-run", "--rejects", rejects).startswith(
        "Would be written: 1 sessions, 4 messages, 4 originals."
    )
    said = output_of("--thread", "order-17")
    assert said == "There already, unchanged: 1." or said.startswith("Written: 1 sessions")
    assert json.loads(output_of("--rejects", rejects, "--json"))["rejected"] == 1
