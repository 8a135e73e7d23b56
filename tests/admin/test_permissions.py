"""Who sees what, and who may do what."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client

from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import VIEW, Reader, links, person, redirected
from tests.admin.test_actions import asks

PAGES = ("change", "transcript", "timeline", "forks", "checkpoints", "live", "export", "raw", "message")
ACTIONS = ("Fork from", "/delete/", "/answer/", "Edit title", 'value="delete_selected"')


def test_who_may_only_look_sees_no_button_that_would_fail(
    viewer: Reader, store: DjangoCheckpointStore, session_id: str, workspace: str
) -> None:
    checkpoint = asks(store, session_id)
    pages = [
        viewer.see(links.session(session_id, page))
        for page in ("change", "transcript", "timeline", "forks", "checkpoints")
    ]
    pages += [viewer.see(links.checkpoint(checkpoint)), viewer.see(links.checkpoint(checkpoint, "compare"))]
    pages += [viewer.see(links.sessions(), workspace=workspace), viewer.see(links.waiting())]
    for page in pages:
        assert [action for action in ACTIONS if action in page] == []
    for address in (
        links.checkpoint(checkpoint, "fork"),
        links.checkpoint(checkpoint, "answer"),
        links.session(session_id, "delete"),
    ):
        assert viewer.post(address, {"post": "yes", "title": "x", "option": "0"}).status_code == 403
    assert viewer.post(links.session(session_id), {"title": "x"}).status_code == 403
    assert viewer.see(links.session(session_id, "export"))
    assert store.get_session(session_id).title == "Find the slow query"  # type: ignore[union-attr]  # it is there


def test_each_right_opens_its_own_action(hooked: None, store: DjangoCheckpointStore, session_id: str) -> None:
    asks(store, session_id)
    may = {"change": ["/answer/", "Edit title"], "add": ["Fork from"], "delete": ["/delete/"]}
    for right, expected in may.items():
        page = person(*VIEW, f"{right}_session").see(links.session(session_id))
        assert [action for action in ACTIONS if action in page] == [each for each in ACTIONS if each in expected], right


@pytest.mark.parametrize("missing", VIEW)
def test_whoever_may_not_see_all_that_belongs_to_a_session_sees_none_of_it(
    hooked: None, store: DjangoCheckpointStore, session_id: str, missing: str
) -> None:
    checkpoint = asks(store, session_id)
    reader = person(*(right for right in VIEW if right != missing), "delete_session", "add_session")
    for page in (*PAGES, "delete"):
        reader.see(links.session(session_id, page), status=403)
    for page in ("change", "compare", "fork", "raw"):
        reader.see(links.checkpoint(checkpoint, page), status=403)
    reader.see(links.sessions(), status=403)
    reader.see(links.waiting(), status=403)


def test_whoever_is_not_signed_in_is_asked_to(store: DjangoCheckpointStore, hooked: None, session_id: str) -> None:
    for page in PAGES:
        assert "/login/" in redirected(Client().get(links.session(session_id, page)))


def scope(request: HttpRequest) -> list[str] | None:
    return SEEN


SEEN: list[str] = []


def test_a_request_sees_its_workspaces_only(
    root: Reader, store: DjangoCheckpointStore, session_id: str, workspace: str, settings: Any
) -> None:
    hidden = store.create_session("/", title="Hidden", workspace_id=f"{workspace}-hidden").id
    origin = asks(store, hidden)
    fork = store.fork(asks(store, session_id)).id
    shown = store.get_latest_checkpoint(fork)
    assert shown is not None
    inner = store.save_checkpoint(session_id, step=2, node_results={}, source="fork", parent_id=origin).id
    SEEN[:] = [workspace]
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "WORKSPACE_SCOPE": f"{__name__}.scope"}

    listed = root.see(links.sessions())
    assert session_id in listed
    assert hidden not in listed
    assert f"{workspace}-hidden" not in listed
    waiting = root.see(links.waiting())
    assert fork in waiting
    assert hidden not in waiting
    for page in PAGES[1:]:
        root.see(links.session(hidden, page), status=404)
    for page in ("compare", "fork", "answer", "raw"):
        root.see(links.checkpoint(origin, page), status=404)
    # What leads from a session that is seen to one that is not.
    for address in (links.session(session_id), links.session(session_id, "forks"), links.checkpoint(inner)):
        page = root.see(address)
        assert hidden not in page
        assert origin not in page
        assert "Hidden" not in page
    assert "no checkpoint with this id" in root.read(links.checkpoint(inner, "compare"), **{"with": origin})
    assert "main v1" in root.read(links.checkpoint(shown.id))
