"""An answer belongs to its question, and is for one checkpoint."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph import Context, Edge, Graph, RunResult, interrupt, run
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.run_state import read
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.graph.conftest import Runner

YES_NO = ["yes", "no"]


def asking(*reasons: str, options: Any = YES_NO) -> Graph:
    """One node that asks these questions, one after the other."""
    return Graph(entry="ask", nodes={"ask": lambda _: [interrupt(reason, options=options) for reason in reasons]})


@pytest.mark.parametrize(
    ("deployed", "asked_next"),
    [
        (["Delete the data?", "Send the mail?"], "Delete the data?"),
        (["Delete the data?"], "Delete the data?"),
        (["Send the mail?", "Delete the data?"], "Delete the data?"),
        (["Send the mail?", "Send the mail?"], "Send the mail?"),
    ],
)
def test_an_answer_is_given_to_its_question_only(
    deployed: list[str], asked_next: str, runner: Runner, store: DjangoCheckpointStore
) -> None:
    asked = runner.run(asking("Send the mail?"), checkpoint_store=store)
    result = runner.resume(asking(*deployed), asked, checkpoint_store=store, answer="yes")
    assert result.question == {"reason": asked_next, "options": YES_NO}
    result = runner.resume(asking(*deployed), result, checkpoint_store=store, answer="no")
    expected = ["no"] * len(deployed)
    if "Send the mail?" in deployed:
        expected[deployed.index("Send the mail?")] = "yes"
    assert result.outputs == {"ask": expected}


def test_other_options_are_another_question(runner: Runner, store: DjangoCheckpointStore) -> None:
    asked = runner.run(asking("Send?"), checkpoint_store=store)
    result = runner.resume(asking("Send?", options=["yes", "all"]), asked, checkpoint_store=store, answer="yes")
    assert result.question == {"reason": "Send?", "options": ["yes", "all"]}


@pytest.mark.parametrize("answer", ["yess", "", None, ["yes"], 1])
def test_an_answer_must_be_one_of_the_options(answer: Any, runner: Runner, store: DjangoCheckpointStore) -> None:
    asked = runner.run(asking("Send?"), checkpoint_store=store)
    with pytest.raises(GraphError, match="must be one of 'yes', 'no': 'ask'"):
        runner.resume(asking("Send?"), asked, checkpoint_store=store, answer=answer)
    assert store.get_latest_checkpoint(asked.session_id) == asked.checkpoint


def test_the_answer_to_an_option_with_a_label_is_its_value(runner: Runner, store: DjangoCheckpointStore) -> None:
    options = [{"label": "Yes!", "value": True, "description": "Do it."}, {"label": "No", "value": False}, "later"]
    graph = Graph(entry="ask", nodes={"ask": lambda _: interrupt("Send?", options=options, input_type="choice")})
    asked = runner.run(graph, checkpoint_store=store)
    assert asked.question == {"reason": "Send?", "options": options, "inputType": "choice"}
    with pytest.raises(GraphError, match="must be one of True, False, 'later'"):
        runner.resume(graph, asked, checkpoint_store=store, answer="Yes!")
    assert runner.resume(graph, asked, checkpoint_store=store, answer=False).outputs == {"ask": False}


def nested(ran: list[str] | None = None) -> Graph:
    def ask(context: Context) -> Any:
        if ran is not None:
            ran.append(context.node)
        return interrupt(f"{context.node}?", options=YES_NO)

    deep = Graph(entry="deep", nodes={"deep": ask})
    write = Graph(
        entry="x",
        nodes={"x": lambda _: "x", "approve": ask, "within": deep},
        edges=[Edge("x", "approve"), Edge("x", "within")],
    )
    return Graph(
        entry="a",
        nodes={"a": lambda _: "a", "approve": ask, "write": write},
        edges=[Edge("a", "approve"), Edge("a", "write")],
    )


PATHS = {"approve", "write/approve", "write/within/deep"}


def test_answers_name_their_questions_by_path(runner: Runner, store: DjangoCheckpointStore) -> None:
    asked = runner.run(nested(), checkpoint_store=store)
    assert asked.questions.keys() == read(asked.checkpoint).questions.keys() == PATHS
    answers = {"write/within/deep": "yes", "approve": "no"}
    result = runner.resume(nested(), asked, checkpoint_store=store, answers=answers)
    assert (result.status, [*result.questions]) == ("interrupted", ["write/approve"])
    result = runner.resume(nested(), checkpoint_store=store, checkpoint=result.checkpoint, answer="no")
    assert result.outputs == {"approve": "no", "write": {"approve": "no", "within": {"deep": "yes"}}}


def test_all_answers_at_once(runner: Runner, store: DjangoCheckpointStore) -> None:
    asked = runner.run(nested(), checkpoint_store=store)
    result = runner.resume(nested(), asked, checkpoint_store=store, answers=dict.fromkeys(PATHS, "yes"))
    assert (result.status, result.questions) == ("complete", {})


def test_an_answer_to_no_question_is_refused_with_all_others(runner: Runner, store: DjangoCheckpointStore) -> None:
    asked = runner.run(nested(), checkpoint_store=store)
    for answers in ({"approve": "no", "write": "no"}, {"approve": "no", "a": "no"}, {"approve": "no", "": "no"}):
        with pytest.raises(GraphError, match="no open question"):
            runner.resume(nested(), asked, checkpoint_store=store, answers=answers)
    with pytest.raises(GraphError, match="must be one of"):
        runner.resume(nested(), asked, checkpoint_store=store, answers={"approve": "no", "write/approve": "maybe"})
    assert store.get_latest_checkpoint(asked.session_id) == asked.checkpoint
    with pytest.raises(GraphError, match="either answer or answers"):
        runner.resume(nested(), asked, checkpoint_store=store, answer="yes", answers={"approve": "yes"})


def test_an_answer_that_is_delivered_twice_is_refused(runner: Runner, store: DjangoCheckpointStore) -> None:
    graph = Graph(
        entry="pay",
        nodes={"pay": lambda _: interrupt("Pay?"), "drop": lambda _: interrupt("Delete the customer?")},
        edges=[Edge("pay", "drop")],
    )
    asked = runner.run(graph, checkpoint_store=store).checkpoint
    result = runner.resume(graph, checkpoint_store=store, checkpoint=asked, answer="yes")
    answers: list[dict[str, Any]] = [{"answer": "yes"}, {"answers": {"pay": "yes"}}, {"answers": {}}]
    for answer in answers:
        with pytest.raises(GraphError, match="not the newest any more"):
            runner.resume(graph, checkpoint_store=store, checkpoint=asked, **answer)
    assert store.get_latest_checkpoint(asked.session_id) == result.checkpoint
    assert result.question == {"reason": "Delete the customer?"}


def test_a_checkpoint_brings_its_place(runner: Runner, store: DjangoCheckpointStore) -> None:
    asked = runner.run(asking("Send?"), checkpoint_store=store, namespace="main")
    other = store.create_session("/").id
    places: list[dict[str, Any]] = [{"session_id": other}, {"namespace": "other"}]
    for place in places:
        with pytest.raises(GraphError, match="another session or namespace"):
            runner.resume(asking("Send?"), checkpoint_store=store, checkpoint=asked.checkpoint, **place)
    with pytest.raises(GraphError, match="needs a session_id or a checkpoint"):
        runner.resume(asking("Send?"), checkpoint_store=store)
    result = runner.resume(asking("Send?"), checkpoint_store=store, checkpoint=asked.checkpoint, answer="no")
    assert (result.outputs, result.checkpoint.namespace) == ({"ask": ["no"]}, "main")


class AtWork:
    """A run in a thread: a node that takes as long as it is held, beside one that asks."""

    def __init__(self, store: DjangoCheckpointStore, ask: Callable[[Context], Any] | Graph) -> None:
        self.store = store
        self.started, self.let_go = threading.Event(), threading.Event()
        self.extracted: list[str] = []
        self.graph = Graph(
            entry="a",
            nodes={"a": lambda _: "a", "ask": ask, "extract": self.extract, "z": lambda context: context.outputs},
            edges=[Edge("a", "ask"), Edge("a", "extract"), Edge("ask", "z"), Edge("extract", "z")],
        )
        self.session = store.create_session("/").id
        self.asked = threading.Event()
        self.threads = ThreadPoolExecutor(1)
        self.result = self.threads.submit(self.run)
        assert self.asked.wait(20)
        assert self.started.wait(20)
        newest = store.get_latest_checkpoint(self.session, namespace="")
        assert newest is not None
        self.newest = newest

    def extract(self, context: Context) -> str:
        self.extracted.append(context.idempotency_key)
        self.started.set()
        assert self.let_go.wait(20)
        return "extracted"

    def run(self) -> RunResult:
        def on_checkpoint(record: CheckpointRecord) -> None:
            if record.source == "interrupt" and not record.namespace:
                self.asked.set()

        try:
            return run(self.graph, checkpoint_store=self.store, session_id=self.session, on_checkpoint=on_checkpoint)
        finally:
            self.store.close()

    def ended(self) -> RunResult:
        self.let_go.set()
        result = self.result.result(20)
        self.threads.shutdown()
        return result


def ask(context: Context) -> Any:
    return interrupt("Send?", options=YES_NO)


ASKS: list[tuple[Any, str]] = [(ask, "ask"), (Graph(entry="inner", nodes={"inner": ask}), "ask/inner")]


@pytest.mark.parametrize(("node", "path"), ASKS)
def test_an_answer_given_meanwhile_is_taken_by_the_run_at_work(
    node: Any, path: str, runner: Runner, store: DjangoCheckpointStore
) -> None:
    work = AtWork(store, node)
    state = read(work.newest)
    assert (state.status, state.settled, state.working, [*state.questions]) == ("working", False, ["extract"], [path])
    kept = runner.resume(work.graph, checkpoint_store=store, checkpoint=work.newest, answers={path: "no"})
    assert (kept.status, kept.questions, kept.checkpoint.version) == ("working", {}, work.newest.version + 1)
    with pytest.raises(GraphError, match="not the newest any more"):
        runner.resume(work.graph, checkpoint_store=store, checkpoint=work.newest, answers={path: "yes"})
    result = work.ended()
    answer = "no" if path == "ask" else {"inner": "no"}
    assert (result.status, result.outputs) == ("complete", {"z": {"ask": answer, "extract": "extracted"}})
    assert len(work.extracted) == 1
    versions = [each.version for each in store.list_checkpoints(work.session, namespace="")]
    assert versions == list(range(len(versions), 0, -1))


def test_an_answer_for_no_checkpoint_is_refused_while_nodes_are_at_work(
    runner: Runner, store: DjangoCheckpointStore
) -> None:
    work = AtWork(store, ask)
    with pytest.raises(GraphError, match=r"nothing waits for an answer yet.*'extract'"):
        runner.resume(work.graph, checkpoint_store=store, session_id=work.session, answer="yes")
    result = work.ended()
    assert (result.status, read(result.checkpoint).settled, len(work.extracted)) == ("interrupted", True, 1)
    result = runner.resume(work.graph, result, checkpoint_store=store, answer="yes")
    assert result.outputs == {"z": {"ask": "yes", "extract": "extracted"}}


@pytest.mark.parametrize(("node", "path"), ASKS)
def test_an_answer_waits_where_the_process_at_work_is_dead(
    node: Any, path: str, runner: Runner, store: DjangoCheckpointStore
) -> None:
    asked = threading.Event()

    def killed(record: CheckpointRecord) -> None:
        if record.source == "interrupt" and not record.namespace:
            asked.set()
            raise KeyboardInterrupt

    def slow(context: Context) -> str:
        assert asked.wait(10)
        time.sleep(0.05)
        return "fine"

    nodes = {"a": lambda _: "a", "ask": node, "extract": slow}
    graph = Graph(entry="a", nodes=nodes, edges=[Edge("a", "ask"), Edge("a", "extract")])
    session = store.create_session("/").id
    with pytest.raises(KeyboardInterrupt):
        run(graph, checkpoint_store=store, session_id=session, on_checkpoint=killed)
    newest = store.get_latest_checkpoint(session, namespace="")
    assert newest is not None
    assert (read(newest).status, read(newest).working) == ("working", ["extract"])
    runner.resume(graph, checkpoint_store=store, checkpoint=newest, answers={path: "yes"})
    result = runner.resume(graph, checkpoint_store=store, session_id=session)
    assert result.outputs == {"ask": "yes" if path == "ask" else {"inner": "yes"}, "extract": "fine"}


def test_what_is_run_beside_an_open_question_is_said(runner: Runner, store: DjangoCheckpointStore) -> None:
    """A node is run again while the question beside it, or in the graph around it, is still open."""

    def flaky(context: Context) -> str:
        if not said:
            said.append({})
            raise ValueError
        newest = [store.get_latest_checkpoint(context.session_id, namespace=name) for name in ("", context.namespace)]
        said.append({each.namespace: read(each).working for each in newest if each})
        return "fine"

    def beside(node: Any) -> Graph:
        nodes = {"a": lambda _: "a", "ask": ask, "node": node}
        return Graph(entry="a", nodes=nodes, edges=[Edge("a", "ask"), Edge("a", "node")])

    graphs = [
        (beside(flaky), {"": ["node"]}),
        (beside(Graph(entry="n", nodes={"n": flaky})), {"": ["node"], "node": []}),
        (Graph(entry="n", nodes={"n": beside(flaky)}), {"": [], "n": ["node"]}),
    ]
    for graph, expected in graphs:
        said: list[dict[str, list[str]]] = []
        result = runner.run(graph, checkpoint_store=store, max_concurrency=1)
        assert result.status == "failed"
        result = runner.resume(graph, result, checkpoint_store=store, max_concurrency=1)
        assert (said[1:], result.status, read(result.checkpoint).settled) == ([expected], "interrupted", True)


def test_a_graph_is_stored_once(runner: Runner, store: DjangoCheckpointStore) -> None:
    graph = Graph(entry="a", nodes={"a": lambda _: 1, "b": ask}, edges=[Edge("a", "b", condition=bool)])
    result = runner.run(graph, checkpoint_store=store)
    deployed = Graph(entry="a", nodes={**graph.nodes, "c": lambda _: 1}, edges=[*graph.edges, Edge("b", "c")])
    runner.resume(deployed, result, checkpoint_store=store, answer="yes")
    saved = store.list_checkpoints(result.session_id)[::-1]
    graphs = [read(each).graph for each in saved]
    whole = [place for place, each in enumerate(graphs) if each in (graph.description, deployed.description)]
    assert whole == [0, 3]
    places = [saved[max(one for one in whole if one <= place)].id for place in range(len(saved))]
    assert [getattr(each, "checkpoint_id", saved[place].id) for place, each in enumerate(graphs)] == places
    fork = store.fork(saved[-2].id)
    runner.resume(deployed, checkpoint_store=store, session_id=fork.id)
    assert next(read(each).graph for each in store.list_checkpoints(fork.id)) == deployed.description
