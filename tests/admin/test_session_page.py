"""A session's first page, and what may be changed on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links, redirected

FAILED: dict[str, Any] = {
    "fix": {"status": "failed", "error": {"message": "no index"}, "startedAt": 1000, "completedAt": 4000}
}


def test_the_overview_tells_figures_state_and_last_messages(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    for number in range(6):
        store.add_message(session_id, "assistant", f"thought {number}", tokens_in=1000, tokens_out=5)
    store.save_checkpoint(session_id, step=2, node_results=FAILED, pending_nodes=["verify"], namespace="sub")
    page = root.read(links.session(session_id))
    for part in (
        "Messages 6", "Tokens in / out 6,000 / 30", "sub v1", "fix failed", "no index",
        "Still to do: verify", "thought 5",
    ):  # fmt: skip
        assert part in page, part
    assert "thought 1" not in page
    html = root.see(links.session(session_id))
    assert html.count("obsku-tokens-in") == 6
    assert "obsku-node obsku-status-failed" in html
    assert "obsku-node obsku-status-pending" in html


def test_a_session_without_anything(root: Reader, session_id: str) -> None:
    page = root.read(links.session(session_id))
    assert "The agent has saved no checkpoint yet." in page
    assert "There is no message yet." in page


def test_title_and_metadata_are_changed_through_the_store(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    metadata = {"when": {"__type": "Date", "value": "2026-01-02T03:04:05.678Z"}}
    redirected(root.post(links.session(session_id), {"title": "New", "metadata": json.dumps(metadata)}))
    session = store.get_session(session_id)
    assert session is not None
    assert session.title == "New"
    assert f"{session.metadata['when']:%Y-%m-%d}" == "2026-01-02"
    assert session.directory == "/srv/shop"
    page = root.see(links.session(session_id))
    assert "2026-01-02 03:04:05.678 UTC" in page
    redirected(root.post(links.session(session_id), {"title": "", "metadata": ""}))
    session = store.get_session(session_id)
    assert session is not None
    assert (session.title, session.metadata) == (None, None)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("metadata", "{", "$"),
        ("metadata", "[1]", "This takes a JSON object."),
        ("metadata", '{"a": {"__type": "Date", "value": "yesterday"}}', "$.a"),
        ("title", "a\x00b", "Null characters are not allowed"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_the_form(
    root: Reader, store: DjangoCheckpointStore, session_id: str, field: str, value: str, reason: str
) -> None:
    page = root.post(links.session(session_id), {"title": "T", "metadata": "", field: value}).content.decode()
    assert reason in page
    assert '<details class="obsku-edit" open>' in page
    assert store.get_session(session_id).title == "Find the slow query"  # type: ignore[union-attr]  # it is there


def test_corrupt_metadata_is_shown_and_kept(
    root: Reader, store: DjangoCheckpointStore, session_id: str, corrupt: Callable[..., None]
) -> None:
    corrupt("sessions", "metadata", session_id, "{<b>broken")
    page = root.read(links.session(session_id))
    assert "This cannot be decoded:" in page
    assert "{<b>broken" in page
    redirected(root.post(links.session(session_id), {"title": "New", "metadata": "{<b>broken"}))
    session = store.get_session(session_id, on_corrupt="keep")
    assert session is not None
    assert session.title == "New"
    assert session.metadata.text == "{<b>broken"


def test_lone_surrogates_in_metadata_survive_the_form(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    store.update_session(session_id, metadata={"a": "\ud800 ü"})
    page = root.get(links.session(session_id))
    shown = page.context["adminform"].form["metadata"].value()
    redirected(root.post(links.session(session_id), {"title": "New", "metadata": shown}))
    assert store.get_session(session_id).metadata == {"a": "\ud800 ü"}  # type: ignore[union-attr]  # it is there


def test_an_unknown_session_is_not_found(root: Reader) -> None:
    assert "exist. Perhaps it was deleted?" in root.get(links.session("nobody"), follow=True).content.decode()
    for page in ("transcript", "timeline", "forks", "checkpoints", "live", "export", "message", "raw"):
        root.see(links.session("nobody", page), status=404)


def test_an_id_of_any_text_has_pages(root: Reader, store: DjangoCheckpointStore) -> None:
    odd = "a/b?c=ü & <d>"
    session = store.get_or_create_session(odd, "/")
    checkpoint = store.save_checkpoint(session.id, step=1, node_results={}, id=odd)
    for page in ("change", "transcript", "timeline", "forks", "checkpoints", "live", "export"):
        root.see(links.session(odd, page))
    for page in ("change", "compare", "fork"):
        root.see(links.checkpoint(checkpoint.id, page))


def test_statements_of_the_pages_do_not_grow_with_the_session(
    root: Reader,
    store: DjangoCheckpointStore,
    session_id: str,
    statements: Callable[[Callable[[], object]], list[str]],
) -> None:
    def grow() -> None:
        store.add_messages(session_id, [{"role": "user", "content": "x"}] * 130)
        for step in range(30):
            store.save_checkpoint(session_id, step=step, node_results={"a": {"status": "completed", "startedAt": step}})

    def count() -> dict[str, int]:
        pages = ("change", "transcript", "timeline", "forks", "checkpoints", "live")
        return {page: len(statements(lambda page=page: root.see(links.session(session_id, page)))) for page in pages}  # type: ignore[misc]  # a default binds the loop's value

    grow()
    before = count()
    grow()
    assert count() == before
    assert max(before.values()) <= 18, before


def test_the_live_mark_changes_with_every_write(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    def look(mark: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(root.see(links.session(session_id, "live"), after=mark))
        return found

    first = look("")
    assert first["changed"]
    assert not look(first["mark"])["changed"]
    store.add_message(session_id, "user", "hello")
    second = look(first["mark"])
    assert second["changed"]
    store.save_checkpoint(session_id, step=1, node_results={})
    third = look(second["mark"])
    assert third["changed"]
    store.save_checkpoint(session_id, step=1, node_results={}, namespace="before the others")
    assert look(third["mark"])["changed"]
