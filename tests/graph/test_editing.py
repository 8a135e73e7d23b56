"""Time travel: another result for a node, other nodes, another input; the run that it came from stays as it was."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db.models.expressions import RawSQL

from obsku_checkpoint.errors import CheckpointCorruptionError, CheckpointNotFoundError, GraphError, SerializationError
from obsku_checkpoint.graph import Context, Edge, Graph, aedit, edit, interrupt
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.run_state import read
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.graph.conftest import Runner

EDGES = [Edge("list", "parse"), Edge("list", "search"), Edge("parse", "report"), Edge("search", "report")]


class Agent:
    """Its nodes log their names."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def graph(self, sign: str = "", edges: list[Edge] = EDGES) -> Graph:
        def node(context: Context) -> str:
            self.ran.append(context.node)
            before = ",".join(f"{output}" for _, output in sorted(context.outputs.items()))
            return f"{context.node}{sign}({before or context.input})"

        return Graph(entry="list", nodes=dict.fromkeys(["list", "parse", "search", "report"], node), edges=edges)


def editing(runner: Runner, graph: Graph, **arguments: Any) -> CheckpointRecord:
    return asyncio.run(aedit(graph, **arguments)) if runner.form == "async" else edit(graph, **arguments)


def test_what_follows_from_an_edited_node_is_run_again_in_a_fork(runner: Runner, store: DjangoCheckpointStore) -> None:
    agent = Agent()
    original = runner.run(agent.graph(), input="in", checkpoint_store=store, max_concurrency=1)
    before = store.list_checkpoints(original.session_id)
    agent.ran.clear()
    edited = editing(
        runner,
        agent.graph(),
        checkpoint_store=store,
        checkpoint_id=original.checkpoint.id,
        node="parse",
        output={"mine"},
        title="What if",
    )
    assert (edited.node_id, edited.source, edited.pending_nodes) == ("parse", "input", ["report"])
    assert edited.node_results["parse"]["output"] == {"mine"}
    session = store.get_session(edited.session_id)
    assert session is not None
    assert session.title == "What if"
    result = runner.resume(agent.graph(), checkpoint_store=store, session_id=edited.session_id)
    assert result.outputs == {"report": "report({'mine'},search(list(in)))"}
    assert agent.ran == ["report"]
    lineage = store.get_lineage(result.checkpoint.id)
    assert original.checkpoint.id in [each.id for each in lineage]
    assert store.list_checkpoints(original.session_id) == before


def test_a_checkpoint_in_the_middle_can_be_edited(runner: Runner, store: DjangoCheckpointStore) -> None:
    agent = Agent()
    original = runner.run(agent.graph(), input="in", checkpoint_store=store, max_concurrency=1)
    first = store.list_checkpoints(original.session_id)[-1]
    agent.ran.clear()
    edited = editing(
        runner, agent.graph(), checkpoint_store=store, checkpoint_id=first.id, node="search", output="mine"
    )
    result = runner.resume(agent.graph(), checkpoint_store=store, session_id=edited.session_id, max_concurrency=1)
    assert agent.ran == ["list", "parse", "report"]
    assert result.outputs == {"report": "report(parse(list(in)),mine)"}


def test_an_edited_node_of_a_cycle_runs_the_rest_of_the_cycle_again(
    runner: Runner, store: DjangoCheckpointStore
) -> None:
    agent = Agent()
    graph = agent.graph(edges=[*EDGES, Edge("report", "list", back=True, max_iterations=1)])
    original = runner.run(graph, checkpoint_store=store, max_concurrency=1)
    assert agent.ran == ["list", "parse", "search", "report"] * 2
    agent.ran.clear()
    edited = editing(
        runner,
        graph,
        checkpoint_store=store,
        checkpoint_id=original.checkpoint.id,
        node="search",
        output="mine",
    )
    runner.resume(graph, checkpoint_store=store, session_id=edited.session_id, max_concurrency=1)
    # The back edge has been taken as often as it may be.
    assert agent.ran == ["report"]


