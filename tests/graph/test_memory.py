"""What a run knows from before, and what it leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from obsku_checkpoint.graph import Context, Edge, Findings, Graph, Memory, Recalled, RunResult, interrupt
from obsku_checkpoint.records import SessionRecord
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.testing.base import unique
from tests.embedder import embedder
from tests.graph.conftest import Runner


@pytest.fixture
def session(store: DjangoCheckpointStore) -> SessionRecord:
    return store.create_session("/shop", workspace_id=f"shop {unique()}")


def one_node(node: Callable[[Context], Any]) -> Graph:
    return Graph(nodes={"answer": node}, edges=[], entry="answer")


def seen(context: Context) -> dict[str, Any]:
    memory = context.memory
    return {
        "context": memory.context,
        "entities": [entity.name for entity in memory.entities],
        "facts": [fact.content for fact in memory.facts],
    }


def test_nodes_see_the_session_and_its_workspace(
    store: DjangoCheckpointStore, runner: Runner, session: SessionRecord
) -> None:
    other = store.create_session("/shop", workspace_id=session.workspace_id)
    store.save_entity(
        other.id, name="orders", type="table", workspace_id=session.workspace_id, attributes={"rows": 5, "on": "disk"}
    )
    store.save_entity(session.id, name="Ada", type="person")
    store.save_entity(other.id, name="nobody", type="person")
    store.save_fact("Ada is away.", workspace_id=session.workspace_id)
    store.save_fact("It may rain.", workspace_id=session.workspace_id, confidence=0.6)
    inner = one_node(seen)
    graph = Graph(nodes={"outer": seen, "nested": inner}, edges=[Edge("outer", "nested")], entry="outer")
    result = runner.run(graph, checkpoint_store=store, session_id=session.id, memory=Memory())
    expected = {
        "context": "Known Entities:\n- Ada (person)\n- orders (table): rows: 5, on: disk\n\n"
        "Relevant Facts:\n- Ada is away.",
        "entities": ["Ada", "orders"],
        "facts": ["Ada is away."],
    }
    assert result.outputs == {"nested": {"answer": expected}}
    assert result.checkpoint.node_results["outer"].get("output") == expected
    without = runner.run(one_node(seen), checkpoint_store=store, session_id=session.id)
    assert without.outputs == {"answer": {"context": "", "entities": [], "facts": []}}


def test_with_an_embedder_they_see_what_is_near_to_the_input(
    store: DjangoCheckpointStore, runner: Runner, session: SessionRecord
) -> None:
    memory = Memory(embedder=embedder)
    for content in ("the orders are slow", "the cat sleeps"):
        [vector] = embedder.embed([content])
        store.save_fact(content, workspace_id=session.workspace_id, embedding=vector)
        store.save_entity(session.id, name=content, type="t", workspace_id=session.workspace_id, embedding=vector)
    given: dict[str, Any] = {"checkpoint_store": store, "session_id": session.id, "memory": memory}
    asked = runner.run(one_node(seen), input="why are the orders slow", **given).outputs["answer"]
    assert (asked["entities"], asked["facts"]) == (["the orders are slow"], ["the orders are slow"])
    colleague = store.create_session("/", workspace_id=session.workspace_id).id
    [vector] = embedder.embed(["the orders are slow"])
    store.save_entity(colleague, name="orders", type="t", workspace_id=session.workspace_id, embedding=vector)
    store.save_entity(session.id, name="slow", type="t", embedding=vector)
    of_both = runner.run(one_node(seen), input="why are the orders slow", **given).outputs["answer"]
    assert {*of_both["entities"]} == {"the orders are slow", "orders", "slow"}
    vague = runner.run(one_node(seen), input="hello", **given).outputs["answer"]
    assert {*vague["facts"]} == {"the orders are slow", "the cat sleeps"}
    assert {*vague["entities"]} == {*of_both["entities"], "the cat sleeps"}


def test_what_is_extracted_is_saved_once_the_run_is_complete(
    store: DjangoCheckpointStore, runner: Runner, session: SessionRecord
) -> None:
    ended: list[RunResult] = []

    def extract(result: RunResult) -> Findings:
        ended.append(result)
        return {
            "entities": [{"name": "orders", "type": "table", "attributes": {"index": result.outputs["answer"]}}],
            "facts": [{"content": "orders has an index", "confidence": 0.9}],
        }

    graph = one_node(lambda context: interrupt("Which index?"))
    memory = Memory(embedder=embedder, extract=extract)
    given: dict[str, Any] = {"checkpoint_store": store, "memory": memory}
    asking = runner.run(graph, session_id=session.id, **given)
    assert ended == []
    result = runner.resume(graph, asking, answer="by day", **given)
    assert runner.resume(graph, result, **given).status == "complete"
    assert ended == [result]
    [entity] = store.list_entities(workspace_id=session.workspace_id)
    assert (entity.name, entity.attributes, entity.session_id) == ("orders", {"index": "by day"}, session.id)
    assert entity.embedding == embedder.embed(['orders table {"index":"by day"}'])[0]
    [fact] = store.list_facts(workspace_id=session.workspace_id)
    assert (fact.confidence, fact.source_session_id) == (0.9, session.id)
    [found] = store.search_facts(embedder.embed(["has orders an index"])[0], workspace_id=session.workspace_id)
    assert found.record == fact


def test_hooks_of_ones_own(store: DjangoCheckpointStore, runner: Runner, session: SessionRecord) -> None:
    async def load(session: SessionRecord, input: Any) -> Recalled:
        return Recalled(context=f"{session.workspace_id} asks {input}")

    async def extract(result: RunResult) -> Findings:
        return {"facts": [{"content": result.outputs["answer"]["context"]}]}

    runner.run(
        one_node(seen),
        checkpoint_store=store,
        session_id=session.id,
        input="why",
        memory=Memory(load=load, extract=extract),
    )
    [fact] = store.list_facts(workspace_id=session.workspace_id)
    assert fact.content == f"{session.workspace_id} asks why"
    assert fact.embedding is None


def test_a_hook_that_fails_is_logged_and_not_the_runs_failure(
    store: DjangoCheckpointStore, runner: Runner, session: SessionRecord, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: Any) -> Any:
        raise KeyError("private")

    memory = Memory(load=fail, extract=fail)
    with caplog.at_level(logging.WARNING):
        result = runner.run(one_node(seen), checkpoint_store=store, session_id=session.id, memory=memory)
    assert result.status == "complete"
    assert [record.message for record in caplog.records] == [
        "The memory hook load failed: KeyError",
        "The memory hook extract failed: KeyError",
    ]


def test_the_text_is_bounded(store: DjangoCheckpointStore, runner: Runner, session: SessionRecord) -> None:
    for number in range(10):
        store.save_fact(f"{number} " + "x" * 400, workspace_id=session.workspace_id)
    result = runner.run(one_node(seen), checkpoint_store=store, session_id=session.id, memory=Memory())
    text = result.outputs["answer"]["context"]
    assert text.startswith("Relevant Facts:\n- 9 xxx")
    assert text.endswith("x...")
    assert text.count("\n") == 4
