"""Content that means harm, on every page: markup, escape sequences, characters that turn the text around them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from obsku_checkpoint.models import Message
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links

EVIL = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\u202etxt.exe\u2066 \x1b[2J\x1b]0;owned\x07 \ufeff{{ 7*7 }}"
)
QUESTION: Any = {"reason": EVIL, "options": [EVIL, {"label": EVIL}], EVIL: EVIL}


@pytest.fixture
def evil(store: DjangoCheckpointStore, session_id: str, corrupt: Callable[..., None]) -> tuple[str, list[str]]:
    """A session and two checkpoints, all of whose columns mean harm."""
    store.update_session(session_id, title=EVIL, directory=EVIL, metadata={EVIL: [EVIL, {EVIL}, {EVIL: b"<b>"}]})
    call: Any = {"name": EVIL, "toolUseId": EVIL, "input": {EVIL: EVIL}}
    result: Any = {"toolUseId": EVIL, "content": EVIL, "status": EVIL, "more": EVIL}
    store.add_message(session_id, "user", EVIL, tool_calls=[call])
    store.add_message(session_id, "tool", EVIL, tool_results=[result, result | {"toolUseId": "other"}])
    odd = store.add_message(session_id, "user", EVIL * 200, tool_calls=[], tool_results=[])
    for column in ("role", "tool_calls", "tool_results"):
        corrupt("messages", column, odd.id, EVIL)
    times = {"startedAt": 1000, "completedAt": 2000}
    results: Any = {
        EVIL: {"status": "completed", "output": {EVIL: EVIL}, "error": EVIL, EVIL: EVIL, **times},
        "asks" + EVIL: {"status": "pending", "interrupt": QUESTION, **times},
        "fails": {"status": "failed", "error": EVIL, **times},
    }
    arguments: Any = {"node_id": EVIL, "pending_nodes": [EVIL], "namespace": EVIL}
    cycle: Any = {"backEdge": f"{EVIL}->fails", "iteration": 1}
    first = store.save_checkpoint(session_id, step=1, node_results={"fails": results["fails"]}, **arguments)
    last = store.save_checkpoint(
        session_id, step=2, node_results=results, parent_id=first.id, source="interrupt", cycle_state=cycle, **arguments
    )
    store.fork(last.id, title=EVIL)
    corrupt("checkpoints", "source", first.id, EVIL)
    broken = store.save_checkpoint(session_id, step=3, node_results={})
    for column in ("node_results", "pending_nodes", "cycle_state"):
        corrupt("checkpoints", column, broken.id, EVIL)
    return session_id, [first.id, last.id, broken.id]


def test_no_page_lets_it_act(root: Reader, evil: tuple[str, list[str]], workspace: str) -> None:
    session_id, checkpoints = evil
    pages = ("change", "transcript", "timeline", "forks", "checkpoints", "delete", "history")
    addresses = [links.session(session_id, page) for page in pages]
    addresses += [links.checkpoint(id, page) for id in checkpoints for page in ("change", "compare", "fork")]
    addresses += [f"{links.sessions()}?workspace={workspace}", links.waiting()]
    for address in addresses:
        page = root.see(address)
        # But for what a person may edit, and what scripts compare.
        shown = re.sub(r"<textarea.*?</textarea>|<input [^>]*>|data-\w+=\"[^\"]*\"", "", page, flags=re.DOTALL)
        assert "<script>alert" not in page, address
        assert "<img src=x" not in page, address
        assert [character for character in "\u202e\u2066\x1b\x07\ufeff" if character in shown] == [], address


def test_its_text_as_it_is_stored_is_no_page(
    root: Reader, evil: tuple[str, list[str]], store: DjangoCheckpointStore
) -> None:
    session_id, checkpoints = evil
    message = Message.objects.using(store.using).in_session(session_id).oldest_first()[0].pk
    for address, query in (
        (links.session(session_id, "message"), {"id": str(message), "part": "content"}),
        (links.session(session_id, "raw"), {"part": "title"}),
        (links.checkpoint(checkpoints[2], "raw"), {"part": "node_results"}),
    ):
        response = root.get(address, query)
        assert response.content.decode() == EVIL
        assert response["Content-Type"] == "text/plain; charset=utf-8"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in response["Content-Security-Policy"]
