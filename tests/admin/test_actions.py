"""What may be done: answer, fork, export, delete. And by whom."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from obsku_checkpoint import graph
from obsku_checkpoint.errors import VersionConflictError
from obsku_checkpoint.graph import Context, Edge, Graph, interrupt
from obsku_checkpoint.models import Entity, Fact
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links, redirected

QUESTION: dict[str, Any] = {
    "approve": {
        "status": "pending",
        "interrupt": {"reason": "Publish <2.4>?", "options": ["yes", {"label": "No!", "value": 0}], "commits": 12},
    }
}
TEXT: dict[str, Any] = {"name": {"status": "pending", "interrupt": {"reason": "Which name?"}}}

answers: list[tuple[str, dict[str, Any]]] = []


def approve(context: Context) -> Any:
    return interrupt("Publish?", options=["yes", "no"])


PUBLISHING = Graph(
    entry="write",
    nodes={
        "write": lambda context: "text",
        "review": Graph(entry="approve", nodes={"approve": approve}),
        "publish": lambda context: context.outputs["review"]["approve"],
    },
    edges=[Edge("write", "review"), Edge("review", "publish")],
)


def go_on(checkpoint: CheckpointRecord, answers: dict[str, Any]) -> None:
    graph.resume(PUBLISHING, checkpoint_store=DjangoCheckpointStore(), checkpoint=checkpoint, answers=answers)


def resume(checkpoint: CheckpointRecord, given: dict[str, Any]) -> None:
    answers.append((checkpoint.id, given))


def conflict(checkpoint: CheckpointRecord, answers: dict[str, Any]) -> None:
    raise VersionConflictError(checkpoint.session_id, "", 2)


@pytest.fixture
def hook(hooked: None, settings: Any) -> None:
    answers.clear()
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "RESUME": f"{__name__}.resume"}


def asks(store: DjangoCheckpointStore, session_id: str, results: dict[str, Any] = QUESTION) -> str:
    return store.save_checkpoint(
        session_id,
        step=1,
        node_id=next(iter(results), "npm"),
        node_results=results,
        pending_nodes=list(results),
        source="interrupt",
    ).id


def test_a_question_is_answered_with_one_of_its_options(
    root: Reader, hook: None, store: DjangoCheckpointStore, session_id: str
) -> None:
    checkpoint = asks(store, session_id)
    page = root.see(links.session(session_id))
    assert "Publish &lt;2.4&gt;?" in page
    assert "commits" in page
    assert "Publish &lt;2.4&gt;?" in root.see(links.waiting())
    address = links.checkpoint(checkpoint, "answer")
    assert f'action="{address}"' in page
    for option in ("1", "0"):
        assert redirected(root.post(address, {"question": "approve", "option": option})) == links.session(session_id)
    assert answers == [(checkpoint, {"approve": 0}), (checkpoint, {"approve": "yes"})]
    for nonsense in ({"option": "7"}, {"option": "x"}, {}, {"answer": "text"}):
        page = root.post(address, nonsense, follow=True).content.decode()
        assert "Choose an option" in page
    assert len(answers) == 2


def test_a_question_without_options_takes_text(
    root: Reader, hook: None, store: DjangoCheckpointStore, session_id: str
) -> None:
    checkpoint = asks(store, session_id, TEXT)
    assert "<textarea" in root.see(links.session(session_id)).partition("obsku-edit")[0]
    root.post(links.checkpoint(checkpoint, "answer"), {"question": "name", "answer": " Ada "})
    assert answers == [(checkpoint, {"name": "Ada"})]


def test_an_interrupt_without_a_stored_question_can_be_answered(
    root: Reader, hook: None, store: DjangoCheckpointStore, session_id: str
) -> None:
    checkpoint = asks(store, session_id, {})
    assert "The agent waits for an answer" in root.see(links.session(session_id))
    root.post(links.checkpoint(checkpoint, "answer"), {"answer": "go on"})
    assert answers == [(checkpoint, {"npm": "go on"})]


def test_an_answered_question_is_not_answered_again(
    root: Reader, hook: None, store: DjangoCheckpointStore, session_id: str
) -> None:
    checkpoint = asks(store, session_id)
    store.save_checkpoint(session_id, step=2, node_results={})
    page = root.post(links.checkpoint(checkpoint, "answer"), {"option": "0"}, follow=True).content.decode()
    assert "has been answered already" in page
    assert not answers
    assert "obsku-asks" not in page
    assert links.session(session_id) not in root.see(links.waiting())


def test_a_fork_of_a_question_asks_too(root: Reader, hook: None, store: DjangoCheckpointStore, session_id: str) -> None:
    fork = store.fork(asks(store, session_id))
    assert links.session(fork.id) in root.see(links.waiting())
    assert "waiting for a person" in root.see(links.session(fork.id))
    plain = store.fork(store.save_checkpoint(session_id, step=3, node_results={"a": {"status": "completed"}}).id)
    assert links.session(plain.id) not in root.see(links.waiting())


def test_each_of_two_questions_has_its_own_answer(
    root: Reader, hook: None, store: DjangoCheckpointStore, session_id: str
) -> None:
    checkpoint = asks(store, session_id, {**QUESTION, **TEXT})
    page = root.see(links.session(session_id))
    assert "Which name?" in page
    assert page.count("/answer/") == 2
    root.post(links.checkpoint(checkpoint, "answer"), {"option": "0", "answer": "Ada"})
    assert answers == [(checkpoint, {"approve": "yes"})]
    root.post(links.checkpoint(checkpoint, "answer"), {"question": "name", "answer": "Ada"})
    assert answers[1:] == [(checkpoint, {"name": "Ada"})]


def test_a_graph_whose_inner_graph_asks_goes_on_with_the_answer(
    root: Reader, hooked: None, store: DjangoCheckpointStore, session_id: str, settings: Any
) -> None:
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "RESUME": f"{__name__}.go_on"}
    outer = graph.run(PUBLISHING, checkpoint_store=store, session_id=session_id).checkpoint
    page = root.see(links.session(session_id))
    assert page.count("obsku-asks") == 1
    assert "Publish?" in page
    assert root.see(links.waiting()).count(links.session(session_id)) == 1
    page = root.post(links.checkpoint(outer.id, "answer"), {"option": "1"}, follow=True).content.decode()
    assert "The answer was handed on." in page
    assert "obsku-asks" not in page
    last = store.get_latest_checkpoint(session_id, namespace="")
    assert last is not None
    assert last.node_results["publish"]["output"] == "no"
    # What is answered is answered, for the graph as well.
    late = root.post(links.checkpoint(outer.id, "answer"), {"option": "0"}, follow=True).content.decode()
    assert "has been answered already" in late


def test_a_hook_that_came_too_late_says_so(
    root: Reader, hook: None, store: DjangoCheckpointStore, session_id: str, settings: Any
) -> None:
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "RESUME": f"{__name__}.conflict"}
    page = root.post(links.checkpoint(asks(store, session_id), "answer"), {"option": "0"}, follow=True).content.decode()
    assert "function for going on has failed: Version 2" in page


def test_without_a_hook_there_is_no_form(
    root: Reader, store: DjangoCheckpointStore, session_id: str, settings: Any
) -> None:
    settings.OBSKU_CHECKPOINT = {"DATABASE": store.using}
    checkpoint = asks(store, session_id)
    page = root.see(links.session(session_id))
    assert "Publish &lt;2.4&gt;?" in page
    assert "No!" in page
    assert "/answer/" not in page
    assert root.post(links.checkpoint(checkpoint, "answer"), {"option": "0"}).status_code == 403


def test_an_answer_needs_post_and_a_token(
    hook: None, store: DjangoCheckpointStore, session_id: str, root: Reader
) -> None:
    address = links.checkpoint(asks(store, session_id), "answer")
    assert root.get(address).status_code == 405
    careful = Client(enforce_csrf_checks=True)
    careful.cookies = root.cookies
    assert careful.post(address, {"option": "0"}).status_code == 403
    assert not answers


def test_fork_from_here_leads_to_the_new_session(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    store.add_message(session_id, "user", "hello")
    checkpoint = store.save_checkpoint(session_id, step=4, node_results={})
    store.add_message(session_id, "user", "later")
    page = root.read(links.checkpoint(checkpoint.id, "fork"))
    assert "1 message written up to it" in page
    address = redirected(root.post(links.checkpoint(checkpoint.id, "fork"), {"title": "Another way"}))
    forked = next(each for each in store.list_sessions(limit=5) if each.title == "Another way" and each.id in address)
    assert [each.content for each in store.get_messages(forked.id)] == ["hello"]
    assert "This is the new session." in root.see(address)
    redirected(root.post(links.checkpoint(checkpoint.id, "fork"), {"title": ""}))
    assert store.list_sessions(limit=1)[0].title == "Fork of Find the slow query"
    assert "at most 500" in root.post(links.checkpoint(checkpoint.id, "fork"), {"title": "x" * 501}).content.decode()
    assert "Null characters" in root.post(links.checkpoint(checkpoint.id, "fork"), {"title": "a\x00"}).content.decode()


def test_sessions_are_exported_as_json_lines(
    root: Reader, store: DjangoCheckpointStore, session_id: str, workspace: str, corrupt: Callable[..., None]
) -> None:
    store.update_session(session_id, metadata={"kinds": {"a"}})
    store.add_messages(session_id, [{"role": "user", "content": "ü"}] * 3)
    broken = store.save_checkpoint(session_id, step=1, node_results={"a": {"status": "completed", "output": {1: 2}}})
    corrupt("checkpoints", "pending_nodes", broken.id, "{broken")
    corrupt("checkpoints", "created_at", broken.id, 2**62)
    lines = [json.loads(line) for line in root.see(links.session(session_id, "export")).splitlines()]
    assert [line.get("table") for line in lines] == [None, "sessions", *["messages"] * 3, "checkpoints"]
    assert lines[1]["metadata"] == {"kinds": {"__type": "Set", "value": ["a"]}}
    assert lines[2]["content"] == "ü"
    assert lines[2]["tool_calls"] is None
    assert lines[5]["pending_nodes_text"] == "{broken"
    assert lines[5]["created_at"] == 2**62
    assert lines[5]["node_results"]["a"]["output"] == {"__type": "Map", "value": [[1, 2]]}
    other = store.create_session("/", workspace_id=workspace).id
    chosen = {"action": "export_selected", "_selected_action": [session_id, other]}
    response: Any = root.post(f"{links.sessions()}?workspace={workspace}", chosen)
    exported = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert [line["id"] for line in exported if line.get("table") == "sessions"] == sorted([other, session_id])
    assert "attachment" in response["Content-Disposition"]


def test_deleting_tells_its_numbers_before(
    root: Reader,
    store: DjangoCheckpointStore,
    session_id: str,
    statements: Callable[[Callable[[], object]], list[str]],
) -> None:
    store.add_messages(session_id, [{"role": "user", "content": "x"}] * 40)
    store.save_checkpoint(session_id, step=1, node_results={})
    now = {"created_at": store.get_session(session_id).created_at}  # type: ignore[union-attr]  # it is there
    Entity.objects.using(store.using).create(
        session_id=session_id, name="n", type="t", updated_at=now["created_at"], **now
    )
    fact = Fact.objects.using(store.using).create(source_session_id=session_id, content="c", **now)
    page = root.read(links.session(session_id, "delete"))
    for part in ("Messages: 40", "Checkpoints: 1", "Entities: 1", "Facts that stay, without their source: 1"):
        assert part.lower() in page.lower(), part
    sent = statements(lambda: root.get(links.session(session_id, "delete")))
    assert not [sql for sql in sent if re.search(r'SELECT (?!COUNT).*FROM "(messages|checkpoints)"', sql)]
    redirected(root.post(links.session(session_id, "delete"), {"post": "yes"}))
    assert store.get_session(session_id) is None
    assert not store.get_messages(session_id)
    fact.refresh_from_db()
    assert fact.source_session_id is None
    fact.delete()


def test_chosen_sessions_are_deleted_after_a_confirmation(
    root: Reader, store: DjangoCheckpointStore, session_id: str, workspace: str
) -> None:
    store.add_message(session_id, "user", "x")
    kept = store.create_session("/", workspace_id=workspace).id
    chosen = {"action": "delete_selected", "_selected_action": [session_id]}
    page = root.post(f"{links.sessions()}?workspace={workspace}", chosen).content.decode()
    assert "Messages: 1" in page
    assert store.get_session(session_id) is not None
    root.post(f"{links.sessions()}?workspace={workspace}", {**chosen, "post": "yes"})
    assert store.get_session(session_id) is None
    assert store.get_session(kept) is not None
