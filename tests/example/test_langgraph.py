"""``manage.py langgraph_demo``: killed, gone on with, answered and forked."""

from __future__ import annotations

from tests.example.conftest import Project


def test_the_demonstration_shows_what_it_says(project: Project) -> None:
    output = project.run("langgraph_demo")
    for line in (
        "It asks: Shall the bill be sent?",
        "In the fork: The bill is thrown away.",
        "In the first: The bill is sent.",
        "Would be deleted: ",
    ):
        assert line in output
    calls = project.query("SELECT tool_calls FROM messages WHERE tool_calls IS NOT NULL AND session_id LIKE 'order-%'")
    assert len(calls) == len(set(calls)) == 3
    sessions = project.query("SELECT directory, count(*) FROM sessions GROUP BY 1")
    assert sessions == [("orders", 2)]
