"""Pages are bounded in bytes, and lead on whatever they hold."""

from __future__ import annotations

import tracemalloc
from typing import Any

import httpx
import pytest

from obsku_checkpoint.client import HTTPCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client
from tests.client.live_server import live_server

#: bytes of a page, of a record, and of all the rest in an answer
PAGE, LARGE, REST = 400_000, 150_000, 30_000


@pytest.fixture
def bounded(api: Client, settings: Any) -> Client:
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "MAX_PAGE_BYTES": PAGE}
    return api


def write(store: DjangoCheckpointStore, workspace: str) -> dict[str, list[Any]]:
    """Sessions of one workspace, and messages and checkpoints of the first; large ones, and two that fit no page."""
    ids: dict[str, list[Any]] = {"sessions": [], "messages": [], "checkpoints": []}
    sizes = [LARGE] * 5 + [PAGE * 2, 1, 2, PAGE * 3] + [LARGE] * 2
    for size in sizes:
        made = store.create_session("/", workspace_id=workspace, metadata={"text": "x" * size})
        ids["sessions"].append(made.id)
    first, parent = ids["sessions"][0], None
    for size in sizes:
        text = "é" * (size // 2)
        ids["messages"].append(store.add_message(first, "user", text).id)
        output: Any = {"node": {"status": "completed", "output": text}}
        parent = store.save_checkpoint(first, step=1, node_results=output, parent_id=parent).id
        ids["checkpoints"].append(parent)
    return ids


def walk(api: Client, address: str | None, towards: str = "next") -> list[Any]:
    ids: list[Any] = []
    while address:
        answer = api.get(address)
        assert answer.status_code == 200
        page = answer.json()
        assert len(answer.content) <= PAGE + REST or len(page["results"]) == 1
        assert page["results"]
        found = [one.get("id") or one["session"]["id"] for one in page["results"]]
        ids += found if towards == "next" else found[::-1]
        address = page[towards]
    return ids


def test_every_list_ends_its_pages_early_and_has_everything(
    bounded: Client, store: DjangoCheckpointStore, workspace: str
) -> None:
    ids = write(store, workspace)
    session, checkpoint = f"/api/sessions/{ids['sessions'][0]}/", f"/api/checkpoints/{ids['checkpoints'][-1]}/"
    newest_first = {name: found[::-1] for name, found in ids.items()}
    active = [ids["sessions"][0], *newest_first["sessions"][:-1]]  # the first was written to
    assert walk(bounded, f"{session}messages/?limit=500", "previous") == newest_first["messages"]
    assert walk(bounded, f"{session}messages/") == ids["messages"]
    assert walk(bounded, f"{session}checkpoints/?limit=500") == newest_first["checkpoints"]
    assert walk(bounded, f"{session}checkpoints/?namespace=") == newest_first["checkpoints"]
    assert walk(bounded, f"{checkpoint}lineage/") == newest_first["checkpoints"]
    assert walk(bounded, f"/api/sessions/?workspace_id={workspace}") == active
    for id in ids["sessions"]:
        store.add_message(id, "user", "y" * LARGE)
    assert walk(bounded, f"/api/sessions/summaries/?workspace_id={workspace}") == newest_first["sessions"]


def test_the_latest_session_comes_with_the_newest_messages_that_fit(
    bounded: Client, store: DjangoCheckpointStore, workspace: str
) -> None:
    ids = write(store, workspace)
    small = [one.id for one in store.add_messages(ids["sessions"][0], [{"role": "user"}] * 600)]
    answer = bounded.get(f"/api/sessions/latest/?workspace_id={workspace}")
    latest = answer.json()
    assert latest["session"]["id"] == ids["sessions"][0]
    assert latest["checkpoint"]["id"] == ids["checkpoints"][-1]
    messages = [one["id"] for one in latest["messages"]]
    assert len(messages) > 600
    assert walk(bounded, latest["messages_previous"], "previous")[::-1] + messages == ids["messages"] + small
    store.create_session("/", workspace_id=f"{workspace}-empty")
    empty = bounded.get(f"/api/sessions/latest/?workspace_id={workspace}-empty").json()
    assert (empty["messages"], empty["messages_previous"]) == ([], None)


def test_the_client_gathers_the_pages(store: DjangoCheckpointStore, workspace: str) -> None:
    ids = write(store, workspace)
    with live_server(store.using, MAX_PAGE_BYTES=PAGE) as url, HTTPCheckpointStore(url) as client:
        first = ids["sessions"][0]
        assert client.get_messages(first) == store.get_messages(first)
        assert client.get_messages(first, limit=4) == store.get_messages(first, limit=4)
        assert client.list_checkpoints(first) == store.list_checkpoints(first)
        assert client.get_lineage(ids["checkpoints"][-1]) == store.get_lineage(ids["checkpoints"][-1])
        assert client.continue_latest(workspace) == store.continue_latest(workspace)


def test_what_is_related_has_pages(store: DjangoCheckpointStore, workspace: str) -> None:
    session = store.create_session("/", workspace_id=workspace).id
    text = {"text": "x" * LARGE}
    far = [store.save_entity(session, name="far", type="t", attributes=text, embedding=[1.0]).id for _ in range(5)]
    near = [
        store.save_entity(
            session,
            name="near",
            type="t",
            attributes={"text": "x" * size},
            relationships=[{"targetId": id, "type": "r"} for id in far],
        ).id
        for size in (1, PAGE * 2, LARGE)
    ]
    edges: Any = [{"targetId": id, "type": "r"} for id in near]
    start = store.save_entity(session, name="start", type="t", relationships=edges).id
    with live_server(store.using, MAX_PAGE_BYTES=PAGE) as url, HTTPCheckpointStore(url) as client:
        assert client.related(start, depth=2) == store.related(start, depth=2)
        assert {one.id for one in client.related(start, depth=2)} == {*near, *far}
        with httpx.Client(base_url=url) as raw:
            for limit, longest in ((500, 3), (1, 1)):
                address: str | None = f"entities/{start}/related/?depth=2&limit={limit}"
                pages: list[list[str]] = []
                while address:
                    answer = raw.get(address).json()
                    pages.append([one["id"] for one in answer["results"]])
                    address = answer["next"]
                assert [id for page in pages for id in page] == [one.id for one in store.related(start, depth=2)]
                assert max(map(len, pages)) == longest


def test_what_does_not_fit_is_not_read(bounded: Client, store: DjangoCheckpointStore, path: str) -> None:
    id = path.split("/")[-2]
    for step in range(40):  # 80 MB of each, before any is decoded; a page is one of them, in a dozen copies
        output: Any = {"node": {"status": "completed", "output": "x" * 2_000_000}}
        store.save_checkpoint(id, step=step, node_results=output)
        store.add_message(id, "user", "x" * 2_000_000)
    tracemalloc.start()
    try:
        for listed in ("messages", "checkpoints"):
            assert len(bounded.get(f"{path}{listed}/?limit=500").json()["results"]) == 1
        assert tracemalloc.get_traced_memory()[1] < 70_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("tail", [0, 3])
@pytest.mark.parametrize("ring", [1, 2, 7])
def test_a_ring_of_parents_ends(api: Client, store: DjangoCheckpointStore, path: str, ring: int, tail: int) -> None:
    session = path.split("/")[-2]
    ids = [f"{session}-{number}" for number in range(tail + ring)]
    for number, id in enumerate(ids):
        parent = ids[number + 1] if number + 1 < len(ids) else ids[tail]
        store.save_checkpoint(session, step=1, node_results={}, id=id, parent_id=parent)
    for limit in (1, 2, 3, 5, 500):
        address: str | None = f"/api/checkpoints/{ids[0]}/lineage/?limit={limit}"
        seen: list[str] = []
        while address:
            page = api.get(address).json()
            seen += [one["id"] for one in page["results"]]
            address = page["next"]
            assert len(seen) <= 4 * (len(ids) + limit)
        assert list(dict.fromkeys(seen)) == ids
        assert limit < len(ids) or seen == ids


@pytest.mark.parametrize("names", [21, 100_000])
def test_a_refusal_is_short_however_much_is_wrong(api: Client, path: str, names: int) -> None:
    answer = api.post("/api/sessions/", {f"unknown-{number}": 1 for number in range(names)})
    assert (answer.status_code, len(answer.json())) == (400, 21)  # and the directory, which is missing
    long = "x" * 1_000_000
    bodies: dict[str, list[Any]] = {
        "/api/sessions/": [{long: 1}],
        f"{path}messages/": [
            {"role": "user", long: 1},
            [{"role": "user", long: 1}],
            {"role": long},
            {"role": "tool", "tool_results": [{"toolUseId": "x", long: {1: 1}}]},
        ],
        f"{path}checkpoints/": [
            {"step": 1, "node_results": {long: {"status": long}}},
            {"step": 1, "node_results": {}, "source": long},
            {"step": 1, "node_results": {}, "cycle_state": {"backEdge": 1, long: 1}},
        ],
    }
    for address, refused in bodies.items():
        for body in refused:
            answer = api.post(address, body)
            assert answer.status_code == 400, (address, answer.content[:200])
            assert len(answer.content) < 3000


@pytest.mark.parametrize(("field", "characters"), [("title", 4096), ("directory", 4096)])
def test_texts_of_lists_are_bounded_in_characters(
    api: Client, store: DjangoCheckpointStore, field: str, characters: int
) -> None:
    fits, over = "é" * characters, "é" * (characters + 1)
    made = api.post("/api/sessions/", {"directory": "/", field: fits})
    assert made.status_code == 201
    for answer in (
        api.post("/api/sessions/", {"directory": "/", field: over}),
        api.patch(f"/api/sessions/{made.json()['id']}/", {field: over}),
    ):
        assert (answer.status_code, answer.json()) == (400, {field: [f"is longer than {characters} characters"]})


def test_a_fork_of_a_session_with_a_long_title_has_one_that_may_be_written(
    api: Client, store: DjangoCheckpointStore
) -> None:
    session = store.create_session("/", title="é" * 4096)
    checkpoint = store.save_checkpoint(session.id, step=1, node_results={}, node_id="n" * 1024)
    title = api.post(f"/api/checkpoints/{checkpoint.id}/fork/", {}).json()["title"]
    assert title == f"Fork of {'é' * 4088}"
    assert store.update_session(session.id, title=title).title == title
    refused = api.post(
        f"/api/sessions/{session.id}/checkpoints/", {"step": 1, "node_results": {}, "node_id": "n" * 1025}
    )
    assert list(refused.json()) == ["node_id"]