def test_a_back_edge_is_taken_for_an_edited_output(runner: Runner, store: DjangoCheckpointStore) -> None:
    ran: list[str] = []

    def node(context: Context) -> str:
        ran.append(context.node)
        return "fine"

    graph = Graph(
        entry="write",
        nodes=dict.fromkeys(["write", "review", "publish"], node),
        edges=[
            Edge("write", "review"),
            Edge("review", "write", back=True, max_iterations=3, until=lambda output: output.startswith("fine")),
            Edge("review", "publish", condition=lambda output: output == "fine"),
        ],
    )
    original = runner.run(graph, checkpoint_store=store)
    ran.clear()
    place: dict[str, Any] = {"checkpoint_store": store, "checkpoint_id": original.checkpoint.id, "node": "review"}
    edited = editing(runner, graph, **place, output="bad")
    assert runner.resume(graph, checkpoint_store=store, session_id=edited.session_id).outputs == {"publish": "fine"}
    assert ran == ["write", "review", "publish"]
    with pytest.raises(GraphError, match=r"condition for the edited output raised AttributeError.*'review'"):
        editing(runner, graph, **place, output=1)


def test_what_came_of_the_old_output_is_forgotten(runner: Runner, store: DjangoCheckpointStore) -> None:
    failing = True

    def ask(context: Context) -> Any:
        answer = interrupt(f"delete {context.outputs['a']}?")
        if failing:
            raise ValueError
        return [context.outputs["a"], answer]

    graph = Graph(
        entry="a",
        nodes={"a": lambda _: "temporary", "ask": ask, "end": lambda context: context.outputs["ask"]},
        edges=[Edge("a", "ask"), Edge("ask", "end")],
    )
    asked = runner.run(graph, checkpoint_store=store)
    failed = runner.resume(graph, asked, checkpoint_store=store, answer="yes")
    assert failed.status == "failed"
    failing = False
    for before in (asked, failed):
        edited = editing(
            runner, graph, checkpoint_store=store, checkpoint_id=before.checkpoint.id, node="a", output="production"
        )
        again = runner.resume(graph, checkpoint_store=store, session_id=edited.session_id)
        assert (again.errors, again.question) == ({}, {"reason": "delete production?"})
        done = runner.resume(graph, checkpoint_store=store, session_id=edited.session_id, answer="no")
        assert done.outputs == {"end": ["production", "no"]}


def test_what_cannot_be_edited_is_named_and_leaves_no_fork(runner: Runner, store: DjangoCheckpointStore) -> None:
    graph = Agent().graph()
    last = runner.run(graph, checkpoint_store=store).checkpoint
    sessions = len(store.list_sessions())
    with pytest.raises(GraphError, match="no such node: 'other'"):
        editing(runner, graph, checkpoint_store=store, checkpoint_id=last.id, node="other", output=1)
    with pytest.raises(CheckpointNotFoundError):
        editing(runner, graph, checkpoint_store=store, checkpoint_id="nothing", node="parse", output=1)
    with pytest.raises(SerializationError):
        editing(runner, graph, checkpoint_store=store, checkpoint_id=last.id, node="parse", output=object())
    assert len(store.list_sessions()) == sessions


def test_a_fork_goes_on_with_other_nodes_and_another_input(runner: Runner, store: DjangoCheckpointStore) -> None:
    agent = Agent()
    original = runner.run(agent.graph(), input="in", checkpoint_store=store, max_concurrency=1)
    after_parse = next(each for each in store.list_checkpoints(original.session_id) if each.node_id == "parse")
    agent.ran.clear()
    fork = store.fork(after_parse.id)
    result = runner.run(
        agent.graph("!"), input="other", from_checkpoint=fork, checkpoint_store=store, max_concurrency=1
    )
    assert agent.ran == ["search", "report"]
    assert result.outputs == {"report": "report!(parse(list(in)),search!(list(in)))"}
    state = read(result.checkpoint)
    assert (state.results["list"]["output"], state.input) == ("list(in)", "other")
    forked = store.list_checkpoints(fork.id)[-1]
    assert (forked.source, forked.parent_id) == ("fork", after_parse.id)


