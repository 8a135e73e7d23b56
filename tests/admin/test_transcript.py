"""The transcript."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links, text


def ids(page: str) -> list[int]:
    return [int(id) for id in re.findall(r'data-message="(\d+)"', page)]


def test_one_reads_from_the_end_and_up(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    written = [each.id for each in store.add_messages(session_id, [{"role": "user", "content": "x"}] * 120)]
    address = links.session(session_id, "transcript")
    last = root.see(address)
    assert ids(last) == written[-50:]
    before = root.see(address, fragment="1", before=str(written[-50]))
    assert ids(before) == written[-100:-50]
    assert "<html" not in before
    assert f'data-older="{written[20]}"' in before
    first = root.see(address, before=str(written[20]))
    assert ids(first) == written[:20]
    assert "data-older" not in first
    after = root.see(address, fragment="1", after=str(written[100]))
    assert ids(after) == written[101:]
    assert "data-newer" not in after
    gone = root.see(address, before=str(10**9))
    assert ids(gone) == written[-50:]


def test_a_link_leads_to_a_message_among_its_neighbours(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    written = [each.id for each in store.add_messages(session_id, [{"role": "user", "content": "x"}] * 160)]
    page = root.see(links.session(session_id, "transcript"), at=str(written[80]))
    assert ids(page) == written[30:131]
    assert f'obsku-chosen" id="message-{written[80]}"' in page
    assert "data-older" in page
    assert "data-newer" in page
    assert links.message(session_id, written[80]).endswith(f"?at={written[80]}#message-{written[80]}")
    other = root.see(links.session(session_id, "transcript"), at="x")
    assert ids(other) == written[-50:]


def test_results_stand_beside_their_calls(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    calls: list[Any] = [{"name": "explain", "toolUseId": "use-1", "input": {"page": "/orders"}}]
    asked = store.add_message(session_id, "assistant", "I look.", tool_calls=calls, tokens_in=800, tokens_out=64)
    result: Any = {"toolUseId": "use-1", "content": "Seq Scan on orders", "status": "success"}
    answered = store.add_message(session_id, "tool", tool_results=[result])
    store.add_message(
        session_id, "tool", tool_results=[result | {"toolUseId": "lost", "content": "", "status": "error"}]
    )
    page = root.see(links.session(session_id, "transcript"))
    call = re.search(r'<details class="obsku-call">.*?</div>\s*</details>', page, re.DOTALL)
    assert call
    for part in ("explain", "page: /orders", "success", "Seq Scan on orders"):
        assert part in text(call[0])
    # Its first line, and the whole; the message has no card of its own.
    assert page.count("Seq Scan on orders") == 2
    assert re.search(f'<article class="[^"]*obsku-beside" id="message-{answered.id}"', page)
    assert not re.search(f'<article class="[^"]*obsku-beside" id="message-{asked.id}"', page)
    assert "800 in, 64 out" in page
    assert "Result of lost error" in text(page)


@pytest.mark.parametrize(
    "result",
    [
        {"toolUseId": "1", "data": {"rows": [1, 2], "at": datetime(2026, 1, 2, tzinfo=UTC)}},
        {
            "toolUseId": "1",
            "content": '{"rows":[1,2],"at":{"__type":"Date","value":"2026-01-02T00:00:00.000Z"}}',
        },
    ],
    ids=["data", "JSON in the text"],
)
def test_a_structured_result_is_shown_as_a_tree(
    root: Reader, store: DjangoCheckpointStore, session_id: str, result: Any
) -> None:
    store.add_message(session_id, "tool", tool_results=[result])
    page = root.see(links.session(session_id, "transcript"))
    for part in ("object of 2 · rows, at", "list of 2", "2026-01-02"):
        assert part in text(page), part
    assert page.count('<span class="obsku-key">rows</span>') == 1


def test_a_results_text_is_shown_beside_its_data(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    broken = '["no JSON'
    store.add_message(
        session_id,
        "tool",
        tool_results=[{"toolUseId": "1", "content": "one row", "data": [1]}, {"toolUseId": "2", "content": broken}],
    )
    page = text(root.see(links.session(session_id, "transcript")))
    assert "content one row" in page
    assert "data list of 1" in page
    assert broken in page


def test_an_unknown_role_and_odd_columns_are_shown_as_they_are(
    root: Reader, store: DjangoCheckpointStore, session_id: str, corrupt: Callable[..., None]
) -> None:
    message = store.add_message(session_id, "user", "hello")
    corrupt("messages", "role", message.id, "developer")
    corrupt("messages", "tool_calls", message.id, '{"not": "a list"}')
    corrupt("messages", "tool_results", message.id, "[{broken <i>")
    page = root.read(links.session(session_id, "transcript"))
    for part in ("developer", "not a list", "This cannot be decoded:", "[{broken <i>"):
        assert part in page, part
    corrupt("messages", "created_at", message.id, 2**62)
    assert str(2**62) in root.see(links.session(session_id, "transcript"))
    assert ids(root.see(links.session(session_id, "transcript"), at=str(message.id))) == [message.id]


def test_a_message_of_ten_megabytes_is_cut_and_its_rest_is_a_link_away(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    content = "<b>ü</b>\u202e" * 1_000_000
    message = store.add_message(session_id, "user", content)
    store.add_message(session_id, "tool", tool_results=[{"toolUseId": "u", "content": "y" * 3_000_000}])
    page = root.see(links.session(session_id, "transcript"))
    assert len(page) < 700_000
    assert "All 11.4 MB as plain text" in page
    assert "\u202e" not in page
    assert "<b>" not in page.partition("obsku-transcript")[2]
    raw = root.get(links.session(session_id, "message"), {"id": str(message.id), "part": "content"})
    assert raw.content.decode() == content
    assert raw["Content-Type"] == "text/plain; charset=utf-8"
    assert raw["X-Content-Type-Options"] == "nosniff"
    assert "tool_results as plain text" in page


def test_what_there_is_not_is_not_found(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    message = store.add_message(session_id, "user", "hello")
    other = store.create_session("/").id
    address = links.session(session_id, "message")
    root.see(address, id=str(message.id), part="content")
    for session, query in (
        (session_id, {"id": "x", "part": "content"}),
        (session_id, {"id": str(message.id), "part": "tool_calls"}),
        (session_id, {"id": str(message.id), "part": "session_id"}),
        (other, {"id": str(message.id), "part": "content"}),
    ):
        root.see(links.session(session, "message"), status=404, **query)
    root.see(links.session(session_id, "raw"), status=404, part="metadata")
    assert root.see(links.session(session_id, "raw"), part="title") == "Find the slow query"


def test_time_between_messages_is_told(
    root: Reader, store: DjangoCheckpointStore, session_id: str, corrupt: Callable[..., None]
) -> None:
    first, second = store.add_messages(session_id, [{"role": "user", "content": "x"}] * 2)
    corrupt("messages", "created_at", first.id, 1_000_000)
    corrupt("messages", "created_at", second.id, 1_185_000)
    assert "3 min 5 s later" in root.see(links.session(session_id, "transcript"))


def test_a_call_without_a_result_is_marked(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    for id in ("early", "late"):
        call: Any = {"name": f"tool-{id}", "toolUseId": id, "input": {}}
        store.add_message(session_id, "assistant", tool_calls=[call])
    store.add_messages(session_id, [{"role": "user", "content": "x"}] * 60)
    store.add_message(session_id, "tool", tool_results=[{"toolUseId": "late", "content": "ok", "status": "success"}])
    page = root.see(links.session(session_id, "transcript"), number="1")
    early, late = re.findall(r"<details class=\"obsku-call.*?</details>", page, re.DOTALL)
    assert "no result" in text(early)
    assert "no result" not in text(late)


def test_one_gets_to_a_number_a_failure_and_to_words(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    address = links.session(session_id, "transcript")
    ids = [each.id for each in store.add_messages(session_id, [{"role": "user", "content": "x"}] * 200)]
    failed = store.add_message(
        session_id, "tool", tool_results=[{"toolUseId": "t", "content": "no such table", "status": "error"}]
    ).id
    store.add_message(session_id, "user", "Look for <b>Needle</b> here")
    page = root.see(address)
    assert "Messages 153 to 202 of 202" in text(page)
    assert f'data-message="{ids[9]}"' not in page
    page = root.see(address, number="10")
    assert re.search(f'obsku-chosen" id="message-{ids[9]}"', page)
    assert "#10" in text(page)
    assert f"failure={ids[9]}" in page
    assert re.search(f'obsku-chosen" id="message-{failed}"', root.see(address, failure=str(ids[9])))
    page = root.see(address, q="needle")
    assert "Look for &lt;b&gt;Needle" in page.partition('id="obsku-transcript"')[0]
    assert "no such table" in root.see(address, q="such table")
    assert "No message holds these words." in root.read(address, q="nothing of it")
    for odd in ("0", "-1", "x", "9" * 18, "9" * 30):
        root.see(address, number=odd)
        root.see(address, failure=odd)


@pytest.mark.parametrize(("status", "failed"), [("error", True), ("denied", False), ("success", False)])
def test_a_tool_has_failed_where_its_status_says_error(
    root: Reader, store: DjangoCheckpointStore, session_id: str, status: str, failed: bool
) -> None:
    store.add_message(session_id, "assistant", tool_calls=[{"name": "f", "toolUseId": "u1", "input": {}}])
    store.add_message(session_id, "tool", tool_results=[{"toolUseId": "u1", "content": "", "status": status}])
    page = root.see(links.session(session_id, "transcript"))
    assert status in text(page)
    assert ("obsku-call-failed" in page, "failure=" in page) == (failed, failed)


def test_what_happened_stands_between_the_messages(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    asks: Any = {"pay": {"status": "pending", "interrupt": {"reason": "Pay 9 EUR?"}}}
    done: Any = {"pay": {"status": "failed", "error": "card refused", "answers": [{"question": {}, "answer": "yes"}]}}
    store.add_message(session_id, "user", "buy it")
    for step in range(3):
        store.save_checkpoint(session_id, step=step, node_results={}, pending_nodes=["pay"])
    store.save_checkpoint(session_id, step=3, node_results=asks, pending_nodes=["pay"], source="interrupt")
    store.add_message(session_id, "assistant", "I asked")
    store.save_checkpoint(session_id, step=4, node_results=done)
    store.add_message(session_id, "assistant", "it failed")
    store.save_checkpoint(session_id, step=5, node_results={"pay": {"status": "completed"}})
    page = root.read(links.session(session_id, "transcript"))
    places = [
        page.find(part)
        for part in (
            "buy it", "3 checkpoints", "pay asks: Pay 9 EUR?", "I asked", "pay was answered: yes",
            "pay failed: card refused", "it failed", "the run went on",
        )
    ]  # fmt: skip
    assert -1 not in places
    assert places == sorted(places)


def test_a_question_of_a_nested_graph_is_told_once(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    store.add_message(session_id, "user", "write it")
    question = {"reason": "Publish?"}
    inner: Any = {"note": {"status": "pending", "interrupt": question}}
    outer: Any = {"write": {"status": "pending", "interrupt": question, "questions": {"note": question}}}
    asks: Any = {"source": "interrupt", "step": 1}
    store.save_checkpoint(session_id, namespace="write", node_results=inner, pending_nodes=["note"], **asks)
    store.save_checkpoint(session_id, node_results=outer, pending_nodes=["write"], **asks)
    page = root.read(links.session(session_id, "transcript"))
    assert page.count("asks: Publish?") == 1
    assert "note asks: Publish?" in page
    assert "checkpoint v1" in page


def test_checkpoints_stand_where_they_were_saved(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    for step in range(4):
        store.save_checkpoint(session_id, step=step, node_results={}, pending_nodes=["a"])
        if step % 2:
            store.add_message(session_id, "user", f"after {step}")
    page = root.read(links.session(session_id, "transcript"))
    parts = ("2 checkpoints, the last v2", "after 1", "2 checkpoints, the last v4", "after 3")
    order = [page.index(part) for part in parts]
    assert order == sorted(order)


def test_where_more_happened_than_is_looked_at_the_page_says_so(
    root: Reader, store: DjangoCheckpointStore, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(4):
        store.save_checkpoint(session_id, step=step, node_results={}, pending_nodes=["a"])
    store.add_message(session_id, "user", "hello")
    address = links.session(session_id, "transcript")
    assert "from before is not shown" not in root.read(address)
    monkeypatch.setattr("obsku_checkpoint.admin.session.events.CHECKPOINTS", 2)
    assert "from before is not shown here. " in root.read(address)


def test_so_many_bytes_are_searched_and_no_more(
    root: Reader, store: DjangoCheckpointStore, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call: Any = {"name": "look", "toolUseId": "t", "input": {}}
    failed: Any = {"toolUseId": "t", "content": "no such table", "status": "error"}
    store.add_message(session_id, "assistant", tool_calls=[call])
    store.add_message(session_id, "tool", tool_results=[failed])
    for number in range(60):
        store.add_message(session_id, "user", f"needle {number} " + "x" * 100)
    address = links.session(session_id, "transcript")

    def found(query: str) -> str:
        return root.see(address, q=query).partition('aria-label="Found"')[2].partition("</section>")[0]

    assert "needle 40 x" in found("needle 4")
    assert "were searched" not in found("needle")
    assert "Next failed tool" in root.read(address)
    monkeypatch.setattr("obsku_checkpoint.admin.session.transcript.SEARCHED", 2000)
    assert "Only the first 2.0 KB of the transcript were searched." in text(found("needle 4"))
    assert "needle 4 x" in found("needle 4")
    assert "needle 40 x" not in found("needle 4")
    monkeypatch.setattr("obsku_checkpoint.admin.session.transcript.SEARCHED", 10)
    page = root.read(address, number=1)
    assert "Next failed tool" not in page
    assert "Only the first 10 bytes of tool results were searched for failed tools." in page
    assert "no result" not in page
