"""Random graphs, stopped after every checkpoint: a resumed run ends as an unbroken one, and repeats nothing.

The npm package's framework refuses what is left behind, but for a complete run. After a deploy in between that changes
what nodes ask, and after a fork made by that framework, no answer reaches another question.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph import Context, Edge, Event, Graph, Node, RunResult, aresume, arun, interrupt
from obsku_checkpoint.run_state import read
from tests.graph import typescript
from tests.graph.memory_store import MemoryStore, memory_store

GRAPHS, PARTS = 200, 4
MOST_NODES = 30
MOST_FAILURES = 2
ALWAYS = 10**9


def number(*parts: Any) -> int:
    return zlib.crc32(repr(parts).encode())


def every(divisor: int) -> Any:
    """A condition that holds for most outputs, by what they are."""
    return lambda output: number(output) % divisor != 0


@dataclass
class World:
    """What happens outside the checkpoints: how often each node failed, and which are finished."""

    store: MemoryStore
    failures: Counter[str] = field(default_factory=Counter)
    #: idempotency key -> how many checkpoints there were when it was known to be finished
    finished: dict[str, int] = field(default_factory=dict)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    #: what a deploy makes of a node's questions
    deploy: Callable[[list[str]], list[str]] = list
    #: reason of a question -> how often it was answered
    answered: Counter[str] = field(default_factory=Counter)

    def ask(self, reasons: list[str]) -> list[str]:
        """Ask, and see that each answer is one to its question, and was given so often."""
        answers = [interrupt(reason) for reason in self.deploy(reasons)]
        assert answers == [f"answer to {reason}" for reason in self.deploy(reasons)]
        assert all(self.answered[reason] >= count for reason, count in Counter(self.deploy(reasons)).items())
        return answers

    def called(self, context: Context) -> None:
        assert context.idempotency_key not in self.finished, f"{context.node} is finished and was run again"
        self.keys[context.namespace, context.node] = context.idempotency_key

    def fails(self, context: Context, most: int) -> bool:
        self.failures[context.idempotency_key] += 1
        return self.failures[context.idempotency_key] <= most

    def told(self, event: Event) -> None:
        key = self.keys.get((event.namespace, event.node or ""))
        if event.type == "node_finished" and event.status == "completed" and key:
            self.finished.setdefault(key, self.store.saved)

    def stopped_after(self, number: int) -> World:
        """What a process leaves behind that is killed when it has saved so many checkpoints."""
        finished = {key: saved for key, saved in self.finished.items() if saved <= number}
        return World(self.store.stopped_after(number), finished=finished, answered=Counter(self.answered))


@dataclass(frozen=True)
class Behaviour:
    failures: int
    questions: int
    pauses: int

    def node(self, world: World) -> Any:
        async def node(context: Context) -> Any:
            world.called(context)
            for _ in range(self.pauses):
                await asyncio.sleep(0)
            answers = world.ask([f"{context.namespace}/{context.node} {place}" for place in range(self.questions)])
            if world.fails(context, self.failures):
                raise ValueError(context.node)
            seen = sorted(context.outputs.items())
            return {
                "value": number(context.node, context.iteration, context.input, seen, answers),
                "at": context.iteration,
            }

        return node


def behaviours() -> st.SearchStrategy[Behaviour]:
    often = st.sampled_from([0] * 8 + [1, 2])
    failures = st.sampled_from([0] * 16 + [1, 1, 2, ALWAYS])
    return st.builds(Behaviour, failures=failures, questions=often, pauses=st.integers(0, 3))


@dataclass(frozen=True)
class Plan:
    """A graph to be built anew for each world."""

    nodes: list[Behaviour | Plan]
    edges: list[Edge]
    #: before the numbers of the nodes; without one JavaScript sorts them to the front
    prefix: str

    def build(self, world: World) -> Graph:
        nodes: dict[str, Any] = {
            f"{self.prefix}{place}": node.build(world) if isinstance(node, Plan) else Node(node.node(world))
            for place, node in enumerate(self.nodes)
        }
        return Graph(entry=f"{self.prefix}0", nodes=nodes, edges=self.edges)


@st.composite
def plans(draw: st.DrawFn, most: int = MOST_NODES, depth: int = 1) -> Plan:
    n = draw(st.sampled_from(["n", ""]))
    size = draw(st.one_of(st.integers(1, min(most, 9)), st.integers(1, most)))
    conditions = st.sampled_from([None, None, every(3), every(5)])
    nodes: list[Any] = []
    edges: list[Edge] = []
    for place in range(size):
        nested = depth and draw(st.integers(0, 14)) == 0
        nodes.append(draw(plans(4, 0)) if nested else draw(behaviours()))
        if place:
            sources = draw(st.sets(st.integers(max(0, place - 6), place - 1), min_size=1, max_size=3))
            edges += [Edge(f"{n}{source}", f"{n}{place}", condition=draw(conditions)) for source in sorted(sources)]
    for _ in range(draw(st.integers(0, 3))):
        source = draw(st.integers(0, size - 1))
        target = draw(st.integers(max(0, source - 4), source))
        back = Edge(
            f"{n}{source}",
            f"{n}{target}",
            back=True,
            max_iterations=draw(st.integers(1, 2)),
            condition=draw(conditions),
            until=draw(st.sampled_from([None, lambda output: output.get("value", 1) % 4 == 0])),
        )
        try:
            Plan(nodes, [*edges, back], n).build(World(memory_store()))
        except GraphError:
            continue
        edges.append(back)
    return Plan(nodes, edges, n)


async def to_the_end(plan: Plan, world: World, session_id: str) -> RunResult:
    """Resume, with answers where there are questions, until nothing but nodes that always fail is left."""
    graph, fruitless = plan.build(world), 0
    answers: dict[str, Any] = {}
    turn = 0
    while fruitless <= MOST_FAILURES:
        finished = len(world.finished)
        result = await aresume(
            graph, checkpoint_store=world.store, session_id=session_id, on_event=world.told, **answers
        )
        if result.status == "complete":
            break
        turn += 1
        given = {path: f"answer to {question['reason']}" for path, question in result.questions.items()}
        answers = {"answers": given, "checkpoint": result.checkpoint}
        if turn % 2 and given:
            given = dict([next(iter(given.items()))])
            answers = {"answer": next(iter(given.values()))}
        world.answered.update(answer.removeprefix("answer to ") for answer in given.values())
        fruitless = 0 if result.question or len(world.finished) > finished else fruitless + 1
    return result


async def check(plan: Plan) -> None:
    whole = World(memory_store())
    session = whole.store.create_session("/").id
    graph = plan.build(whole)
    await arun(graph, checkpoint_store=whole.store, input="input", session_id=session, on_event=whole.told)
    unbroken = await to_the_end(plan, whole, session)
    for number in range(1, whole.store.saved):
        world = whole.stopped_after(number)
        resumed = await to_the_end(plan, world, session)
        assert (resumed.status, resumed.outputs, resumed.errors) == (unbroken.status, unbroken.outputs, unbroken.errors)
        for rows in world.store.rows.values():
            checkpoints = [row.record for row in rows]
            assert [each.version for each in checkpoints] == list(range(1, len(checkpoints) + 1))
            assert [each.step for each in checkpoints] == list(range(len(checkpoints)))
            assert [each.parent_id for each in checkpoints] == [None, *(each.id for each in checkpoints[:-1])]
    check_typescript(whole, graph)
    for number in range(1, whole.store.saved, 3):
        await check_deploy(plan, whole.stopped_after(number), session, number)


def check_typescript(world: World, graph: Graph) -> None:
    """Of every state that a process may leave behind, that framework refuses the unfinished before anything runs."""
    for number in range(1, world.store.saved + 1):
        left = world.store.stopped_after(number)
        for (_, namespace), rows in left.rows.items():
            if namespace:
                continue  # it enters a nested graph from the outer one only
            checkpoints = [row.read() for row in rows]
            resumed = typescript.resumed(checkpoints, graph)
            state = read(checkpoints[-1])
            assert resumed.version == len(rows) + 1
            if state.status == "complete" and not graph.bodies:
                assert (resumed.refusal, resumed.run) == (None, frozenset())
                assert resumed.taken > graph.nodes.keys()
            else:
                assert resumed.refusal == "Resume it in Python."


DEPLOYS: list[Callable[[list[str]], list[str]]] = [
    lambda reasons: reasons[::-1],
    lambda reasons: [f"new before {reasons[0]}", *reasons] if reasons else [],
    lambda reasons: [f"instead of {reasons[0]}", *reasons[1:]] if reasons else [],
    lambda reasons: [reason for reason in reasons for _ in range(2)],
    lambda reasons: reasons[1:],
]


async def check_deploy(plan: Plan, world: World, session: str, number: int) -> None:
    """The nodes assert that each answer is one to its question."""
    world.deploy = DEPLOYS[number % len(DEPLOYS)]
    if number % 2:
        newest = world.store.get_latest_checkpoint(session, namespace="")
        assert newest is not None
        session = typescript.fork(world.store, newest)
    result = await to_the_end(plan, world, session)
    assert not [error for error in result.errors.values() if "Assertion" in error], result.errors


@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_stopped_anywhere_ends_as_an_unbroken_one(part: int) -> None:
    @seed(part)
    @settings(max_examples=GRAPHS // PARTS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(plans())
    def each(plan: Plan) -> None:
        asyncio.run(check(plan))

    each()