def test_only_the_newest_checkpoint_can_be_gone_on_from(runner: Runner, store: DjangoCheckpointStore) -> None:
    agent = Agent()
    original = runner.run(agent.graph(), checkpoint_store=store)
    agent.ran.clear()
    older = store.list_checkpoints(original.session_id)[1]
    with pytest.raises(GraphError, match=f"{older.id} is not the newest of its namespace: fork it first"):
        runner.run(agent.graph(), from_checkpoint=older, checkpoint_store=store)
    assert agent.ran == []


def test_a_run_keeps_its_input_when_another_node_is_the_entry(runner: Runner, store: DjangoCheckpointStore) -> None:
    keys: list[str] = []

    def fails(context: Context) -> None:
        keys.append(context.idempotency_key)
        raise ValueError

    def fine(context: Context) -> Any:
        keys.append(context.idempotency_key)
        return context.input

    before = Graph(entry="a", nodes={"a": lambda _: 1, "b": fails}, edges=[Edge("a", "b")])
    after = Graph(entry="start", nodes={"start": lambda _: 1, "b": fine}, edges=[Edge("start", "b")])
    result = runner.run(before, input="in", checkpoint_store=store)
    assert runner.resume(after, result, checkpoint_store=store).outputs == {"b": "in"}
    assert len(set(keys)) == 1


def test_a_run_goes_on_from_a_checkpoint_record(runner: Runner, store: DjangoCheckpointStore) -> None:
    agent = Agent()
    original = runner.run(agent.graph(), input="in", checkpoint_store=store)
    fork = store.fork(store.list_checkpoints(original.session_id)[-1].id)
    forked = store.get_latest_checkpoint(fork.id)
    agent.ran.clear()
    result = runner.run(agent.graph(), from_checkpoint=forked, checkpoint_store=store)
    assert result.outputs == original.outputs
    assert sorted(agent.ran) == ["list", "parse", "report", "search"]


def test_a_run_does_not_go_on_from_what_cannot_be_read(runner: Runner, store: DjangoCheckpointStore) -> None:
    agent = Agent()
    last = runner.run(agent.graph(), input="in", checkpoint_store=store).checkpoint
    for column in ("node_results", "pending_nodes", "cycle_state"):
        Checkpoint.objects.using(store.using).filter(id=last.id).update(**{column: RawSQL("'{oops'", [])})
        kept = store.get_checkpoint(last.id, on_corrupt="keep")
        with pytest.raises(CheckpointCorruptionError, match=f"{column}.*{last.id}|{last.id}.*{column}"):
            runner.run(agent.graph(), from_checkpoint=kept, checkpoint_store=store)
        Checkpoint.objects.using(store.using).filter(id=last.id).update(**{column: RawSQL("'{}'", [])})
    Checkpoint.objects.using(store.using).filter(id=last.id).update(node_results=RawSQL("""'{"parse": []}'""", []))
    with pytest.raises(GraphError, match="no status for: 'parse'"):
        runner.run(agent.graph(), from_checkpoint=store.get_checkpoint(last.id), checkpoint_store=store)


def test_the_keys_of_a_fork_are_its_own(runner: Runner, store: DjangoCheckpointStore) -> None:
    keys: list[str] = []
    graph = Graph(entry="a", nodes={"a": lambda context: keys.append(context.idempotency_key)})
    first = runner.run(graph, checkpoint_store=store)
    fork = store.fork(store.list_checkpoints(first.session_id)[-1].id)
    runner.run(graph, from_checkpoint=fork, checkpoint_store=store)
    assert len(set(keys)) == 2
