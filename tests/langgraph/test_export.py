"""A thread moves with its session: what LangGraph needs to go on is in the export."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.types import Command

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.maintenance import export_lines, import_lines
from tests.langgraph import graphs
from tests.langgraph.steps import config_of, new_thread

APP = "obsku_checkpoint.contrib.langgraph"


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_thread_that_was_deleted_goes_on_from_its_export(
    saver: DjangoSaver, alias: str, settings: Any, place: str
) -> None:
    others = [app for app in settings.INSTALLED_APPS if app != APP]
    settings.INSTALLED_APPS = [APP, *others] if place == "first" else [*others, APP]
    thread = new_thread()
    graph = graphs.tool_loop().compile(checkpointer=saver)
    graph.invoke({"messages": [HumanMessage("1 + 2?", id="h")]}, config_of(thread))
    before = graph.get_state(config_of(thread))
    lines = list(export_lines(alias, session_ids=[thread]))
    saver.delete_thread(thread)
    written = import_lines(lines, alias).rows
    assert written["langgraph_checkpoints"] == len(list(graph.get_state_history(config_of(thread))))
    assert graph.get_state(config_of(thread)) == before
    assert list(export_lines(alias, session_ids=[thread])) == lines
    assert import_lines(lines, alias).unchanged == 1
    assert graph.invoke(Command(resume="yes"), config_of(thread))["note"] == "yes"
