"""A run that the TypeScript framework interrupted is resumed here, and what is written is what that framework reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from obsku_checkpoint.graph import Context, Edge, Graph, interrupt
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.records import NodeResult
from tests.graph.conftest import Runner

DATABASE = Path(__file__).parent.parent / "interop" / "upstream_database.sql"
#: session, and its interrupted checkpoint: ``plan`` is done, ``approve`` asked, ``apply`` is to come
SESSION = "cf30089e-c4d5-47e5-944d-8cec0300ef61"
ASKED = "119df7e4-0f0e-4864-9833-f1539b1af92a"


@pytest.fixture
def url(postgres_database: Any) -> str:
    """The npm package's database at the moment of the interrupt."""
    url = str(postgres_database())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(DATABASE.read_text())
        connection.execute("DELETE FROM checkpoints WHERE session_id = %s AND version > 2", [SESSION])
    return url


@pytest.fixture
def store(url: str) -> Iterator[PostgresCheckpointStore]:
    with PostgresCheckpointStore(url) as store:
        store.setup()
        yield store


class Agent:
    def __init__(self) -> None:
        self.ran: list[str] = []
        nodes = {"plan": self.plan, "approve": self.approve, "apply": self.apply}
        self.graph = Graph(entry="plan", nodes=nodes, edges=[Edge("plan", "approve"), Edge("approve", "apply")])

    def plan(self, context: Context) -> str:
        raise AssertionError("it is done")

    def approve(self, context: Context) -> dict[str, Any]:
        self.ran.append("approve")
        return {"approved": context.outputs["plan"], "by": interrupt("Go on?", options=["yes", "no"])}

    def apply(self, context: Context) -> str:
        self.ran.append("apply")
        return f"done by {context.outputs['approve']['by']}"


def test_its_interrupt_is_answered_here(runner: Runner, store: PostgresCheckpointStore) -> None:
    agent = Agent()
    asked = store.get_checkpoint(ASKED)
    assert asked is not None
    result = runner.resume(
        agent.graph,
        checkpoint_store=store,
        session_id=SESSION,
        namespace="approval",
        answer="Ada",
    )
    assert (result.status, result.outputs, agent.ran) == ("complete", {"apply": "done by Ada"}, ["approve", "apply"])
    saved = store.list_checkpoints(SESSION, namespace="approval")[::-1]
    assert [(each.version, each.step, each.node_id, each.source) for each in saved] == [
        (1, 0, None, "loop"),
        (2, 1, "approve", "interrupt"),
        (3, 2, "approve", "input"),
        (4, 3, "approve", "loop"),
        (5, 4, "apply", "loop"),
    ]
    assert [each.parent_id for each in saved[2:]] == [each.id for each in saved[1:-1]]
    assert saved[2].pending_nodes == ["approve", "apply"]
    assert saved[2].node_results["approve"] == {"status": "pending", "answers": [{"question": {}, "answer": "Ada"}]}
    assert result.checkpoint.node_results["plan"] == asked.node_results["plan"]


def test_without_an_answer_the_node_asks_again_in_a_form_with_a_question(
    runner: Runner, store: PostgresCheckpointStore
) -> None:
    agent = Agent()
    place: dict[str, Any] = {"checkpoint_store": store, "session_id": SESSION, "namespace": "approval"}
    result = runner.resume(agent.graph, **place)
    assert (result.status, result.question) == ("interrupted", {"reason": "Go on?", "options": ["yes", "no"]})
    assert (result.checkpoint.version, result.checkpoint.source) == (3, "interrupt")
    assert runner.resume(agent.graph, **place, answer="yes").outputs == {"apply": "done by yes"}


def test_a_fork_of_its_interrupt_is_answered(runner: Runner, store: PostgresCheckpointStore) -> None:
    agent = Agent()
    fork = store.fork(ASKED)
    result = runner.resume(agent.graph, checkpoint_store=store, session_id=fork.id, namespace="approval", answer="Bob")
    assert result.outputs == {"apply": "done by Bob"}


def test_its_interrupt_in_a_further_iteration_is_answered(runner: Runner, store: PostgresCheckpointStore) -> None:
    """It counts a node with a result of an earlier iteration as finished, also the one that asks."""

    def done(output: str) -> NodeResult:
        return {"status": "completed", "output": output, "startedAt": 1, "completedAt": 2}

    ran: list[str] = []
    session = store.create_session("/").id
    store.save_checkpoint(
        session,
        step=1,
        node_id="approve",
        source="interrupt",
        node_results={"draft": done("second"), "approve": done("no"), "publish": done("first")},
        pending_nodes=[],
        cycle_state={"backEdge": "approve->draft", "iteration": 1},
    )
    graph = Graph(
        entry="draft",
        nodes={
            "draft": lambda _: ran.append("draft"),
            "approve": lambda _: interrupt("ok?"),
            "publish": lambda context: f"published: {context.outputs['approve']}",
        },
        edges=[
            Edge("draft", "approve"),
            Edge("approve", "draft", back=True, max_iterations=3, until=lambda output: output == "ok"),
            Edge("approve", "publish"),
        ],
    )
    result = runner.resume(graph, checkpoint_store=store, session_id=session, answer="ok")
    assert (result.status, result.outputs, ran) == ("complete", {"publish": "published: ok"}, [])


#: what `NodeResult` and `CycleState` of @obsku/framework know; it passes over other keys
STATUSES = {"pending", "running", "completed", "failed", "skipped"}


def test_what_is_written_is_in_its_form(runner: Runner, store: PostgresCheckpointStore, url: str) -> None:
    def fails(context: Context) -> None:
        raise ValueError("no")

    graph = Graph(
        entry="a",
        nodes={"a": lambda context: context.iteration, "b": fails, "c": lambda _: 1, "ask": lambda _: interrupt("?")},
        edges=[
            Edge("a", "a", back=True, max_iterations=5),
            Edge("a", "b"),
            Edge("a", "c", condition=lambda output: output != 5),
            Edge("a", "ask"),
        ],
    )
    result = runner.run(graph, checkpoint_store=store)
    columns = "version, node_results::jsonb, pending_nodes::jsonb, cycle_state::jsonb"
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            f"SELECT {columns} FROM checkpoints WHERE session_id = %s ORDER BY version", [result.session_id]
        ).fetchall()
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    for _, results, pending, state in rows:
        for node in results.values():
            assert node["status"] in STATUSES
            assert {type(node[key]) for key in ("startedAt", "completedAt") if key in node} <= {int}
        assert set(pending) <= {"a", "b", "c", "ask"}
        assert state is None or (state["backEdge"], type(state["iteration"])) == ("a->a", int)
    _, results, pending, state = rows[-1]
    assert {name: node["status"] for name, node in results.items()} == {
        "#run": "failed",
        "a": "completed",
        "b": "failed",
        "c": "skipped",
        "ask": "pending",
    }
    assert results["b"]["error"] == "ValueError: no"
    assert results["ask"]["interrupt"] == {"reason": "?"}
    assert (pending, state["iteration"]) == (["ask"], 5)
