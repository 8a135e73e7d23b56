"""``manage.py checkpoints`` for threads of LangGraph."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from langgraph.checkpoint.sqlite import SqliteSaver

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from tests.langgraph import graphs
from tests.langgraph.steps import config_of, new_thread, put


def output_of(*arguments: str) -> str:
    output = StringIO()
    call_command("checkpoints", *arguments, stdout=output)
    return output.getvalue().strip()


def test_prune(alias: str) -> None:
    saver = DjangoSaver(alias, workspace_id="pruned")
    thread = new_thread()
    for number in range(3):
        put(saver, config_of(thread), {"a": "x" * 100}, id=str(number))
    arguments = ("prune", "--database", alias, "--workspace", "pruned", "--keep-last", "2")
    assert output_of(*arguments, "--dry-run").startswith("Would be deleted: 1 checkpoints (")
    assert output_of(*arguments, "--older-than", "30d").startswith("Deleted: 0 checkpoints (")
    assert json.loads(output_of(*arguments, "--json"))["checkpoints"] == 1
    assert len([*saver.list(config_of(thread))]) == 2
    assert len(saver.store.list_checkpoints(thread)) == 2
    saver.delete_thread(thread)


def test_import(alias: str, tmp_path: Path) -> None:
    path = str(tmp_path / "official.sqlite3")
    thread = new_thread("commanded")
    with SqliteSaver.from_conn_string(path) as saver:
        graphs.tool_loop().compile(checkpointer=saver).invoke(graphs.question(1), config_of(thread))
    arguments = ("import", path, "--from", "langgraph", "--database", alias)
    assert output_of(*arguments, "--dry-run") == "Would be written: 5 checkpoints of 1 threads. There already: 0."
    assert json.loads(output_of(*arguments, "--json", "--workspace", "w", "--thread", thread)) == {
        "threads": 1,
        "checkpoints": 5,
        "here_already": 0,
    }
    assert output_of(*arguments) == "Written: 0 checkpoints of 1 threads. There already: 5."
    with pytest.raises(CommandError, match="is neither a connection string nor a file"):
        output_of("import", "missing", "--from", "langgraph", "--database", alias)
