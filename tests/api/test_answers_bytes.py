"""No answer of any route has more than MAX_PAGE_BYTES of stored text, or one record; nor is more read for it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import httpx
import pytest

from obsku_checkpoint.api import urls
from obsku_checkpoint.client import HTTPCheckpointStore
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client
from tests.client.live_server import live_server

#: bytes of a page, of a record, and of all the rest in an answer
PAGE, LARGE, REST = 400_000, 150_000, 30_000
COUNT = 6
VECTOR = [1.0, 0.0]


@pytest.fixture
def bounded(api: Client, settings: Any) -> Client:
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "MAX_PAGE_BYTES": PAGE}
    return api


def large(**columns: Any) -> dict[str, Any]:
    return {"text": "x" * LARGE, **columns}


def write(store: DjangoCheckpointStore, workspace: str) -> dict[str, str]:
    """Large records of every kind, all in the first session. Gives an id of each."""
    sessions = [store.create_session("/", workspace_id=workspace, metadata=large()).id for _ in range(COUNT)]
    session, parent = sessions[0], None
    edges: list[Any] = []
    for number in range(COUNT):
        call: Any = {"name": "n", "toolUseId": f"use {number}", "input": large()}
        message = store.add_message(session, "assistant", tool_calls=[call])
        output: Any = {"node": {"status": "completed", "output": large()}}
        parent = store.save_checkpoint(session, step=number, node_results=output, parent_id=parent).id
        entity = store.save_entity(
            session,
            name=str(number),
            type="t",
            workspace_id=workspace,
            attributes=large(),
            relationships=edges,
            embedding=VECTOR,
        )
        edges = [*edges, {"targetId": entity.id, "type": "r"}]
        fact = store.save_fact("x" * LARGE, workspace_id=workspace, embedding=VECTOR)
    return {
        "session": session,
        "message": str(message.id),
        "checkpoint": str(parent),
        "entity": entity.id,
        "fact": fact.id,
    }


#: what is sent to each route that takes a body
BODIES: dict[str, Any] = {
    "sessions": {"directory": "/", "metadata": large()},
    "session": {"metadata": large(more=1)},
    "messages": [{"role": "user", "content": "x" * LARGE}] * 2,
    "checkpoints": {"step": 1, "node_results": {"a": {"status": "completed", "output": large()}}},
    "repair": {},
    "fork": {},
    "fork-at": {},
    "entities": {"name": "n", "type": "t", "attributes": large()},
    "entity": {"attributes": large(more=1)},
    "facts": {"content": "x" * LARGE},
    "search-entities": {"embedding": VECTOR, "top_k": 500},
    "search-facts": {"embedding": VECTOR, "top_k": 500},
}
#: an answer of several parts, each of which is bounded
LATEST = PAGE + 2 * LARGE


def test_every_answer_of_every_route_is_bounded(bounded: Client, store: DjangoCheckpointStore, workspace: str) -> None:
    ids = write(store, workspace)
    routes: Any = [
        (pattern, method)
        for pattern in urls.urlpatterns
        for method in pattern.callback.actions  # type: ignore[attr-defined]  # a viewset's
    ]
    answered = set()
    for pattern, method in sorted(routes, key=lambda one: (one[1] == "delete", one[0].name == "session")):
        if pattern.name == "events" or method == "head":
            continue  # `test_stream_limits`
        path = f"/api/{pattern.pattern}"
        kind = path.split("/")[2]
        id = ids[{"entities": "entity"}.get(kind, kind.removesuffix("s"))]
        path = path.replace("<obsku_id:id>", id).replace("<obsku_id:message_id>", id)
        if method == "get":
            answer = bounded.get(f"{path}?limit=500&depth=100")
        else:
            own = {"session_id": ids["session"]} if pattern.name == "entities" else {}
            body = BODIES.get(pattern.name)
            answer = getattr(bounded, method)(path, {**body, **own} if isinstance(body, dict) else body)
        assert answer.status_code in (200, 201, 204), (pattern.name, method, answer.content[:300])
        assert len(answer.content) <= (LATEST if pattern.name == "latest" else PAGE) + REST, (pattern.name, method)
        answered.add(pattern.name)
    assert answered == {pattern.name for pattern in urls.urlpatterns} - {"events"}


@pytest.mark.parametrize("kind", ["entities", "facts"])
def test_what_a_search_finds_has_pages(
    bounded: Client, store: DjangoCheckpointStore, workspace: str, kind: str
) -> None:
    session = store.create_session("/").id
    sizes = [LARGE] * 5 + [PAGE * 2, 1, 2, PAGE * 3] + [LARGE] * 2
    for number, size in enumerate(sizes):
        vector = [1.0, float(number // 3)]  # some are equally near
        if kind == "facts":
            store.save_fact("x" * size, workspace_id=workspace, embedding=vector)
        else:
            text = {"text": "x" * size}
            store.save_entity(session, name="n", type="t", attributes=text, workspace_id=workspace, embedding=vector)
    found = getattr(store, f"search_{kind}")(VECTOR, workspace_id=workspace, top_k=100)
    assert len(found) == len(sizes)
    body = {"embedding": VECTOR, "workspace_id": workspace, "top_k": 100}
    ids, pages, address = [], 0, f"/api/{kind}/search/"
    while address:
        answer = bounded.post(address, body)
        assert answer.status_code == 200
        shown = answer.json()
        assert len(answer.content) <= PAGE + REST or len(shown) == 1
        assert shown
        ids += [(one["record"]["id"], one["score"]) for one in shown]
        pages += 1
        address = httpx.Response(200, headers=answer.headers).links.get("next", {}).get("url", "")
    assert ids == [(one.record.id, one.score) for one in found]
    assert pages > 4
    with live_server(store.using, MAX_PAGE_BYTES=PAGE) as url, HTTPCheckpointStore(url) as client:
        assert getattr(client, f"search_{kind}")(VECTOR, workspace_id=workspace, top_k=100) == found


def test_a_page_of_a_search_goes_on_where_the_last_one_is_gone(
    bounded: Client, store: DjangoCheckpointStore, workspace: str
) -> None:
    for number in range(5):
        store.save_fact("x" * LARGE, workspace_id=workspace, embedding=[1.0, float(number)])
    found = [one.record.id for one in store.search_facts(VECTOR, workspace_id=workspace)]
    body = {"embedding": VECTOR, "workspace_id": workspace}
    first = bounded.post("/api/facts/search/", body)
    address = httpx.Response(200, headers=first.headers).links["next"]["url"]
    assert [one["record"]["id"] for one in first.json()] == found[:2]
    for gone in (found[1], found[0]):
        store.delete_fact(gone)
        assert [one["record"]["id"] for one in bounded.post(address, body).json()] == found[2:4]
    query = address.partition("?")[2]
    for refused in (bounded.post(f"/api/entities/search/?{query}", body), bounded.get(f"/api/facts/?{query}")):
        assert (refused.status_code, list(refused.json())) == (400, ["cursor"])


def test_relationships_are_followed_once_and_so_far(
    bounded: Client, store: DjangoCheckpointStore, workspace: str, settings: Any
) -> None:
    session = store.create_session("/").id
    ids = [f"{workspace}-{number}" for number in range(30)]
    edges: list[Any] = [{"targetId": id, "type": "r"} for id in ids]
    for id in ids:
        store.save_entity(session, name="n", type="t", id=id, relationships=edges)
    path = f"/api/entities/{ids[0]}/related/"
    octets = len(ids) * len(httpx.Request("POST", "http://x", json=edges).content)
    for most, status in ((octets, 200), (octets // 2, 400)):
        settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "MAX_PAGE_BYTES": most}
        assert bounded.get(f"{path}?depth=1").status_code == 200
        answer = bounded.get(f"{path}?depth=100&limit=500")
        assert answer.status_code == status
        assert ("depth" in answer.json()) is (status == 400)
    with live_server(store.using, MAX_PAGE_BYTES=octets) as url, HTTPCheckpointStore(url) as client:
        assert {one.id for one in client.related(ids[0], depth=100)} == set(ids[1:])
    with live_server(store.using, MAX_PAGE_BYTES=octets // 2) as url, HTTPCheckpointStore(url) as client:
        assert len(client.related(ids[0])) == len(ids) - 1
        with pytest.raises(InvalidRecordError, match="fewer steps"):
            client.related(ids[0], depth=2)
    assert len(store.related(ids[0], depth=100)) == len(ids) - 1


def test_a_transcript_is_read_in_parts(bounded: Client, store: DjangoCheckpointStore, path: str) -> None:
    id = path.split("/")[-2]
    for number in range(30):  # 60 MB, before any is decoded
        call: Any = {"name": "n", "toolUseId": f"use {number}", "input": {"text": "x" * 2_000_000}}
        store.add_message(id, "assistant", tool_calls=[call])
    tracemalloc.start()
    try:
        assert len(bounded.get(f"{path}dangling/").json()) == 30
        assert bounded.post(f"{path}repair/", {}).json() == {"repaired": 30}
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert bounded.get(f"{path}dangling/").json() == []


def test_more_calls_without_a_result_than_fit_are_refused(
    bounded: Client, store: DjangoCheckpointStore, path: str
) -> None:
    id = path.split("/")[-2]
    calls: Any = [{"name": "n", "toolUseId": f"use {number}", "input": {}} for number in range(1000)]
    store.add_message(id, "assistant", tool_calls=calls)
    assert len(bounded.get(f"{path}dangling/").json()) == 1000
    store.add_message(id, "assistant", tool_calls=calls)
    for answer in (bounded.get(f"{path}dangling/"), bounded.post(f"{path}repair/", {})):
        assert (answer.status_code, list(answer.json())) == (400, ["session_id"])
    with (
        live_server(store.using, MAX_PAGE_BYTES=PAGE) as url,
        HTTPCheckpointStore(url) as client,
        pytest.raises(InvalidRecordError, match="more calls"),
    ):
        client.find_dangling(id)
    assert len(store.find_dangling(id)) == store.repair(id) == 2000
